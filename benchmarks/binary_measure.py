"""Measure on a phone without Python: short processes of benchmark_model, the models in turn, as blocks of samples.

The tool prints no samples, but of a process with two or three runs its text tells each of them. So a block is one such
process, after a warm-up of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from benchmarks.phone_state import PhoneState
from benchmarks.plan import Model, Plan
from benchmarks.protocol import BINARY_WARMUP_RUNS, BINARY_WARMUP_S, binary_rules
from benchmarks.result import (
    BlockRecord,
    ColdStartRecord,
    DelegateRecord,
    GoldenRecord,
    ProtocolRecord,
    SnapshotRecord,
)
from converters.runtime import Runner, decode, encode_pixels
from devices.base import Device
from devices.benchmark_binary import (
    ANSWER_FLAGS,
    BenchmarkBinary,
    BinarySetting,
    FlagsUnknown,
    infer,
    measure,
    profile,
    run_once,
    runs_for_samples,
    samples_of,
)
from devices.benchmark_binary import flags as binary_flags
from devices.benchmark_output import BinaryOp, BinaryReport
from devices.on_device.child import compare_golden
from devices.plain_text import plain
from edgenet.artifact import Golden, find_artifacts, read_golden
from edgenet.errors import GateFailed, InputError
from edgenet.progress import Report

PROFILE_RUNS = 20
LARGEST_LOGIT = 1e15  # whose square is still a float32
SNAPSHOT_EVERY_S = 5.0
GOLDEN_MEND = "take another benchmark_model, or --delegate cpu"
DELEGATES = {"xnnpack": True, "cpu": False}


@dataclass
class BinaryMeasurement:
    """One model with one number of threads, as it grows."""

    model: Model
    path: PurePosixPath  # on the device, where its name is its SHA-256
    size_bytes: int
    threads: int
    golden: GoldenRecord | None
    cold_starts: tuple[ColdStartRecord, ...]
    delegate: DelegateRecord
    runs: int  # of one process
    blocks: list[BlockRecord] = field(default_factory=list)
    ops: tuple[BinaryOp, ...] = ()
    ops_note: str = ""  # why there are none

    @property
    def samples_s(self) -> list[float]:
        """All samples so far."""
        return [sample_s for block in self.blocks for sample_s in block.samples_s]


@dataclass(frozen=True)
class BinarySession:
    """Everything that was measured, with the device's state and the rules that were kept."""

    started_at: str  # ISO 8601, UTC
    protocol: ProtocolRecord
    memory_bytes: int  # of the device
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
    started_at, started_s = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), time.monotonic()
    state = PhoneState(device, started_s)
    before, during = state.snapshot(), list[SnapshotRecord]()
    measurements: list[BinaryMeasurement] = []
    for threads in plan.threads:
        if plan.protocol.cooldown_s:
            report("cool down", 0, 1)
            time.sleep(plan.protocol.cooldown_s)
        rows = [
            _prepared(device, binary, model, path, threads, plan, report)
            for model, path in zip(plan.models, paths, strict=True)
        ]
        during += _take_turns(device, binary, rows, plan, state, started_s, report)
        for row in rows:
            report(f"profile {row.model.label}", 0, 1)
            _profile(device, binary, row, plan)
        measurements += rows
    after = state.snapshot()
    return BinarySession(
        started_at, binary_rules(plan.protocol), state.memory_bytes, measurements, before, during, after
    )


def _setting(plan: Plan, threads: int, runs: int) -> BinarySetting:
    xnnpack = DELEGATES[plan.delegate or "xnnpack"]
    return BinarySetting(
        runs, 0.0, plan.timeout_s, BINARY_WARMUP_RUNS, BINARY_WARMUP_S, threads, xnnpack, plan.affinity
    )  # fmt: skip


