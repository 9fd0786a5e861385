"""Write files so that each is either whole or not there."""

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgenet.errors import InputError


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write all files or none: first every one under a temporary name beside its place, then all renames.

    An interrupt, a full disk or a crash before the renames leaves whatever stood there as it was. Raise InputError for
    a folder that cannot be written to or a disk that is full.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            written.append((_write_temporary(path, content), path))
        for path in filter(Path.is_dir, contents):  # which no rename replaces: found only after others were replaced
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        while written:
            temporary, path = written[0]
            temporary.replace(path)
            written.pop(0)
    except OSError as error:
        size_bytes = sum(len(content) for content in contents.values())
        raise InputError(
            f"cannot write {error.filename or next(iter(contents))}: {error.strerror}",
            mend=f"{size_bytes / 1e6:.1f} MB are needed in a folder that you may write to (--out DIR)",
        ) from error
    finally:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and see that it can be written to, before hours of work rest on it; raise InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to {folder}: {error.strerror}", mend="name a folder that you may write to: --out DIR"
        ) from error


def _write_temporary(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes files that nobody else can read
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
