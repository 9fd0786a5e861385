"""Results of sweeps for tests of what reads them. All figures are made up: nothing here was converted or measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accuracy.record import DataRecord, MachineRecord, PassedOverRecord, ShareRecord
from benchmarks.result import Provenance, Setting
from benchmarks.sweep.record import (
    RESULT_NAME,
    AccuracyRecord,
    CellRecord,
    FailureRecord,
    GridRecord,
    LatencyRecord,
    MappingRecord,
    SweepRecord,
    SweptModelRecord,
)
from edgenet.counts import count
from edgenet.layers import expand
from edgenet.manifest import VerificationRecord
from edgenet.precision import Precision
from edgenet.published import PUBLISHED
from edgenet.variants import parse_variant

IMAGES = 1000
NOTHING = PassedOverRecord(count=0, first=())
DATA = DataRecord(
    place="photos", kind="labels.csv", labels_by="labels.csv", images=IMAGES, sha256="d" * 64, unreadable=NOTHING,
    passed_over=NOTHING, classes=1000, classes_with_images=600,
)  # fmt: skip
MACHINE = MachineRecord(
    model="", processor="made-up CPU", machine="x86_64", cores=2, memory_bytes=2**33, system="Debian 12", kernel="6",
)  # fmt: skip
MACS_PER_S = {"pi4": 8e9, "pi5": 25e9, "pixel": 40e9, "jetson": 18e9, "qemu": 1e9}
BYTES = {"fp32": 4.0, "fp16": 2.0, "w8": 1.0, "w8d": 1.0, "w8a8": 1.0, "w8a16": 1.0}
SPEED = {"fp32": 1.0, "fp16": 1.0, "w8": 0.8, "w8d": 0.6, "w8a8": 2.4, "w8a16": 0.05}
LOSS = {"fp32": 0.0, "fp16": 0.0002, "w8": 0.002, "w8d": 0.004, "w8a8": 0.011, "w8a16": 0.003}


def share(fraction: float, images: int = IMAGES) -> ShareRecord:
    """Return a share with its 95 % Wilson interval."""
    hits = round(fraction * images)
    middle, z = hits / images, 1.96
    centre = (middle + z * z / (2 * images)) / (1 + z * z / images)
    half = z * math.sqrt(middle * (1 - middle) / images + z * z / (4 * images**2)) / (1 + z * z / images)
    return ShareRecord(hits=hits, images=images, fraction=middle, low=centre - half, high=centre + half)


def model(variant: str, precision: Precision) -> SweptModelRecord:
    """Return the file of a cell, of the variant's true counts."""
    network = expand(parse_variant(variant))
    counts = count(network)
    agreement = share(1 - 3 * LOSS[precision], 128)
    stem = f"{variant}-{precision}"
    return SweptModelRecord(
        file=f"models/{stem}.tflite", manifest=f"models/{stem}.manifest.json", sha256="a" * 64,
        size_bytes=round(BYTES[precision] * counts.batch_norm_folded), parameters=counts.trainable, macs=counts.macs,
        side_px=network.side_px, num_classes=1000, weights="imagenet",
        verification=VerificationRecord(
            images=128, probe="photos", agreement=agreement.fraction, agreement_low=agreement.low,
            agreement_high=agreement.high, sqnr_db=None if precision == "fp32" else 22.5, max_abs_error=0.2,
            worst_layer="conv_head", worst_layer_sqnr_db=12.0,
        ),
    )  # fmt: skip


def accuracy(variant: str, precision: Precision, top1: float | None = None) -> AccuracyRecord:
    """Return what a cell answered: as often right as the authors published, less a made-up loss."""
    fraction = PUBLISHED[variant].top1_percent / 100 - LOSS[precision] if top1 is None else top1
    return AccuracyRecord(
        report=f"accuracy/{variant}-{precision}/evaluate.json", images=IMAGES, top1=share(fraction),
        top5=share(min(0.99, fraction + 0.17)), calibration_error=0.031, agreement=None,
    )  # fmt: skip


