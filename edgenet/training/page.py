"""One HTML page about a finished run, complete in itself: no request leaves it, and it has no script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from benchmarks import page as report
from edgenet.training.curves import curves
from edgenet.training.state import EpochRecord
from edgenet.weights.run_folder import RunRecord

PAGE_NAME = "training.html"
TEMPLATES = Path(__file__).parent / "templates"
LARGEST_MATRIX = 30  # classes; a wider table is no picture any more, so that pairs are listed instead
SHADES = 8
PAIRS = 20


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
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Pair:
    """Images of one class that were taken for another."""

    label: str
    taken_for: str
    images: int


def render_page(run: RunRecord, history: Sequence[EpochRecord], confusion: NDArray[np.int64]) -> str:
    """Return the page about a run; `confusion` [classes, classes] counts each class' [row] answers [column]."""
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, report.TEMPLATES]),
        autoescape=True,  # of everything: labels are names of folders
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "".join(
        path.read_text(encoding="utf-8") for path in (report.TEMPLATES / "report.css", TEMPLATES / "training.css")
    )
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("training.html").render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=style,
        run=run,
        history=history,
        drawings=curves(history, run.best_epoch),
        rows=class_rows(run.labels, confusion),
        pairs=confused_pairs(run.labels, confusion),
        show_matrix=len(run.labels) <= LARGEST_MATRIX,
        facts=_facts(run),
    )


def class_rows(labels: Sequence[str], confusion: NDArray[np.int64]) -> list[ClassRow]:
    """Return each class with its figures and its row of the matrix."""
    answers = confusion.sum(axis=0)
    rows = []
    for index, label in enumerate(labels):
        images, right = int(confusion[index].sum()), int(confusion[index, index])
        cells = tuple(_cell(int(count), images, place == index) for place, count in enumerate(confusion[index]))
        precision = right / int(answers[index]) if answers[index] else None
        rows.append(ClassRow(label, images, right / images if images else 0.0, precision, cells))
    return rows


def _cell(count: int, images: int, right: bool) -> Cell:
    return Cell(count, max(1, round(SHADES * count / images)) if count else 0, right)


def confused_pairs(labels: Sequence[str], confusion: NDArray[np.int64]) -> list[Pair]:
    """Return the pairs of classes that are confused most, the largest first."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(place), len(labels)) for place in order]
    return [Pair(labels[row], labels[column], int(wrong[row, column])) for row, column in places if wrong[row, column]]


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    return [
        ("Variant", f"{run.variant} at {run.preprocessing.side_px} px"),
        ("Began from", f"{run.began_from.source}: {run.began_from.origin}"),
        ("Images", f"{run.train_images} to train, {run.val_images} to validate"),
        ("Epochs", f"{run.epochs}; the weights are those after epoch {run.best_epoch}"),
        *([("Compression", run.compress.summary)] if run.compress else []),
        ("Seed", str(run.seed)),
        ("Weights", f"{run.weights}, sha256 {run.sha256}"),
        ("Tools", ", ".join(f"{name} {version}" for name, version in run.tool_versions.items())),
        ("Command", " ".join(run.command)),
    ]
