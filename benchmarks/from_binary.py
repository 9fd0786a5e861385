"""What benchmark_model measured, as the document that the on-device runner gives: one way leads on from both."""

from __future__ import annotations

import re

from benchmarks.binary_measure import BinaryMeasurement, BinarySession
from benchmarks.plan import Plan
from benchmarks.protocol import BINARY_WARMUP_RUNS, BINARY_WARMUP_S
from benchmarks.result import EnvironmentRecord, RuntimeRecord, Setting
from benchmarks.runner_document import RunnerBoard, RunnerDocument, RunnerMeasurement, RunnerModel, RunnerOp
from devices.base import Description
from devices.benchmark_binary import BenchmarkBinary


def to_document(
    session: BinarySession, description: Description, binary: BenchmarkBinary, plan: Plan
) -> RunnerDocument:
    """Return a session of benchmark_model as a runner's document."""
    return RunnerDocument(
        schema_version=1,
        kind="runner",
        started_at=session.started_at,
        board=_board(session, description),
        protocol=session.protocol,
        environment=EnvironmentRecord(
            before=session.before, after=session.after, during=tuple(session.during), usb={}, power_source=None
        ),
        models=tuple(_model(row, binary) for row in session.measurements[: len(plan.models)]),
        measurements=tuple(_measurement(row, plan) for row in session.measurements),
    )


def _board(session: BinarySession, description: Description) -> RunnerBoard:
    facts, cores = description.facts, description.facts.get("cores", "")
    return RunnerBoard(
        host=description.host,
        model=facts.get("model", ""),
        soc=facts.get("soc", ""),
        processor="",
        machine=description.machine,
        cores=int(cores) if re.fullmatch("[0-9]{1,4}", cores) else 0,
        memory_bytes=session.memory_bytes,
        system=f"Android {facts['android']}" if "android" in facts else description.system,
        kernel=facts.get("kernel", ""),
        emulated_by=facts.get("emulated", ""),
    )


def _model(row: BinaryMeasurement, binary: BenchmarkBinary) -> RunnerModel:
    return RunnerModel(
        name=row.model.label,
        path=str(row.path),
        sha256=row.path.name,
        size_bytes=row.size_bytes,
        format=row.model.format,
        golden=str(row.model.golden or ""),
        delegate=row.delegate.asked,
        runtime=RuntimeRecord(
            name="benchmark_model", version="", sha256=binary.sha256, python_version="", numpy_version=""
        ),
    )


def _measurement(row: BinaryMeasurement, plan: Plan) -> RunnerMeasurement:
    return RunnerMeasurement(
        model=plan.models.index(row.model),
        setting=Setting(threads=row.threads, processes=1, batch=1, affinity=plan.affinity, delegate=row.delegate.asked),
        delegate=row.delegate,
        cold_starts=row.cold_starts,
        warmup_runs=BINARY_WARMUP_RUNS,
        warmup_s=BINARY_WARMUP_S,
        blocks=tuple(row.blocks),
        memory=None,
        golden=row.golden,
        ops=tuple(RunnerOp(name=op.name, kind=op.kind, mean_s=op.mean_s) for op in row.ops),
        ops_note=row.ops_note,
    )
