"""TFRecord files of labelled images, indexed so that any record can be read at any time.

A record is its length (8 bytes, little endian), a checksum (4), a `tf.train.Example`, a checksum (4). Two namings of
its features are in use: TensorFlow's ImageNet scripts' and TensorFlow Datasets'.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenet.errors import InputError
from edgenet.photos import Skipped
from edgenet.training.examples import MOST_CLASSES, PARTS, Example, ExampleSet

FILE_NAME = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$")
HEADER = struct.Struct("<QI")
FOOTER_BYTES = 4


@dataclass(frozen=True)
class Naming:
    """The features that hold an image's bytes, its class and, where there is one, the name of the class."""

    image: str
    label: str
    text: str


NAMINGS = (Naming("image/encoded", "image/class/label", "image/class/text"), Naming("image", "label", "label/text"))


def tfrecord_files(data: Path) -> list[Path]:
    """Return `data` itself or the TFRecord files in it, sorted by name."""
    if data.is_file():
        return [data]
    return sorted(path for path in data.iterdir() if path.is_file() and FILE_NAME.search(path.name))


def open_tfrecords(files: Sequence[Path]) -> ExampleSet:
    """Index every record; files whose names begin with train and val keep that split.

    Raise InputError for a file that is cut off, or a record without an image or a class.
    """
    examples: list[Example] = []
    texts: dict[int, str] = {}
    for path in files:
        part = next((part for part in PARTS if path.name.startswith(part)), None)
        for number, (offset, content) in enumerate(_records(path)):
            name = f"{path.name}#{number}"
            index, start, length, text = _parsed(content, name)
            texts.setdefault(index, text)
            examples.append(Example(name, index, path, part, offset + start, length))
    if not examples:
        raise InputError(f"no record in {files[0].name}", allowed="TFRecord files of labelled images")
    if any(example.part for example in examples) and not {e.part for e in examples} == {"train", "val"}:
        raise InputError("some TFRecord files are named train or val, others not", allowed="all of both, or none")
    labels = tuple(texts.get(index) or str(index) for index in range(max(texts) + 1))
    return ExampleSet(labels, tuple(examples), tuple[Skipped, ...](), "the labels in the TFRecord files")


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of the content, content) of each record."""
    end = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < end:
            header = file.read(HEADER.size)
            length = HEADER.unpack(header)[0] if len(header) == HEADER.size else end
            offset = file.tell()
            if length > end - offset - FOOTER_BYTES:
                raise InputError(f"{path.name} is cut off or no TFRecord file", mend="write or copy it again")
            yield offset, file.read(length)
            file.seek(FOOTER_BYTES, 1)


def _parsed(content: bytes, name: str) -> tuple[int, int, int, str]:
    """Return the class, the place of the image's bytes in the record, and the name of the class or ""."""
    features = _features(content, name)
    naming = next((row for row in NAMINGS if row.image in features and row.label in features), None)
    if naming is None:
        known = " or ".join(f"{row.image} and {row.label}" for row in NAMINGS)
        raise InputError(f"{name} has the features {', '.join(sorted(features)[:5]) or 'none'}", allowed=known)
    images, labels = features[naming.image].bytes_list.value, features[naming.label].int64_list.value
    if len(images) != 1 or len(labels) != 1 or not 0 <= labels[0] < MOST_CLASSES:
        raise InputError(f"{name} holds {len(images)} images and the labels {list(labels)}", allowed="one of each")
    texts = features[naming.text].bytes_list.value if naming.text in features else []
    text = texts[0].decode("utf-8", "replace") if texts else ""
    # A protobuf stores bytes as they are, so that the image can be read later without parsing again.
    return int(labels[0]), content.index(images[0]), len(images[0]), text


def _features(content: bytes, name: str) -> Any:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        return tf.train.Example.FromString(content).features.feature
    except DecodeError as error:
        raise InputError(f"{name} is no tf.train.Example", mend="write the file again") from error
