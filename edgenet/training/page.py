"""One HTML page about a finished run, complete in itself: no request leaves it, and it has no script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.confusion import class_rows, confused_pairs
from benchmarks.page_template import TEMPLATES as SHARED
from benchmarks.page_template import page_template
from edgenet.training.curves import curves
from edgenet.training.state import EpochRecord
from edgenet.weights.run_folder import RunRecord

PAGE_NAME = "training.html"
TEMPLATES = Path(__file__).parent / "templates"
STYLES = (SHARED / "report.css", SHARED / "confusion.css", TEMPLATES / "training.css")


def render_page(run: RunRecord, history: Sequence[EpochRecord], confusion: NDArray[np.int64]) -> str:
    """Return the page about a run; `confusion` [classes, classes] counts each class' [row] answers [column]."""
    style = "".join(path.read_text(encoding="utf-8") for path in STYLES)
    counts = {(int(row), int(column)): int(confusion[row, column]) for row, column in np.argwhere(confusion)}
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return page_template("training.html", TEMPLATES).render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=style,
        run=run,
        history=history,
        drawings=curves(history, run.best_epoch),
        rows=class_rows(run.labels, counts),
        pairs=confused_pairs(run.labels, counts),
        facts=_facts(run),
    )


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
