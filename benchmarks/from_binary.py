"""What benchmark_model measured, as the document that the on-device runner gives: one way leads on from both."""

from __future__ import annotations

from datetime import datetime, timezone

from benchmarks.binary_measure import WARMUP_RUNS, WARMUP_S, BinaryMeasurement, BinarySession
from benchmarks.plan import Plan
from benchmarks.result import EnvironmentRecord, RuntimeRecord, Setting
from benchmarks.runner_document import RunnerBoard, RunnerDocument, RunnerMeasurement, RunnerModel, RunnerOp
from devices.base import Description
from devices.benchmark_binary import BenchmarkBinary
from edgenet.weights.cache import file_digest


def to_document(
    session: BinarySession, description: Description, binary: BenchmarkBinary, plan: Plan
) -> RunnerDocument:
    """Return a session of benchmark_model as a runner's document."""
    return RunnerDocument(
        schema_version=1,
        kind="runner",
        started_at=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        board=_board(session, description),
        protocol=plan.protocol.model_copy(update={"warmup_runs": WARMUP_RUNS, "warmup_s": WARMUP_S}),
        environment=EnvironmentRecord(
            before=session.before, after=session.after, during=tuple(session.during), usb={}, power_source=None
        ),
        models=tuple(_model(row, binary) for row in session.measurements[: len(plan.models)]),
        measurements=tuple(_measurement(row, plan) for row in session.measurements),
    )


def _board(session: BinarySession, description: Description) -> RunnerBoard:
    facts = description.facts
    return RunnerBoard(
        host=description.host,
        model=facts.get("model", ""),
        soc=facts.get("soc", ""),
        processor="",
        machine=description.machine,
        cores=int(facts.get("cores", "0")),
        memory_bytes=session.before.memory_available_bytes or 0,
        system=f"Android {facts['android']}" if "android" in facts else description.system,
        kernel=facts.get("kernel", ""),
        emulated_by=facts.get("emulated", ""),
    )


def _model(row: BinaryMeasurement, binary: BenchmarkBinary) -> RunnerModel:
    return RunnerModel(
        name=row.model.label,
        path=str(row.path),
        sha256=file_digest(row.model.path),
        size_bytes=row.model.path.stat().st_size,
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
        warmup_runs=WARMUP_RUNS,
        warmup_s=WARMUP_S,
        blocks=tuple(row.blocks),
        memory=None,
        golden=row.golden,
        ops=tuple(RunnerOp(name=op.name, kind=op.kind, mean_s=op.mean_s) for op in row.ops),
        ops_note="" if row.ops else "this benchmark_model printed no profile",
    )
