"""Decode a labelled image, wherever its bytes lie, or say why it cannot be used."""

from __future__ import annotations

from edgenet.labelled.example import Example
from edgenet.photos import MAX_SIZE_BYTES, Photo, PhotoFile, Skipped, decode_photo, load_photo


def decode_example(example: Example) -> Photo | Skipped:
    """Decode one image to RGB, or say why it cannot be used; see `edgenet.photos.load_photo`."""
    if example.length is None:
        return load_photo(PhotoFile(example.path, example.name))
    if example.length > MAX_SIZE_BYTES:
        return Skipped(example.name, f"{example.length} bytes, over the limit of {MAX_SIZE_BYTES}")
    if not example.length:
        return Skipped(example.name, "empty file")
    try:
        content = example.read()
    except OSError as error:
        return Skipped(example.name, f"cannot be read: {error.strerror}")
    return decode_photo(example.name, content)
