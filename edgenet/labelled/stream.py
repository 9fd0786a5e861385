"""A labelled set as a stream: what is known of it beforehand, and its examples one after the other.

1. tar shards, `edgenet.labelled.tar`; 2. TFRecord files, `edgenet.labelled.tfrecord`; 3. `labels.csv` in a folder;
4. one folder a class. 3 and 4 by the rules of `edgenet.datasets`.

Opening one checks each label, and counts. Nothing is kept for each image but the rows of a labels.csv.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from edgenet.errors import InputError
from edgenet.labelled.classes import Classes
from edgenet.labelled.example import Example, some
from edgenet.labelled.folder import open_folder
from edgenet.labelled.tar import TAR_SUFFIX, read_shard
from edgenet.labelled.tfrecord import FILE_NAME, LabelledRecord, count_records, read_tfrecord
from edgenet.labelled.unreadable import SkippedCount
from edgenet.photos import Skipped

Kind = Literal["class folders", "labels.csv", "TFRecord", "tar shards"]


@dataclass(frozen=True)
class LabelledImages:
    """A labelled set; `names` are what it calls its classes, by index, where it does."""

    kind: Kind
    rule: str  # where the labels come from, for people to read
    count: int  # images
    names: dict[int, str]
    passed_over: SkippedCount  # files that are not taken for images of the set
    _open: Callable[[], Iterable[Example]]

    def __iter__(self) -> Iterator[Example]:
        """Yield every example, always in the same order."""
        return iter(self._open())


def open_labelled(data: str, classes: Classes) -> LabelledImages:
    """Open a folder, a file or a pattern of files (`shards/*.tar`) as a set of images that show `classes`.

    Raise InputError for what is none, has no labels, or has labels that are no class of the model.
    """
    files = _files(data)
    if files is None:
        return _in_folder(Path(data), classes)
    tars = [path for path in files if path.suffix == TAR_SUFFIX]
    if tars and len(tars) < len(files):
        others = some([path.name for path in files if path.suffix != TAR_SUFFIX])
        raise InputError(f"{data} names .tar files and others: {others}", allowed="files of one kind")
    return _tar_shards(files, classes) if tars else _tfrecords(files, classes)


def _files(data: str) -> list[Path] | None:
    """Return the files that are meant, None for a folder of photos."""
    path = Path(data)
    if path.is_dir():
        names = sorted(entry for entry in path.iterdir() if entry.is_file())
        shards = [entry for entry in names if entry.suffix == TAR_SUFFIX]
        return shards or [entry for entry in names if FILE_NAME.search(entry.name)] or None
    if path.is_file():
        return [path]
    found = sorted(map(Path, glob.glob(data)))  # noqa: PTH207  # Path.glob takes no absolute pattern
    if not found:
        what = "fits no file" if glob.has_magic(data) else "does not exist"
        allowed = "a folder of photos, TFRecord files or .tar shards, or a pattern such as 'shards/*.tar'"
        raise InputError(f"{data!r} {what}", allowed=allowed, mend="check --data")
    if folders := [entry.name for entry in found if not entry.is_file()]:
        raise InputError(f"{data!r} names more than files: {some(folders)}", mend="name one folder, or a pattern")
    return found


def _in_folder(folder: Path, classes: Classes) -> LabelledImages:
    found = open_folder(folder, classes)
    passed_over, count = SkippedCount(), 0
    for row in found.rows():
        if isinstance(row, Skipped):
            passed_over.add([row])
        else:
            count += 1
    if not count:
        raise InputError(f"no photo in {str(folder)!r}", allowed="JPEG, PNG, BMP, WebP")
    kind: Kind = "labels.csv" if found.by_table else "class folders"
    return LabelledImages(kind, found.rule, count, found.names, passed_over, lambda: _examples(found.rows()))


def _examples(rows: Iterable[Example | Skipped]) -> Iterator[Example]:
    return (row for row in rows if isinstance(row, Example))


def _tar_shards(files: list[Path], classes: Classes) -> LabelledImages:
    passed_over, count = SkippedCount(), 0
    for path in files:
        for row in read_shard(path, classes):
            if isinstance(row, Skipped):
                passed_over.add([row])
            else:
                count += 1
    if not count:
        first = f"; the first sample: {passed_over.first[0].reason}" if passed_over.count else ""
        raise InputError(f"no image in {some([path.name for path in files])}{first}", allowed="KEY.jpg beside KEY.cls")
    rule = f"the .cls files in {len(files)} tar shards"
    return LabelledImages("tar shards", rule, count, {}, passed_over, partial(_shard_examples, files, classes))


def _shard_examples(files: list[Path], classes: Classes) -> Iterator[Example]:
    for path in files:
        yield from _examples(read_shard(path, classes))


def _tfrecords(files: list[Path], classes: Classes) -> LabelledImages:
    parts = {"train" if path.name.startswith("train") else "other" for path in files}
    if len(parts) > 1:
        raise InputError(
            "there are TFRecord files named train and others",
            mend="name those to evaluate on, as --data 'FOLDER/validation-*'",
        )
    count = sum(map(count_records, files))
    if not count:
        raise InputError(f"no record in {some([path.name for path in files])}", allowed="TFRecord files of images")
    rule = f"the labels in {len(files)} TFRecord files"
    next(_record_examples(files, classes))  # a label that does not fit is told at once, if it is the first
    return LabelledImages("TFRecord", rule, count, {}, SkippedCount(), partial(_record_examples, files, classes))


def _record_examples(files: list[Path], classes: Classes) -> Iterator[Example]:
    for path in files:
        for row in read_tfrecord(path):
            yield _matched(row, classes)


def _matched(record: LabelledRecord, classes: Classes) -> Example:
    """Return a record's example with the class that its label means, by name where both sides have names."""
    example = record.example
    if not (record.text and classes.names):
        classes.checked(example.class_index, example.name)
        return example
    index = classes.index_of(record.text, example.name)
    return Example(example.name, index, example.path, example.part, example.offset, example.length)
