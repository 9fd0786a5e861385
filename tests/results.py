"""Benchmark results as they come from a healthy Raspberry Pi 4, for tests that only change what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.result import (
    BenchmarkRecord,
    BlockRecord,
    ColdStartRecord,
    DelegateRecord,
    DeviceRecord,
    EnvironmentRecord,
    GoldenRecord,
    MeasurementRecord,
    MemoryRecord,
    ModelRecord,
    OpTimeRecord,
    ProtocolRecord,
    RuntimeRecord,
    SessionRecord,
    Setting,
    SnapshotRecord,
    StatisticsRecord,
    ThrottledRecord,
)
from benchmarks.statistics import statistics as statistics_of

MIB = 2**20
RUN_S = 0.005  # one inference of the default samples
BLOCKS, RUNS = 20, 100

SETTING = Setting(threads=1, processes=1, batch=1, affinity=(), delegate="xnnpack")
RUNTIME = RuntimeRecord(
    name="ai-edge-litert", version="2.3.0", sha256="5" * 64, python_version="3.11.2", numpy_version="1.26.4"
)
DEVICE = DeviceRecord(
    name="kitchen",
    address="ssh://pi@kitchen",
    kind="ssh",
    host="kitchen",
    model="Raspberry Pi 4 Model B Rev 1.4",
    soc="BCM2711",
    processor="Cortex-A72",
    machine="aarch64",
    cores=4,
    memory_bytes=4096 * MIB,
    system="Debian GNU/Linux 12 (bookworm)",
    kernel="6.6.31+rpt-rpi-v8",
    runtime=RUNTIME,
)
PROTOCOL = ProtocolRecord(
    name="standard",
    warmup_runs=10,
    warmup_s=1.0,
    min_runs=500,
    min_s=5.0,
    max_s=150.0,
    block_s=0.5,
    cooldown_s=2.0,
    cold_starts=3,
)


def snapshot(at_s: float = 0.0, **changes: Any) -> SnapshotRecord:
    """Return the state of a cool, idle Pi 4 at full speed, changed where the test says."""
    record = SnapshotRecord(
        at_s=at_s,
        governors=("performance",),
        frequencies_hz=(1_800_000_000,),
        max_frequencies_hz=(1_800_000_000,),
        temperatures_c={"cpu-thermal": 48.0},
        throttled=ThrottledRecord(raw=0, now=(), since_boot=()),
        memory_available_bytes=3000 * MIB,
        load_average=(0.1, 0.1, 0.1),
        power_w=None,
    )
    return record.model_copy(update=changes)


def environment(**changes: Any) -> EnvironmentRecord:
    """Return a quiet environment of two snapshots during the run."""
    record = EnvironmentRecord(
        before=snapshot(0.0),
        after=snapshot(12.0),
        during=(snapshot(4.0), snapshot(8.0)),
        usb={},
        power_source=None,
    )
    return record.model_copy(update=changes)


def steady_blocks(
    run_s: float = RUN_S, blocks: int = BLOCKS, runs: int = RUNS, first_s: float = 0.0, turns: int = 1
) -> tuple[BlockRecord, ...]:
    """Return blocks that vary by 1 % around `run_s`, the same way each time; every `turns`-th turn is theirs."""
    samples = tuple(run_s * (0.995 + 0.01 * (7 * index % runs) / runs) for index in range(runs))
    length_s = sum(samples)
    return tuple(
        BlockRecord(start_s=first_s + index * turns * length_s, process=0, samples_s=samples) for index in range(blocks)
    )


def measurement(
    blocks: Sequence[BlockRecord] | None = None,
    setting: Setting = SETTING,
    statistics: StatisticsRecord | None = None,
    **changes: Any,
) -> MeasurementRecord:
    """Return one setting's measurement with the statistics of its blocks."""
    blocks = steady_blocks() if blocks is None else tuple(blocks)
    statistics = statistics or statistics_of(blocks)
    record = MeasurementRecord(
        setting=setting,
        delegate=DelegateRecord(
            asked=setting.delegate, applied=setting.delegate, nodes=64, delegated_nodes=64, partitions=1
        ),
        cold_starts=(ColdStartRecord(load_s=0.021, first_inference_s=0.012),) * 3,
        warmup_runs=200,
        warmup_s=1.0,
        blocks=blocks,
        statistics=statistics,
        images_per_s=setting.batch / statistics.mean_s,
        memory=MemoryRecord(
            before_load_bytes=40 * MIB,
            after_load_bytes=62 * MIB,
            after_first_inference_bytes=66 * MIB,
            peak_rss_bytes=70 * MIB,
        ),
        golden=GoldenRecord(images=8, max_abs_error=0.0, tolerance=1e-5, error_ratio=None, passed=True),
        ops=(
            OpTimeRecord(name="stem", kind="CONV_2D", mean_s=0.002, share=0.4),
            OpTimeRecord(name="head", kind="FULLY_CONNECTED", mean_s=0.003, share=0.6),
        ),
        energy=None,
    )
    return record.model_copy(update=changes)


def result(
    model: str = "a",
    blocks: Sequence[BlockRecord] | None = None,
    session_id: str = "session-1",
    device: DeviceRecord = DEVICE,
    **changes: Any,
) -> BenchmarkRecord:
    """Return the result of `model`.tflite with one measurement of `blocks`, changed where the test says."""
    record = BenchmarkRecord(
        provenance="measured",
        model=ModelRecord(
            file=f"{model}.tflite",
            sha256=model.encode().hex().ljust(64, "0")[:64],
            size_bytes=5 * MIB,
            format="tflite",
            variant="lite0",
            precision="w8a8",
            weights="packaged",
        ),
        device=device,
        session=SessionRecord(
            id=session_id,
            started_at="2026-11-20T10:00:00Z",
            models=("a.tflite", "b.tflite"),
            command=("edgenet", "benchmark", "a.tflite", "b.tflite", "--device", "kitchen"),
            edgenet_version="0.1.0",
        ),
        protocol=PROTOCOL,
        environment=environment(),
        measurements=(measurement(blocks),),
        warnings=(),
    )
    return record.model_copy(update=changes)
