"""Measure on a phone without Python: short processes of benchmark_model, the models in turn, as blocks of samples.

The tool prints no samples, but of a process with two or three runs its text tells each of them. So a block is one such
process, after a warm-up of its own; the protocol's minima count runs, and seconds that processes took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from benchmarks.phone_state import PhoneState
from benchmarks.plan import Model, Plan
from benchmarks.result import (
    BlockRecord,
    ColdStartRecord,
    DelegateRecord,
    GoldenRecord,
    SnapshotRecord,
)
from converters.runtime import Runner, decode, encode_pixels
from devices.base import Device
from devices.benchmark_binary import BenchmarkBinary, BinarySetting, infer, measure, profile, run_once, runs_for_samples
from devices.benchmark_binary import flags as binary_flags
from devices.benchmark_output import BinaryOp, BinaryReport
from devices.on_device.child import compare_golden
from edgenet.artifact import find_artifacts, read_golden
from edgenet.errors import GateFailed, InputError
from edgenet.progress import Report

# The tool's own defaults: each process is short, and so is its warm-up.
WARMUP_RUNS, WARMUP_S = 1, 0.5
SNAPSHOT_EVERY_S = 5.0
DELEGATES = {"xnnpack": True, "cpu": False}


@dataclass
class BinaryMeasurement:
    """One model with one number of threads, as it grows."""

    model: Model
    path: PurePosixPath
    threads: int
    golden: GoldenRecord | None
    cold_starts: tuple[ColdStartRecord, ...]
    delegate: DelegateRecord
    runs: int  # of one process
    blocks: list[BlockRecord] = field(default_factory=list)
    took_s: float = 0.0
    ops: tuple[BinaryOp, ...] = ()


@dataclass(frozen=True)
class BinarySession:
    """Everything that was measured, with the device's state."""

    measurements: list[BinaryMeasurement]
    before: SnapshotRecord
    during: list[SnapshotRecord]
    after: SnapshotRecord


def check_plan(plan: Plan) -> None:
    """Refuse what benchmark_model cannot do; raise InputError."""
    if plan.processes != (1,) or plan.batches != (1,) or plan.fix_governor:
        raise InputError(
            "--processes, --batch and --fix-governor need Python on the device",
            mend="leave them out, or measure where Python is (Termux has it)",
        )
    if plan.delegate and plan.delegate not in DELEGATES:
        raise InputError(f"--delegate cannot be {plan.delegate!r} with a binary", allowed=", ".join(DELEGATES))
    for model in plan.models:
        if model.format != "tflite":
            raise InputError(f"{model.label} is no .tflite file", mend="benchmark_model runs nothing else")


def measure_by_binary(
    device: Device, binary: BenchmarkBinary, paths: list[PurePosixPath], plan: Plan, report: Report
) -> BinarySession:
    """Measure the plan's models, which lie at `paths` on the device; raise GateFailed, InputError, DeviceTimeout."""
    started_s = time.monotonic()
    state = PhoneState(device, started_s)
    before, during = state.snapshot(), list[SnapshotRecord]()
    measurements: list[BinaryMeasurement] = []
    for threads in plan.threads:
        time.sleep(plan.protocol.cooldown_s)
        rows = [
            _prepared(device, binary, model, path, threads, plan)
            for model, path in zip(plan.models, paths, strict=True)
        ]
        for snapshot in _take_turns(device, binary, rows, plan, state, started_s, report):
            during.append(snapshot)
        for row in rows:
            row.ops = profile(device, binary, row.path, _setting(plan, threads, 20)).ops
        measurements += rows
    return BinarySession(measurements, before, during, state.snapshot())


def _setting(plan: Plan, threads: int, runs: int) -> BinarySetting:
    xnnpack = DELEGATES[plan.delegate or "xnnpack"]
    return BinarySetting(
        runs, 0.0, plan.timeout_s, WARMUP_RUNS, WARMUP_S, threads, xnnpack, plan.affinity
    )  # fmt: skip


