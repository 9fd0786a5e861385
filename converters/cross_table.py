"""What several runtimes' answers tell: each against float, against the first of its precision, and all in pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from converters.cross_runtime import Answers, StudiedFile, Study
from edgenet.agreement import Agreement, Comparison, top1
from edgenet.photos import Skipped

Unit = Literal["steps", "relative"]


@dataclass(frozen=True)
class CrossRow:
    """One file in one runtime; what is None could not be had, for `reason`.

    `difference` is the largest of a logit to `against`, the first row of the same stem, so that an .onnx file is held
    against the .tflite file beside it: in steps of an integer output, else as a share of the largest logit there.
    """

    file: str
    runtime: str
    machine: str
    version: str
    agreement: Agreement | None
    against: str
    difference: float | None
    unit: Unit
    reason: str
    note: str

    @property
    def sqnr_db(self) -> float | None:
        """Return the logits' SQNR; None says that they are equal, or that there are none."""
        found = self.agreement
        return found.sqnr_db if found and math.isfinite(found.sqnr_db) else None

    def document(self) -> dict[str, Any]:
        """Return the row for --json."""
        figures = {"agreement": None} if self.agreement is None else asdict(self.agreement)
        return {**asdict(self), **figures, "sqnr_db": self.sqnr_db}


@dataclass(frozen=True)
class CrossTable:
    """All rows on the same images; `pairs` [rows, rows] are shares of images with the same top-1 class."""

    rows: tuple[CrossRow, ...]
    pairs: tuple[tuple[float | None, ...], ...]
    golden: dict[str, float | None]  # file -> how far it is off its golden vectors in its own runtime
    broken: tuple[str, ...]  # sentences: what fails whatever the gates are
    count: int
    images: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the result for --json."""
        return {
            "count": self.count,
            "images": self.images,
            "rows": [row.document() for row in self.rows],
            "pairs": self.pairs,
            "golden_max_abs_error": self.golden,
            "skipped": [asdict(row) for row in self.skipped],
            "notes": self.notes,
        }


def tabulate(study: Study, answers: Sequence[Answers]) -> CrossTable:
    """Hold all answers against float, against the first of their stem, and against each other; rows go by file."""
    ordered = [row for file in study.files for row in answers if row.file == file.name]
    sound = [_sound(row) for row in ordered]
    firsts: dict[str, Answers] = {}
    for row in sound:
        if row.logits is not None:
            firsts.setdefault(Path(row.file).stem, row)
    rows = [_row(study, row, firsts.get(Path(row.file).stem)) for row in sound]
    return CrossTable(
        rows=tuple(rows),
        pairs=_pairs([row.logits for row in sound]),
        golden={file.name: file.golden.max_abs_error if file.golden else None for file in study.files},
        broken=(*_golden_failures(study.files), *(_not_finite(row) for row in ordered if not _is_finite(row))),
        count=len(study.images.pixels),
        images=study.images.description,
        skipped=study.images.skipped,
        notes=study.notes,
    )


def _is_finite(row: Answers) -> bool:
    return row.logits is None or bool(np.isfinite(row.logits).all())


def _not_finite(row: Answers) -> str:
    return f"{row.file} in {row.runtime} gives NaN or infinity"


def _sound(row: Answers) -> Answers:
    if _is_finite(row):
        return row
    return Answers(row.file, row.runtime, row.machine, row.version, None, "its logits hold NaN or infinity")


def _golden_failures(files: Sequence[StudiedFile]) -> list[str]:
    failed = [(file.name, file.golden) for file in files if file.golden and not file.golden.passed]
    return [
        f"{name} is off its golden vectors by {golden.max_abs_error:.3g} (at most {golden.tolerance:.3g})"
        for name, golden in failed
    ]


def _row(study: Study, row: Answers, first: Answers | None) -> CrossRow:
    (end,) = [file.end for file in study.files if file.name == row.file]
    scale = end.scale if end else 0.0
    agreement, difference = None, None
    if row.logits is not None and first is not None and first.logits is not None:
        comparison = Comparison()
        comparison.add(study.float_logits, row.logits, study.images.labels)
        agreement = comparison.result()
        difference = _difference(first.logits, row.logits, scale)
    return CrossRow(
        file=row.file,
        runtime=row.runtime,
        machine=row.machine,
        version=row.version,
        agreement=agreement,
        against=f"{first.file} in {first.runtime}" if first else "",
        difference=difference,
        unit="steps" if scale else "relative",
        reason=row.reason,
        note=row.note,
    )


def _difference(first: NDArray[np.float32], second: NDArray[np.float32], scale: float) -> float:
    """Return the largest difference of a logit: whole output steps, or a share of the first's largest logit."""
    largest = float(np.max(np.abs(first - second)))
    if scale:
        return float(round(largest / scale))
    signal = float(np.max(np.abs(first)))
    return largest / signal if signal else largest


def _pairs(logits: Sequence[NDArray[np.float32] | None]) -> tuple[tuple[float | None, ...], ...]:
    classes = [None if row is None else top1(row) for row in logits]
    return tuple(
        tuple(None if one is None or other is None else float(np.mean(one == other)) for other in classes)
        for one in classes
    )


def failures(table: CrossTable, max_drop: float | None, min_agree: float | None) -> list[str]:
    """Return one sentence for each gate that a row does not pass, behind what fails without any gate."""
    found = list(table.broken)
    for row in table.rows:
        if row.agreement is None:
            continue
        name, share, accuracy = f"{row.file} in {row.runtime}", row.agreement.agreement, row.agreement.accuracy
        if min_agree is not None and share.fraction < min_agree:
            found.append(f"{name} agrees with float on {share.fraction:.4f} of the images (at least {min_agree:g})")
        if max_drop is not None and accuracy and accuracy.drop.points > max_drop:
            found.append(f"{name} loses {accuracy.drop.points:.2f} points of top-1 (at most {max_drop:g})")
    return found
