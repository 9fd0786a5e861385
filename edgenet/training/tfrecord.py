"""TFRecord files as the examples of a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgenet.errors import InputError
from edgenet.labelled.example import Example
from edgenet.labelled.tfrecord import read_tfrecord
from edgenet.photos import Skipped
from edgenet.training.examples import ExampleSet


def open_tfrecords(files: Sequence[Path]) -> ExampleSet:
    """Index every record; files whose names begin with train and val keep that split.

    Raise InputError for a file that is cut off, or a record without an image or a class.
    """
    examples: list[Example] = []
    texts: dict[int, str] = {}
    for path in files:
        for record in read_tfrecord(path):
            texts.setdefault(record.example.class_index, record.text)
            examples.append(record.example)
    if not examples:
        raise InputError(f"no record in {files[0].name}", allowed="TFRecord files of labelled images")
    if any(example.part for example in examples) and not {e.part for e in examples} == {"train", "val"}:
        raise InputError("some TFRecord files are named train or val, others not", allowed="all of both, or none")
    labels = tuple(texts.get(index) or str(index) for index in range(max(texts) + 1))
    return ExampleSet(labels, tuple(examples), tuple[Skipped, ...](), "the labels in the TFRecord files")
