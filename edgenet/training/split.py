"""Which images train and which validate: by the hash of their content, so the same image never does both.

The same set gives the same split on any machine, whatever its files are called, and a set that grows keeps the sides
of nearly all that it had.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import InputError
from edgenet.labelled.example import Part, some
from edgenet.training.examples import ExampleSet, checked_classes
from edgenet.training.scan import Scanned

SPLIT_NAME = "split.csv"
COLUMNS = ("file", "class", "part", "sha256")
Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Split:
    """The examples of both sides in the order of their names."""

    labels: tuple[str, ...]
    train: tuple[Scanned, ...]
    val: tuple[Scanned, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[Row]:
        """Return what is recorded of each example."""
        sides: tuple[tuple[Part, tuple[Scanned, ...]], ...] = (("train", self.train), ("val", self.val))
        return [
            (row.example.name, self.labels[row.example.class_index], part, row.sha256)
            for part, rows in sides
            for row in rows
        ]

    @property
    def counts(self) -> list[int]:
        """Return the number of training images of each class."""
        counts = [0] * len(self.labels)
        for row in self.train:
            counts[row.example.class_index] += 1
        return counts


def make_split(found: ExampleSet, usable: tuple[Scanned, ...], val_share: float) -> Split:
    """Split as the set says, else `val_share` of the distinct images of each class; raise InputError for too few."""
    checked_classes(ExampleSet(found.labels, tuple(row.example for row in usable), (), found.rule))
    if any(row.example.part for row in usable):
        validating = {row.example.name for row in usable if row.example.part == "val"}
    else:
        hashes = _validating_hashes(found.labels, usable, val_share)
        validating = {row.example.name for row in usable if row.sha256 in hashes[row.example.class_index]}
    train = tuple(row for row in usable if row.example.name not in validating)
    val = tuple(row for row in usable if row.example.name in validating)
    return Split(found.labels, train, val, _notes(usable))


def _validating_hashes(labels: tuple[str, ...], usable: tuple[Scanned, ...], val_share: float) -> list[set[str]]:
    hashes: list[set[str]] = [set() for _ in labels]
    for row in usable:
        hashes[row.example.class_index].add(row.sha256)
    alone = [label for label, found in zip(labels, hashes, strict=True) if len(found) < 2]
    if alone:
        raise InputError(
            f"{len(alone)} classes have one distinct image only: {some(alone)}",
            allowed="two or more, to train on and to validate on",
            mend="bring more images, or folders train and val of your own",
        )
    counts = [min(len(found) - 1, max(1, round(val_share * len(found)))) for found in hashes]
    return [set(sorted(found)[:count]) for found, count in zip(hashes, counts, strict=True)]


def _notes(usable: tuple[Scanned, ...]) -> tuple[str, ...]:
    classes: dict[str, set[int]] = defaultdict(set)
    names: dict[str, str] = {}
    for row in usable:
        classes[row.sha256].add(row.example.class_index)
        names.setdefault(row.sha256, row.example.name)
    torn = [names[key] for key, found in classes.items() if len(found) > 1]
    return (f"{len(torn)} images stand in more than one class: {some(torn)}",) if torn else ()


def pack_rows(rows: list[Row]) -> bytes:
    """Return the rows as the bytes of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def check_same(split: Split, path: Path) -> None:
    """Raise InputError that names what differs if `split` is not the one that a run recorded."""
    try:
        recorded = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", mend="begin a new run with another --out") from error
    if recorded == pack_rows(split.rows):
        return
    before = {row[0]: tuple(row) for row in list(csv.reader(io.StringIO(recorded.decode())))[1:]}
    now = {row[0]: row for row in split.rows}
    changed = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    kinds = ((changed, "changed"), (gone, "are gone"), (new, "are new"))
    parts = [f"{len(names)} {kind} ({_told(names[0], before, now)})" for names, kind in kinds if names]
    raise InputError(
        f"the data is not what the run began with: {', '.join(parts) or 'another order of classes'}",
        allowed=f"the images and classes of {path}",
        mend="bring them back, or begin a new run with another --out",
    )


def _told(name: str, before: dict[str, tuple[str, ...]], now: dict[str, Row]) -> str:
    if name in before and name in now and before[name][1] != now[name][1]:
        return f"{name!r} was {before[name][1]!r}, is {now[name][1]!r}"
    return repr(name)
