"""From what the on-device runner measured to results: the statistics and the warnings are made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.result import (
    BenchmarkRecord,
    DeviceRecord,
    EnergyRecord,
    EnvironmentRecord,
    MeasurementRecord,
    ModelRecord,
    OpTimeRecord,
    RuntimeRecord,
    SessionRecord,
    SnapshotRecord,
)
from benchmarks.runner_document import RunnerBoard, RunnerDocument, RunnerMeasurement, RunnerModel, RunnerOp
from benchmarks.statistics import statistics
from benchmarks.warnings import find_warnings
from edgenet.manifest import Manifest


@dataclass(frozen=True)
class Origin:
    """What the host knows of a session: the device as the user named it and as it described itself, and the command."""

    name: str
    address: str
    facts: Mapping[str, str]  # Description.facts
    kind: Literal["local", "ssh", "adb", "fake"]
    session_id: str
    command: tuple[str, ...]
    edgenet_version: str


def to_results(document: RunnerDocument, origin: Origin, manifests: Mapping[str, Manifest]) -> list[BenchmarkRecord]:
    """Return one result a model; `manifests` by the SHA-256 of their files."""
    return [_result(document, index, origin, manifests) for index in range(len(document.models))]


def _result(document: RunnerDocument, index: int, origin: Origin, manifests: Mapping[str, Manifest]) -> BenchmarkRecord:
    model = document.models[index]
    measurements = tuple(_measurement(row, document) for row in document.measurements if row.model == index)
    result = BenchmarkRecord(
        provenance="emulated" if document.board.emulated_by or origin.facts.get("emulated") else "measured",
        model=_model(model, manifests.get(model.sha256)),
        device=_device(document.board, origin, model.runtime),
        session=SessionRecord(
            id=origin.session_id,
            started_at=document.started_at,
            models=tuple(row.name for row in document.models),
            command=origin.command,
            edgenet_version=origin.edgenet_version,
        ),
        protocol=document.protocol,
        environment=document.environment,
        measurements=measurements,
        warnings=(),
    )
    return result.model_copy(update={"warnings": find_warnings(result)})


def _model(model: RunnerModel, manifest: Manifest | None) -> ModelRecord:
    return ModelRecord(
        file=model.name,
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        format=model.format,
        variant=manifest.variant if manifest else None,
        precision=manifest.precision if manifest else None,
        weights=manifest.weights.source if manifest else None,
    )


def _device(board: RunnerBoard, origin: Origin, runtime: RuntimeRecord) -> DeviceRecord:
    facts = board.model_dump(exclude={"emulated_by"})
    for key in ("model", "soc"):  # which a phone tells its shell, not its files
        facts[key] = facts[key] or origin.facts.get(key, "")
    return DeviceRecord(name=origin.name, address=origin.address, kind=origin.kind, runtime=runtime, **facts)


def _measurement(row: RunnerMeasurement, document: RunnerDocument) -> MeasurementRecord:
    figures = statistics(row.blocks)
    return MeasurementRecord(
        setting=row.setting,
        delegate=row.delegate,
        cold_starts=row.cold_starts,
        warmup_runs=row.warmup_runs,
        warmup_s=row.warmup_s,
        blocks=row.blocks,
        statistics=figures,
        images_per_s=images_per_s(row),
        memory=row.memory,
        golden=row.golden,
        ops=_ops(row.ops),
        ops_note=row.ops_note,
        energy=_energy(row, document.environment),
    )


def images_per_s(row: RunnerMeasurement) -> float:
    """Return what all processes together answered a second while they ran side by side."""
    total = 0.0
    for process in range(row.setting.processes):
        samples_s = [sample_s for block in row.blocks if block.process == process for sample_s in block.samples_s]
        total += row.setting.batch * len(samples_s) / sum(samples_s) if samples_s else 0.0
    return total


def _ops(rows: tuple[RunnerOp, ...]) -> tuple[OpTimeRecord, ...]:
    total_s = sum(row.mean_s for row in rows)
    ordered = sorted(rows, key=lambda row: row.mean_s, reverse=True)
    return tuple(OpTimeRecord(**row.model_dump(), share=row.mean_s / total_s if total_s else 0.0) for row in ordered)


def _energy(row: RunnerMeasurement, environment: EnvironmentRecord) -> EnergyRecord | None:
    """Return the mean of the meter's readings during this measurement, spread over its inferences."""
    starts_s, last = row.blocks[0].start_s, row.blocks[-1]
    ends_s = last.start_s + sum(last.samples_s)
    watts = _readings(environment.during, starts_s, ends_s)
    if not watts or environment.power_source is None:
        return None
    busy_s = sum(sum(block.samples_s) for block in row.blocks) / row.setting.processes
    inferences = sum(len(block.samples_s) for block in row.blocks)
    mean_w = sum(watts) / len(watts)
    return EnergyRecord(
        source=environment.power_source,
        idle_w=environment.before.power_w,
        mean_w=mean_w,
        joule_per_inference=mean_w * busy_s / inferences,
    )


def _readings(snapshots: tuple[SnapshotRecord, ...], starts_s: float, ends_s: float) -> list[float]:
    return [row.power_w for row in snapshots if row.power_w is not None and starts_s <= row.at_s <= ends_s]
