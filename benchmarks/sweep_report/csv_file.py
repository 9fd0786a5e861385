"""A sweep as a CSV file: a line a point and one for each cell without a latency, SI units in the headers.

Times of emulated devices stand in columns of their own: whoever takes the mean of a column never mixes them in.
"""

from __future__ import annotations

import csv
import io

from benchmarks.result import Provenance
from benchmarks.sweep.record import CellRecord, LatencyRecord, SweepRecord
from benchmarks.sweep_report.points import groups
from benchmarks.table import Cell, no_formula, setting_text

TEXTS = (
    "variant", "precision", "device", "status", "failures", "front", "file", "sha256", "weights", "top1_provenance",
    "latency_provenance", "setting", "golden", "device_model", "processor", "runtime", "protocol", "started_at",
    "warnings",
)  # fmt: skip
MODEL = ("size_bytes", "parameters", "macs", "side_px", "num_classes")
ACCURACY = (
    "evaluated_images", "top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high", "calibration_error",
    "verified_images", "agreement", "agreement_low", "agreement_high",
)  # fmt: skip
LATENCY = ("median_s", "low_s", "high_s", "p90_s", "images_per_s", "peak_rss_bytes")
EMULATED = tuple(f"emulated_{name}" for name in LATENCY)


def csv_text(sweep: SweepRecord) -> str:
    """Return the lines below their headers."""
    best = {(point.cell, point.setting) for group in groups(sweep) for point in group.front}
    out = io.StringIO()
    headers = (*TEXTS, *MODEL, *ACCURACY, *LATENCY, *EMULATED)
    writer = csv.DictWriter(out, headers, restval="", lineterminator="\n")
    writer.writeheader()
    for index, cell in enumerate(sweep.cells):
        for number, row in enumerate(cell.latencies) if cell.latencies else ((None, None),):
            writer.writerow(_line(cell, row, (index, number) in best))
    return out.getvalue()


def _line(cell: CellRecord, row: LatencyRecord | None, on_front: bool) -> dict[str, Cell]:
    texts: dict[str, str] = {
        "variant": cell.variant,
        "precision": cell.precision,
        "device": cell.device or "",
        "status": cell.status,
        "failures": "; ".join(f"{failure.step}: {failure.message}" for failure in cell.failures),
        "front": "front" if on_front else "",
        "top1_provenance": "measured" if cell.accuracy else "",
        **(_model_texts(cell)),
        **(_latency_texts(row) if row else {}),
    }
    figures = {**_model(cell), **_accuracy(cell), **(_latency(row, row.provenance) if row else {})}
    return {**{name: no_formula(text) for name, text in texts.items()}, **figures}


def _model_texts(cell: CellRecord) -> dict[str, str]:
    model = cell.model
    return {"file": model.file, "sha256": model.sha256, "weights": model.weights} if model else {}


def _latency_texts(row: LatencyRecord) -> dict[str, str]:
    return {
        "latency_provenance": row.provenance,
        "setting": setting_text(row.setting),
        "golden": {None: "none", True: "passed", False: "failed"}[row.golden],
        "device_model": row.device_model,
        "processor": row.processor,
        "runtime": row.runtime,
        "protocol": row.protocol,
        "started_at": row.started_at,
        "warnings": " ".join(row.warnings),
    }


def _model(cell: CellRecord) -> dict[str, Cell]:
    return {name: getattr(cell.model, name) for name in MODEL} if cell.model else {}


def _accuracy(cell: CellRecord) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    if cell.accuracy:
        found |= {"evaluated_images": cell.accuracy.images, "calibration_error": cell.accuracy.calibration_error}
        for name, share in (("top1", cell.accuracy.top1), ("top5", cell.accuracy.top5)):
            found |= {name: share.fraction, f"{name}_low": share.low, f"{name}_high": share.high}
    held = cell.model.verification if cell.model else None
    if held:
        found |= {name: getattr(held, name) for name in ("agreement", "agreement_low", "agreement_high")}
        found["verified_images"] = held.images
    return found


def _latency(row: LatencyRecord, provenance: Provenance) -> dict[str, Cell]:
    prefix = "emulated_" if provenance == "emulated" else ""
    return {f"{prefix}{name}": getattr(row, name) for name in LATENCY}
