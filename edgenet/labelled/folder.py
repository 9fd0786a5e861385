"""Labelled photos of a folder as a stream: by its labels.csv, else by the names of its class folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgenet.datasets import LABELS_NAME, match_folders, read_class_names, read_labels
from edgenet.errors import InputError
from edgenet.labelled.classes import Classes
from edgenet.labelled.example import Example, some
from edgenet.photos import PhotoFile, Skipped, walk_photos

SPLIT_NAMES = {"train", "val", "validation", "test"}
WITHOUT_LABELS = "edgenet verify measures agreement without labels"


@dataclass(frozen=True)
class LabelledFolder:
    """Where the labels come from, what the data calls its classes, and its photos, which are looked for each time."""

    rule: str
    names: dict[int, str]
    by_table: bool
    rows: Callable[[], Iterable[Example | Skipped]]


def open_folder(folder: Path, classes: Classes) -> LabelledFolder:
    """Tell the labels of a folder; raise InputError where there are none, or some are no class of the model."""
    table = folder / LABELS_NAME
    return _by_table(folder, table, classes) if table.is_file() else _by_folders(folder, classes)


def _by_table(folder: Path, table: Path, classes: Classes) -> LabelledFolder:
    indices, names = read_labels(table, classes.count), read_class_names(table)
    differing = [name for index, name in names.items() if classes.names and classes.names[index] != name]
    if differing:
        raise InputError(
            f"{table.name} has other names for the model's classes: {some(differing)}",
            allowed=some(classes.names),
            mend="give each row the index that its class has in the model",
        )
    missing = [name for name in indices if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{table.name}: {len(missing)} files are not in {str(folder)!r}: {some(missing)}",
            mend="names are relative to the folder; take the rows out, or bring the files",
        )
    rule = f"the class_index column of {table.name}"
    return LabelledFolder(rule, names, True, lambda: _table_rows(folder, indices))


def _table_rows(folder: Path, indices: dict[str, int]) -> Iterator[Example | Skipped]:
    for name, index in indices.items():
        yield Example(name, index, folder / name)
    for row in walk_photos(folder):
        if isinstance(row, Skipped):
            yield row
        elif row.name not in indices:
            yield Skipped(row.name, f"no row in {LABELS_NAME}")


def _by_folders(folder: Path, classes: Classes) -> LabelledFolder:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if names and set(names) <= SPLIT_NAMES and not set(names) <= set(classes.names):
        raise InputError(
            f"{str(folder)!r} holds {some(names)}, which are parts of a set",
            allowed="one folder a class",
            mend=f"name one of them: --data {folder / names[-1]}",
        )
    found = match_folders(names, classes.count, classes.names) if names else f"there is no {LABELS_NAME} in it"
    if isinstance(found, str):
        raise InputError(
            f"the photos of {str(folder)!r} have no labels: {found}",
            allowed=f"{LABELS_NAME} (file,class_index[,name]), or class folders named by the model's labels or indices",
            mend=WITHOUT_LABELS,
        )
    called = {index: name for name, index in found.classes.items()}
    return LabelledFolder(found.rule, called, False, lambda: _folder_rows(folder, found.classes))


def _folder_rows(folder: Path, indices: dict[str, int]) -> Iterator[Example | Skipped]:
    for row in walk_photos(folder):
        if isinstance(row, PhotoFile) and "/" not in row.name:
            yield Skipped(row.name, "lies beside the class folders")
        elif isinstance(row, PhotoFile):
            yield Example(row.name, indices[row.path.relative_to(folder).parts[0]], row.path)
        else:
            yield row
