"""Write a whole folder, or nothing: under a temporary name beside its place, then one rename."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgenet.bundle.record import BUNDLE_NAME, inner_path
from edgenet.errors import InputError


def check_place(out: Path, force: bool) -> None:
    """Raise InputError unless a bundle may be written at `out`: nothing there, or with `force` an older bundle."""
    if out.is_symlink():
        raise InputError(f"{out} is a link", mend="name the folder itself")
    if not out.name or out.name == "..":
        raise InputError(f"{str(out)!r} names no folder of its own", mend="--out DIR, a new folder")
    if not out.exists():
        return
    if not force:
        raise InputError(f"{out} exists", mend="name another folder, or replace that bundle with --force")
    if not (out / BUNDLE_NAME).is_file():
        raise InputError(f"{out} is no bundle, and --force replaces nothing else", mend="name another folder")


def write_folder(out: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write files by their path inside `out`; an interrupt or a full disk leaves whatever stood there as it was."""
    check_place(out, force)
    # Named before it is made: an interrupt just behind that would leave a folder that nobody knows of.
    temporary = out.parent / f".{out.name}.{secrets.token_hex(8)}"
    try:
        temporary.mkdir(parents=True, mode=0o700)
        fresh = temporary / "new"
        for name, content in files.items():
            path = fresh / inner_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            out.rename(temporary / "old")
        fresh.rename(out)
    except OSError as error:
        size_bytes = sum(map(len, files.values()))
        raise InputError(
            f"cannot write {error.filename or out}: {error.strerror}",
            mend=f"{size_bytes / 1e6:.1f} MB are needed in a folder that you may write to (--out DIR)",
        ) from error
    finally:
        _restore(temporary / "old", out)
        shutil.rmtree(temporary, ignore_errors=True)


def _restore(old: Path, out: Path) -> None:
    """Put back what was moved away where nothing took its place."""
    if old.exists() and not out.exists():
        old.rename(out)
