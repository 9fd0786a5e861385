"""Find the labelled images that a training is given: class folders, a labels.csv, or TFRecord files.

1. TFRecord files: `edgenet.labelled.tfrecord` says which features they need;
2. `labels.csv` in the folder: `file,class_index[,name]`;
3. folders `train` and `val` that hold one folder a class each: then that split is kept;
4. one folder a class. Names that are all whole numbers are ordered as numbers, others by their code points.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgenet.datasets import LABELS_NAME, read_class_names, read_labels
from edgenet.errors import InputError
from edgenet.labelled.example import MOST_CLASSES, PARTS, Example, some
from edgenet.labelled.tfrecord import tfrecord_files
from edgenet.photos import Listing, Skipped, find_photos
from edgenet.training.examples import ExampleSet, checked_classes
from edgenet.training.tfrecord import open_tfrecords


def open_examples(data: Path) -> ExampleSet:
    """Find the examples of `data` by the rules above without decoding any; raise InputError where they do not fit."""
    if not data.exists():
        raise InputError(f"{str(data)!r} does not exist", allowed="a folder of photos", mend="check --data")
    files = tfrecord_files(data)
    found = open_tfrecords(files) if files else _in_folder(data)
    return checked_classes(found)


def _in_folder(data: Path) -> ExampleSet:
    listing = find_photos(data)
    if (data / LABELS_NAME).is_file():
        return _by_table(data, listing)
    folders = _class_folders(data)
    if set(folders) == set(PARTS):
        return _by_parts(data)
    return _by_folders(data, listing, folders)


def _class_folders(folder: Path) -> list[str]:
    names = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    numeric = all(name.isascii() and name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if numeric else 0, name))


def _by_folders(data: Path, listing: Listing, folders: list[str]) -> ExampleSet:
    loose = [file.name for file in listing.files if "/" not in file.name]
    if loose:
        what = f"{len(loose)} photos lie directly in {str(data)!r}: {some(loose)}"
        raise InputError(what, allowed=f"one folder a class, or {LABELS_NAME}", mend="move them into class folders")
    indices = {name: index for index, name in enumerate(folders)}
    examples = tuple(Example(file.name, indices[file.name.split("/")[0]], file.path) for file in listing.files)
    return ExampleSet(tuple(folders), examples, listing.skipped, "the names of the class folders")


def _by_parts(data: Path) -> ExampleSet:
    labels = {part: _class_folders(data / part) for part in PARTS}
    if labels["train"] != labels["val"]:
        differing = sorted(set(labels["train"]) ^ set(labels["val"]))
        raise InputError(f"train and val have other classes: {some(differing)}", mend="give both the same folders")
    found = {part: _by_folders(data / part, find_photos(data / part), labels[part]) for part in PARTS}
    examples = tuple(
        replace(example, name=f"{part}/{example.name}", part=part) for part in PARTS for example in found[part].examples
    )
    skipped = tuple(row for part in PARTS for row in found[part].skipped)
    return ExampleSet(tuple(labels["train"]), examples, skipped, "the class folders of train and val")


def _by_table(data: Path, listing: Listing) -> ExampleSet:
    table = data / LABELS_NAME
    indices, names = read_labels(table, MOST_CLASSES), read_class_names(table)
    paths = {file.name: file.path for file in listing.files}
    missing = [name for name in indices if name not in paths]
    if missing:
        raise InputError(
            f"{table.name}: {len(missing)} files are not among the photos of {str(data)!r}: {some(missing)}",
            mend="names are relative to the folder; take the rows out, or bring the files",
        )
    labels = tuple(names.get(index, str(index)) for index in range(max(indices.values()) + 1))
    examples = tuple(Example(name, indices[name], paths[name]) for name in sorted(indices))
    unnamed = tuple(Skipped(name, f"no row in {table.name}") for name in paths if name not in indices)
    return ExampleSet(labels, examples, (*listing.skipped, *unnamed), f"{table.name}")
