"""Paths on a device that edgenet may remove: those below its private folder."""

from __future__ import annotations

from pathlib import PurePosixPath

from edgenet.errors import InputError


def below(path: PurePosixPath, home: PurePosixPath) -> PurePosixPath:
    """Return `path` if it is below `home` as it is written; raise InputError for `home` itself and any other place.

    Links are the adapter's to look at: only the device knows where they lead.
    """
    if ".." in path.parts or "\0" in str(path) or path == home or not path.is_relative_to(home):
        raise InputError(f"{str(path)!r} is not edgenet's to remove", allowed=f"what is below {home}")
    return path
