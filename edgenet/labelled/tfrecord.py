"""TFRecord files of labelled images, read record by record; each image can be read again at any time.

A record is its length (8 bytes, little endian), a checksum (4), a `tf.train.Example`, a checksum (4). Two namings of
its features are in use: TensorFlow's ImageNet scripts' and TensorFlow Datasets'.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import InputError
from edgenet.labelled.example import MOST_CLASSES, PARTS, Example
from edgenet.labelled.tf_example import features_of

FILE_NAME = re.compile(r"(\.tfrecords?(-\d+-of-\d+)?|^(train|validation|test)-\d+-of-\d+)$")
HEADER = struct.Struct("<QI")
FOOTER_BYTES = 4
# Only TensorFlow's script for ImageNet (build_imagenet_data.py) writes it, and its classes count from 1.
FROM_ONE = "image/class/synset"


@dataclass(frozen=True)
class Naming:
    """The features that hold an image's bytes, its class and, where there is one, the name of the class."""

    image: str
    label: str
    text: str


NAMINGS = (Naming("image/encoded", "image/class/label", "image/class/text"), Naming("image", "label", "label/text"))


@dataclass(frozen=True)
class LabelledRecord:
    """One record; `text` is the name of the class, "" where there is none."""

    example: Example
    text: str


def tfrecord_files(data: Path) -> list[Path]:
    """Return `data` itself or the TFRecord files in it, sorted by name."""
    if data.is_file():
        return [data]
    return sorted(path for path in data.iterdir() if path.is_file() and FILE_NAME.search(path.name))


def read_tfrecord(path: Path) -> Iterator[LabelledRecord]:
    """Yield every record of a file whose name may begin with the part that it is; one is in memory at a time.

    Raise InputError for a file that is cut off, or a record without an image or a class.
    """
    part = next((part for part in PARTS if path.name.startswith(part)), None)
    for number, (offset, content) in enumerate(_records(path)):
        name = f"{path.name}#{number}"
        index, start, length, text = _parsed(content, name)
        yield LabelledRecord(Example(name, index, path, part, offset + start, length), text)


def count_records(path: Path) -> int:
    """Return how many records a file has, by their lengths alone; raise InputError for one that is cut off."""
    return sum(1 for _ in _records(path, skim=True))


def _records(path: Path, *, skim: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of the content, content) of each record; `skim` leaves the content out."""
    end = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < end:
            header = file.read(HEADER.size)
            length = HEADER.unpack(header)[0] if len(header) == HEADER.size else end
            offset = file.tell()
            if length > end - offset - FOOTER_BYTES:
                raise InputError(f"{path.name} is cut off or no TFRecord file", mend="write or copy it again")
            yield offset, b"" if skim else file.read(length)
            file.seek(offset + length + FOOTER_BYTES)


def _parsed(content: bytes, name: str) -> tuple[int, int, int, str]:
    """Return the class, the place of the image's bytes in the record, and the name of the class or ""."""
    features = features_of(content, name)
    naming = next((row for row in NAMINGS if row.image in features and row.label in features), None)
    if naming is None:
        known = " or ".join(f"{row.image} and {row.label}" for row in NAMINGS)
        raise InputError(f"{name} has the features {', '.join(sorted(features)[:5]) or 'none'}", allowed=known)
    images = features[naming.image].bytes_list.value
    labels = [int(label) - (FROM_ONE in features) for label in features[naming.label].int64_list.value]
    if len(images) != 1 or len(labels) != 1 or not 0 <= labels[0] < MOST_CLASSES:
        raise InputError(f"{name} holds {len(images)} images and the classes {labels}", allowed="one of each")
    texts = features[naming.text].bytes_list.value if naming.text in features else []
    text = texts[0].decode("utf-8", "replace") if texts else ""
    # A protobuf stores bytes as they are, so that the image can be read later without parsing again.
    return labels[0], content.index(images[0]), len(images[0]), text
