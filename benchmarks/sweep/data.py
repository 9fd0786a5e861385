"""The labelled images of a sweep, opened once for all files of the same classes, with their identity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import InputError
from edgenet.labelled.classes import Classes
from edgenet.labelled.stream import LabelledImages, open_labelled


@dataclass(frozen=True)
class Data:
    """A labelled set; the identity is that of names, classes, places, sizes and times of change, not of content."""

    images: LabelledImages
    identity: str


def open_data(place: str, classes: Classes) -> Data:
    """Open a labelled set; raise InputError for what is none, or does not fit the classes."""
    images = open_labelled(place, classes)
    digest, path, stamp = hashlib.sha256(), None, ""
    for row in images:
        if row.path != path:  # the images of a tar file come one after the other
            path, stamp = row.path, _stamp(row.path)
        line = f"{row.name} {row.class_index} {row.offset} {row.length} {stamp}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return Data(images, digest.hexdigest())


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return f"{found.st_size} {found.st_mtime_ns}"
