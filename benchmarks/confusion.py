"""What a page shows of how classes are taken for each other: figures of each, the matrix of a few, the worst pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LARGEST_MATRIX = 30  # classes; a wider table is no picture any more, so that pairs are listed instead
SHADES = 8
PAIRS = 20

Counts = Mapping[tuple[int, int], int]
"""(place of the image's class, place of the answer) -> images."""


@dataclass(frozen=True)
class Cell:
    """A field of the confusion matrix; `shade` is its share of the row in SHADES steps, 0 only for no image."""

    count: int
    shade: int
    right: bool


@dataclass(frozen=True)
class ClassRow:
    """How one class was done; precision is None where the class was never given as an answer."""

    label: str
    images: int
    recall: float
    precision: float | None
    cells: tuple[Cell, ...]  # () where there are too many classes for a matrix


@dataclass(frozen=True)
class Pair:
    """Images of one class that were taken for another."""

    label: str
    taken_for: str
    images: int


def class_rows(labels: Sequence[str], counts: Counts) -> list[ClassRow]:
    """Return each class with its figures and its row of the matrix."""
    images, answers = Counter[int](), Counter[int]()
    for (row, column), count in counts.items():
        images[row] += count
        answers[column] += count
    columns = range(len(labels)) if len(labels) <= LARGEST_MATRIX else ()
    rows = []
    for index, label in enumerate(labels):
        there, right = images[index], counts.get((index, index), 0)
        cells = tuple(_cell(counts.get((index, place), 0), there, place == index) for place in columns)
        precision = right / answers[index] if answers[index] else None
        rows.append(ClassRow(label, there, right / there if there else 0.0, precision, cells))
    return rows


def _cell(count: int, images: int, right: bool) -> Cell:
    return Cell(count, max(1, round(SHADES * count / images)) if count else 0, right)


def confused_pairs(labels: Sequence[str], counts: Counts) -> list[Pair]:
    """Return the pairs of classes that are confused most, the largest first."""
    wrong = [(-count, row, column) for (row, column), count in counts.items() if row != column and count]
    return [Pair(labels[row], labels[column], -count) for count, row, column in sorted(wrong)[:PAIRS]]