def _prepared(
    device: Device,
    binary: BenchmarkBinary,
    model: Model,
    path: PurePosixPath,
    threads: int,
    plan: Plan,
    report: Report,
) -> BinaryMeasurement:
    setting = _setting(plan, threads, 1)
    report(f"check {model.label}", 0, 1)
    golden = _golden(device, binary, model, path, setting) if model.golden else None
    report(f"cold start {model.label}", 0, 1)
    count = binary_rules(plan.protocol).cold_starts
    starts = [run_once(device, binary, binary_flags(path, setting), setting) for _ in range(count)]
    return BinaryMeasurement(
        model=model,
        path=path,
        size_bytes=model.path.stat().st_size,
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
    rules, looked_s = binary_rules(plan.protocol), -math.inf
    ends_s = time.monotonic() + rules.max_s * len(rows)
    done, late = 0.0, False
    while done < 1 and not late:
        for row in rows:
            start_s = time.monotonic() - started_s
            (run,) = measure(device, binary, row.path, _setting(plan, row.threads, row.runs), 1)
            samples_s = samples_of(run.report, row.runs, f"{binary.name} on {row.model.label}")
            row.blocks.append(BlockRecord(start_s=start_s, process=0, samples_s=samples_s))
        done = min(_done(row.samples_s, rules) for row in rows)
        report(f"measure, threads {rows[0].threads}", min(100, int(100 * done)), 100)
        if time.monotonic() - looked_s > SNAPSHOT_EVERY_S:
            looked_s = time.monotonic()
            # Nothing runs at this moment: an idle core's clock would be taken for that of the runs.
            yield state.snapshot().model_copy(update={"frequencies_hz": (), "max_frequencies_hz": ()})
        late = time.monotonic() > ends_s


def _done(samples_s: list[float], rules: ProtocolRecord) -> float:
    """Return how much of the protocol's minima is reached, 1 for both."""
    return min(len(samples_s) / rules.min_runs, sum(samples_s) / rules.min_s if rules.min_s else 1.0)


def _profile(device: Device, binary: BenchmarkBinary, row: BinaryMeasurement, plan: Plan) -> None:
    """Add the times of the ops, on one thread as everywhere; what fails there costs no measurement."""
    try:
        row.ops = profile(device, binary, row.path, _setting(plan, 1, PROFILE_RUNS)).ops
    except (GateFailed, InputError) as error:
        row.ops_note = plain(str(error))
    else:
        row.ops_note = "" if row.ops else "this benchmark_model printed no profile"


def _coverage(told: BinaryReport, asked: str) -> DelegateRecord:
    if told.replaced:
        name = told.replaced[0].delegate
        return DelegateRecord(
            asked=asked,
            applied="XNNPACK" if "XNNPack" in name else name,
            nodes=told.replaced[0].nodes,
            delegated_nodes=sum(row.delegated_nodes for row in told.replaced),
            partitions=sum(row.partitions for row in told.replaced),
        )
    if told.explicit in ("completely", "partially"):  # versions before 2.5 say no more
        return DelegateRecord(asked=asked, applied="XNNPACK", nodes=None, delegated_nodes=None, partitions=None)
    return DelegateRecord(asked=asked, applied="", nodes=None, delegated_nodes=0, partitions=0)


def _golden(
    device: Device, binary: BenchmarkBinary, model: Model, path: PurePosixPath, setting: BinarySetting
) -> GoldenRecord | None:
    """Run the golden inputs by the binary, None where it gives no answers; raise GateFailed where they are wrong."""
    (artifact,) = find_artifacts(model.path)
    golden, ends = read_golden(artifact), Runner(model.path.read_bytes())
    output = ends.outputs[0]
    answers = []
    for pixels in golden.pixels:
        given = encode_pixels(pixels, ends.input)
        try:
            content = infer(device, binary, path, given.shape, given.tobytes(), setting)
        except FlagsUnknown as error:
            if error.names <= ANSWER_FLAGS:
                return None
            raise
        expected_bytes = math.prod(output.shape) * output.dtype.itemsize
        if len(content) != expected_bytes:
            raise GateFailed(
                f"{model.label} answers with {len(content)} bytes on {device.address}, not {expected_bytes}",
                mend=GOLDEN_MEND,
            )
        answers.append(decode(np.frombuffer(content, output.dtype), output))
    if np.shape(answers) != golden.logits.shape:
        raise InputError(f"the golden logits of {model.label} do not fit its output", mend="convert again")
    return _compared(np.stack(answers), golden, output.scale, f"{model.label} answers wrongly on {device.address}")


def _compared(answers: NDArray[np.float32], golden: Golden, step: float, wrong: str) -> GoldenRecord:
    if not np.abs(answers).max() < LARGEST_LOGIT:  # nor NaN
        raise GateFailed(f"{wrong}: its logits are none", mend=GOLDEN_MEND)
    record = GoldenRecord.model_validate(compare_golden(answers, golden.logits, golden.float_logits, step))
    if not record.passed:
        off = f"logits are off by {record.max_abs_error:.3g}, allowed {record.tolerance:.3g}"
        raise GateFailed(f"{wrong}: {off}", mend=GOLDEN_MEND)
    return record