def _prepared(
    device: Device, binary: BenchmarkBinary, model: Model, path: PurePosixPath, threads: int, plan: Plan
) -> BinaryMeasurement:
    setting = _setting(plan, threads, 1)
    golden = _golden(device, binary, model, path, setting) if model.golden else None
    starts = [run_once(device, binary, binary_flags(path, setting), setting) for _ in range(plan.protocol.cold_starts)]
    return BinaryMeasurement(
        model=model,
        path=path,
        threads=threads,
        golden=golden,
        cold_starts=tuple(
            ColdStartRecord(load_s=row.init_s, first_inference_s=row.first_inference_s or row.inference.first_s)
            for row in starts
        ),
        delegate=_coverage(starts[-1], plan.delegate or "xnnpack"),
        runs=runs_for_samples(starts[-1]),
    )


def _take_turns(
    device: Device,
    binary: BenchmarkBinary,
    rows: list[BinaryMeasurement],
    plan: Plan,
    state: PhoneState,
    started_s: float,
    report: Report,
) -> Iterator[SnapshotRecord]:
    """Give each model a process in turn until all have the protocol's runs and seconds; yield states in between."""
    rules, begun_s, looked_s = plan.protocol, time.monotonic(), 0.0
    done = 0.0
    while done < 1 and time.monotonic() - begun_s < rules.max_s * len(rows):
        for row in rows:
            start_s = time.monotonic() - started_s
            (run,) = measure(device, binary, row.path, _setting(plan, row.threads, row.runs), 1)
            samples_s = run.report.inference.samples_s
            if not samples_s:
                raise GateFailed(f"{binary.name} contradicts itself about {row.model.label}", mend="measure again")
            row.blocks.append(BlockRecord(start_s=start_s, process=0, samples_s=samples_s))
            row.took_s += run.elapsed_s
        done = min(min(len(row.blocks) * row.runs / rules.min_runs, row.took_s / rules.min_s) for row in rows)
        report(f"measure, threads {rows[0].threads}", min(100, int(100 * done)), 100)
        if time.monotonic() - looked_s > SNAPSHOT_EVERY_S:
            looked_s = time.monotonic()
            yield state.snapshot()


def _coverage(told: BinaryReport, asked: str) -> DelegateRecord:
    if not told.replaced:
        return DelegateRecord(asked=asked, applied="", nodes=None, delegated_nodes=0, partitions=0)
    return DelegateRecord(
        asked=asked,
        applied="XNNPACK" if "XNNPack" in told.replaced[0].delegate else told.replaced[0].delegate,
        nodes=told.replaced[0].nodes,
        delegated_nodes=sum(row.delegated_nodes for row in told.replaced),
        partitions=sum(row.partitions for row in told.replaced),
    )


def _golden(
    device: Device, binary: BenchmarkBinary, model: Model, path: PurePosixPath, setting: BinarySetting
) -> GoldenRecord:
    """Run the golden inputs by the binary; raise GateFailed where the answers are wrong."""
    (artifact,) = find_artifacts(model.path)
    golden, ends = read_golden(artifact), Runner(model.path.read_bytes())
    answers = []
    for pixels in golden.pixels:
        given = encode_pixels(pixels, ends.input)
        content = infer(device, binary, path, given.shape, given.tobytes(), setting)
        answers.append(decode(np.frombuffer(content, ends.outputs[0].dtype), ends.outputs[0]))
    if np.shape(answers) != golden.logits.shape:
        raise GateFailed(
            f"{model.label} gives {np.shape(answers)} answers on the device", mend="see the binary's version"
        )
    found = compare_golden(np.stack(answers), golden.logits, golden.float_logits, ends.outputs[0].scale)
    record = GoldenRecord.model_validate(found)
    if not record.passed:
        raise GateFailed(
            f"{model.label} answers wrongly on {device.address}: logits are off by {record.max_abs_error:.3g}, "
            f"allowed {record.tolerance:.3g}",
            mend="take another benchmark_model, or --delegate cpu",
        )
    return record