def latency(device: str, median_s: float, threads: int = 4, provenance: Provenance = "measured") -> LatencyRecord:
    """Return one setting with an interval of 1 % on either side."""
    return LatencyRecord(
        report=f"benchmarks/{device}.benchmark.json", provenance=provenance, protocol="standard",
        setting=Setting(threads=threads, processes=1, batch=1, affinity=(), delegate="xnnpack"), median_s=median_s,
        low_s=0.99 * median_s, high_s=1.01 * median_s, p90_s=1.05 * median_s, images_per_s=1 / median_s,
        peak_rss_bytes=120 * 2**20, device_model=f"made-up {device}", processor="Cortex-A72",
        runtime="ai-edge-litert 2.3.0", started_at="2026-01-02T03:04:05Z", golden=True, warnings=(),
    )  # fmt: skip


def cell(variant: str, precision: Precision, device: str | None = None, **changes: object) -> CellRecord:
    """Return a cell that is done, changed where the test says."""
    found = model(variant, precision)
    rows: tuple[LatencyRecord, ...] = ()
    if device:
        median_s = 0.001 + found.macs / (MACS_PER_S[device] * SPEED[precision])
        rows = (latency(device, median_s, provenance="emulated" if device == "qemu" else "measured"),)
    record = CellRecord(
        variant=variant, precision=precision, device=device, status="done", failures=(), model=found, mappings=(),
        accuracy=accuracy(variant, precision), latencies=rows,
    )  # fmt: skip
    return record.model_copy(update=changes)


def failed(variant: str, precision: Precision, device: str | None, message: str) -> CellRecord:
    """Return a cell whose benchmark failed."""
    failure = FailureRecord(step="benchmark", message=message, exit_code=3)
    return cell(variant, precision, device, status="failed", failures=(failure,), latencies=())


def waiting(variant: str, precision: Precision, device: str | None) -> CellRecord:
    """Return a cell of which nothing was done yet."""
    return cell(variant, precision, device, status="waiting", model=None, accuracy=None, latencies=())


def mapping(target: str = "edgetpu") -> MappingRecord:
    """Return what a target would take."""
    estimated = {"USB accelerator at USB 3": 0.0041}
    return MappingRecord(
        target=target, report="checks/a.json", operators=60, accelerated=58, uncertain=1, estimated_s=estimated,
        refusal="",
    )  # fmt: skip


def sweep(cells: Sequence[CellRecord], data: DataRecord | None = DATA) -> SweepRecord:
    """Return the sweep of these cells; its grid is what they are made of."""
    grid = GridRecord(
        variants=tuple(dict.fromkeys(row.variant for row in cells)),
        precisions=tuple(dict.fromkeys(row.precision for row in cells)),
        devices=tuple(dict.fromkeys(row.device for row in cells if row.device)),
        data="photos" if data else "",
        targets=(),
    )
    return SweepRecord(grid=grid, data=data, machine=MACHINE, tool_versions={"edgenet": "0.1.0"}, cells=tuple(cells))


def small_sweep() -> SweepRecord:
    """Return three variants in two precisions on a Pi and on an emulated machine, one failed and one waiting."""
    precisions: tuple[Precision, ...] = ("fp32", "w8a8")
    variants, devices = ("lite0", "lite2", "b0"), ("pi4", "qemu")
    cells = [cell(one, two, device) for one in variants for two in precisions for device in devices]
    cells[0] = cells[0].model_copy(update={"mappings": (mapping(),)})
    cells[8] = failed("b0", "fp32", "pi4", "pi4: cannot connect to ssh://pi@pi4")
    cells[10] = waiting("b0", "w8a8", "pi4")
    return sweep(cells)


def unevaluated(record: SweepRecord) -> SweepRecord:
    """Return the sweep as it is without images."""
    cells = tuple(row.model_copy(update={"accuracy": None}) for row in record.cells)
    return record.model_copy(update={"cells": cells, "data": None})


def large_sweep() -> SweepRecord:
    """Return 500 cells: twenty variants in five precisions on five devices."""
    variants = list(PUBLISHED)[:20]
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "w8d", "w8", "w8a8")
    cells = [cell(one, two, device) for one in variants for two in precisions for device in MACS_PER_S]
    for number in range(0, len(cells), 7):
        [row] = cells[number].latencies
        warned = row.model_copy(update={"warnings": ("other-work", "drift")})
        cells[number] = cells[number].model_copy(update={"latencies": (warned,)})
    return sweep(cells)


def write_sweep(record: SweepRecord, folder: Path) -> Path:
    """Write a sweep as `edgenet sweep` does and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_NAME).write_text(record.model_dump_json(indent=1), encoding="utf-8")
    return folder
