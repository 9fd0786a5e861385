"""From what a sweep has found to its record, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.accuracy.evaluate import machine_record
from benchmarks.accuracy.record import DataRecord, FileRecord
from benchmarks.result import BenchmarkRecord, MeasurementRecord
from benchmarks.sweep.found import File, Found
from benchmarks.sweep.grid import Grid
from benchmarks.sweep.record import (
    AccuracyRecord,
    CellRecord,
    GridRecord,
    LatencyRecord,
    MappingRecord,
    SweepRecord,
    SweptModelRecord,
)
from benchmarks.sweep.store import Entry
from converters.evidence import tool_versions
from devices.on_device.board import usable_cores
from edgenet.artifact import MANIFEST_SUFFIX, Artifact, beside
from edgenet.counts import count
from edgenet.layers import expand
from edgenet.variants import parse_variant


def sweep_record(grid: Grid, found: Found, folder: Path) -> SweepRecord:
    """Return the record of all cells; paths in it are relative to `folder`."""
    models = {file: _model(artifact, folder) for file, artifact in found.models.items()}
    accuracies = {file: _accuracy(entry, folder) for file, entry in found.evaluations.items()}
    cells = [
        _cell(grid, found, (variant, precision), device, models, accuracies, folder)
        for variant, precision, device in grid.cells()
    ]
    return SweepRecord(
        grid=GridRecord(
            variants=grid.variants,
            precisions=grid.precisions,
            devices=grid.devices,
            data=grid.data.encode(errors="replace").decode(),
            targets=grid.targets,
        ),
        data=DataRecord.model_validate_json(json.dumps(found.data)) if found.data else None,
        machine=machine_record(usable_cores()),
        tool_versions=tool_versions(),
        cells=tuple(cells),
    )


def _cell(
    grid: Grid,
    found: Found,
    file: File,
    device: str | None,
    models: Mapping[File, SweptModelRecord],
    accuracies: Mapping[File, AccuracyRecord],
    folder: Path,
) -> CellRecord:
    checked = [(target, entry) for target in grid.targets if (entry := found.checks.get((file, target)))]
    benchmark = found.benchmarks.get((file, device)) if device else None
    failures = [row for place in dict.fromkeys((None, device)) for row in found.failures.get((file, place), [])]
    whole = (
        file in models
        and len(checked) == len(grid.targets)
        and (file in accuracies or not grid.data)
        and (benchmark is not None or device is None)
    )
    return CellRecord(
        variant=file[0],
        precision=file[1],
        device=device,
        status="failed" if failures else "done" if whole else "waiting",
        failures=tuple(failures),
        model=models.get(file),
        mappings=tuple(_mapping(target, entry, folder) for target, entry in checked),
        accuracy=accuracies.get(file),
        latencies=_latencies(benchmark, folder) if benchmark else (),
    )


def _model(artifact: Artifact, folder: Path) -> SweptModelRecord:
    manifest = artifact.manifest
    variant, widths = parse_variant(manifest.variant), manifest.weights.widths
    counts = count(expand(variant, manifest.weights.num_classes, manifest.side_px, widths))
    return SweptModelRecord(
        file=_relative(artifact.path, folder),
        manifest=_relative(beside(artifact.path, MANIFEST_SUFFIX), folder),
        sha256=manifest.sha256,
        size_bytes=manifest.size_bytes,
        parameters=counts.batch_norm_folded,
        macs=counts.macs,
        side_px=manifest.side_px,
        num_classes=manifest.weights.num_classes,
        weights=manifest.weights.source,
        verification=manifest.verification,
    )


def _mapping(target: str, entry: Entry, folder: Path) -> MappingRecord:
    return MappingRecord(target=target, report=_relative(entry.files[0], folder), **entry.document)


def _accuracy(entry: Entry, folder: Path) -> AccuracyRecord:
    record = FileRecord.model_validate_json(entry.files[0].read_bytes())
    return AccuracyRecord(
        report=_relative(entry.files[0], folder),
        images=record.top1.images,
        top1=record.top1,
        top5=record.top5,
        calibration_error=record.calibration_error.expected,
        agreement=record.agreement,
    )


def _latencies(entry: Entry, folder: Path) -> tuple[LatencyRecord, ...]:
    record = BenchmarkRecord.model_validate_json(entry.files[0].read_bytes())
    return tuple(_latency(record, row, _relative(entry.files[0], folder)) for row in record.measurements)


def _latency(record: BenchmarkRecord, row: MeasurementRecord, report: str) -> LatencyRecord:
    statistics = row.statistics
    return LatencyRecord(
        report=report,
        provenance=record.provenance,
        protocol=record.protocol.name,
        setting=row.setting,
        median_s=statistics.median_s,
        low_s=statistics.median_low_s,
        high_s=statistics.median_high_s,
        p90_s=statistics.p90_s,
        images_per_s=row.images_per_s,
        peak_rss_bytes=row.memory.peak_rss_bytes if row.memory else None,
        device_model=record.device.model,
        processor=record.device.processor,
        runtime=f"{record.device.runtime.name} {record.device.runtime.version}",
        started_at=record.session.started_at,
        golden=row.golden.passed if row.golden else None,
        warnings=tuple(warning.code for warning in record.warnings),
    )


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
