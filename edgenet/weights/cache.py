"""The cache folder: downloads that appear whole or not at all, and a record of what each first looked like."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import InputError, MissingError

CHUNK_BYTES = 1 << 20


def cache_folder() -> Path:
    """Return `EDGENET_CACHE`, or the platform's cache folder for edgenet; it may not exist yet."""
    chosen = os.environ.get("EDGENET_CACHE", "")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edgenet"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "edgenet" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgenet"


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name when the block ends well, and vanishes when not.

    Raises MissingError where the cache cannot be written (no space, no permission).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> MissingError:
    return MissingError(
        f"cannot write {path}: {error.strerror or error}", mend="make room, or set EDGENET_CACHE to another folder"
    )


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's digest in hex."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()


@dataclass(frozen=True)
class Pin:
    """What a hub file was when it was first used here: later uses must match (trust on first use)."""

    repository: str
    commit: str
    sha256: str
    size_bytes: int


def _pin_path(repository: str) -> Path:
    return cache_folder() / "pins" / f"{repository.replace('/', '--')}.json"


def read_pin(repository: str) -> Pin | None:
    """Return what was recorded of a repository's weights, None before the first use; InputError for a broken record."""
    path = _pin_path(repository)
    try:
        return Pin(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"{path} is no readable record of a download: {error}", mend="delete it") from error


def write_pin(pin: Pin) -> None:
    """Record the first use of a repository's weights."""
    with written_whole(_pin_path(pin.repository)) as file:
        file.write(json.dumps(asdict(pin), indent=1).encode())
