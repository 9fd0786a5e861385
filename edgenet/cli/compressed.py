"""How `convert` reports what making a network smaller brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edgenet.cli.console import Column, say, show, show_table
from edgenet.cli.progress import StepProgress
from edgenet.compression import NOTHING
from edgenet.progress import Report, silent

if TYPE_CHECKING:
    from benchmarks.compression import Compared, Compressed, Sizes
    from converters.conversion import Request
    from edgenet.agreement import Accuracy
    from edgenet.artifact import Artifact

COLUMNS = (
    Column("\nfile"),
    Column("weights\nzero", numeric=True),
    Column("\nMB", numeric=True),
    Column("\ngzip -9", numeric=True),
    Column("\nzstd -12", numeric=True),
    Column("times the latency\n(95 % interval)", numeric=True),
    Column("top-1\nfloat", numeric=True),
    Column("\nfile", numeric=True),
    Column("\nmeasured on this runtime"),
)
CALIBRATION_SAMPLES = 16  # of files that are only timed and weighed


@dataclass(frozen=True)
class Measured:
    """On what the cost in accuracy is measured, and where the weights are if they are a local file."""

    data: Path | None
    weights: str


def report_compression(request: Request, artifacts: Sequence[Artifact], measured: Measured) -> list[Compressed]:
    """Return the report of the files that were made smaller, each measured in turn with its uncompressed form."""
    smaller = [row for row in artifacts if row.manifest.compression]
    if not smaller:
        return []
    from benchmarks.compression import measure

    with StepProgress() as report, TemporaryDirectory(prefix="edgenet-") as folder:
        report("measuring what compression brought", 0, len(smaller) + 1)
        others, compared = _uncompressed(request, smaller[0], Path(folder))
        accuracies = _accuracies(smaller, measured, report) if measured.data else [None] * len(smaller)
        rows = []
        for index, (artifact, accuracy) in enumerate(zip(smaller, accuracies, strict=True)):
            report("measuring what compression brought", index + 1, len(smaller) + 1)
            kind = (artifact.manifest.precision, artifact.path.suffix)
            rows.append(measure(artifact, others[kind], compared, accuracy))
        report("measuring what compression brought", len(smaller) + 1, len(smaller) + 1)
    return rows


def _uncompressed(
    request: Request, artifact: Artifact, folder: Path
) -> tuple[dict[tuple[str, str], Artifact], Compared]:
    """Write the files as they were before: the same weights, or, for what came out of training so, random ones.

    How long a file takes does not depend on the values of its weights.
    """
    from converters import conversion
    from edgenet.weights.random import random_weights

    compared: Compared = "the same network uncompressed"
    plain = replace(request, compression=NOTHING, manifest=None, repair=None, recipe=None, samples=CALIBRATION_SAMPLES)
    plain = replace(plain, calib="builtin")
    if not artifact.manifest.to_compression():
        compared = "the full variant with seeded random weights"
        full = random_weights(request.variant, num_classes=artifact.manifest.weights.num_classes)
        plain = replace(plain, model=replace(full, preprocessing=artifact.manifest.to_preprocessing()))
    written = conversion.run(plain, folder, False, (), silent, lambda text: None)
    return {(row.manifest.precision, row.path.suffix): row for row in written}, compared


def _accuracies(artifacts: Sequence[Artifact], measured: Measured, report: Report) -> list[Accuracy | None]:
    from converters.reference import float_reference
    from converters.verify_photos import compare_on_photos
    from edgenet.datasets import open_dataset

    first = artifacts[0].manifest
    preprocessing = first.to_preprocessing()
    assert measured.data is not None
    dataset = open_dataset(
        measured.data, first.weights.num_classes - preprocessing.label_offset, None, first.weights.labels
    )
    contents = [row.path.read_bytes() for row in artifacts]
    reference = float_reference(artifacts[0], None, measured.weights, say)
    result = compare_on_photos(reference, contents, dataset, preprocessing, report)
    return [row.accuracy for row in result.agreements]


def documents(rows: Sequence[Compressed]) -> list[dict[str, object]]:
    """Return the report for --json."""
    from benchmarks.compression import document

    return document(rows)


def show_compression(rows: Sequence[Compressed]) -> None:
    """Show the report as a table."""
    if not rows:
        return
    show()
    show(f"compared with {rows[0].compared_with}, in the same precision and the same run, one thread:")
    show()
    kept = [index for index in range(len(COLUMNS)) if rows[0].accuracy or index not in (6, 7)]
    show_table([COLUMNS[index] for index in kept], [[_cells(row)[index] for index in kept] for row in rows])
    _show_refusals(rows)


def _show_refusals(rows: Sequence[Compressed]) -> None:
    """Tell once for each set of reasons why zeros are not skipped."""
    reasons: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.sparse_refusals:
            reasons.setdefault(row.sparse_refusals, []).append(row.artifact.path.name)
    for refusals, names in reasons.items():
        show(f"XNNPACK does not skip the zeros of {', '.join(names)}: {'; '.join(refusals)}")


def _cells(row: Compressed) -> list[str]:
    speed = row.speed
    accuracy = [
        f"{100 * share.fraction:.1f} %"
        for share in ((row.accuracy.reference_top1, row.accuracy.test_top1) if row.accuracy else ())
    ]
    return [
        row.artifact.path.name,
        f"{100 * row.zero_share:.1f} %" if row.layers else "",
        *(_size(row.sizes, row.compared_sizes, name) for name in ("size_bytes", "gzip_bytes", "zstd_bytes")),
        f"{speed.ratio:.2f} ({speed.low:.2f}–{speed.high:.2f})",
        *(accuracy or ["", ""]),
        speed.verdict,
    ]


def _size(own: Sizes, compared: Sizes, name: str) -> str:
    return f"{getattr(own, name) / 1e6:.1f} of {getattr(compared, name) / 1e6:.1f}"
