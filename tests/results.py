"""Benchmark results as they come from a healthy Raspberry Pi 4, for tests that only change what they are about; and
simulated noise of machines that are not healthy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Machine:
    """A shared machine: relative noise that a measurement on it sees. `load_bias` is the standard deviation of what
    loading one file again changes; `other_work` the share of time that other programs take half of the core.
    """

    drift: float = 0.0  # from the session's beginning to its end
    wander: float = 0.005  # slow change of the clock rate, correlated over a second
    load_bias: float = 0.008
    other_work: float = 0.0
    other_work_s: float = 0.8  # how long one such time lasts on average


def interleaved(
    machine: Machine, seed: int, slower: float = 1.0, turns: int = 40, block_s: float = 0.25
) -> tuple[tuple[BlockRecord, ...], tuple[BlockRecord, ...]]:
    """Return the blocks of A and of B, `slower` times as slow, that took turns on a simulated machine."""
    random = np.random.default_rng(seed)
    step_s = 0.05
    steps = int(2 * turns * block_s / step_s) + 1
    pace = (1 + machine.drift * np.arange(steps) / steps) * np.exp(machine.wander * _wandering(random, steps, step_s))
    pace *= 1 + _busy(random, steps, machine, step_s)
    sides: tuple[list[BlockRecord], list[BlockRecord]] = ([], [])
    biases = np.exp(machine.load_bias * np.clip(random.standard_normal(2), -2, 2)) * (1, slower)
    for turn in range(2 * turns):
        start_s = turn * block_s
        at = ((start_s + np.arange(0, block_s, RUN_S)) / step_s).astype(int)
        samples = RUN_S * biases[turn % 2] * pace[at] * np.exp(0.01 * random.standard_normal(len(at)))
        spikes = random.random(len(at)) < 0.01
        samples[spikes] *= 1 + random.exponential(0.5, spikes.sum())
        sides[turn % 2].append(BlockRecord(start_s=start_s, process=0, samples_s=tuple(samples.tolist())))
    return tuple(sides[0]), tuple(sides[1])


def _wandering(random: np.random.Generator, steps: int, step_s: float) -> NDArray[np.float64]:
    """Return a first-order autoregression of variance 1 that forgets in one second."""
    keep = float(np.exp(-step_s))
    values = random.standard_normal(steps)
    for index in range(1, steps):
        values[index] = keep * values[index - 1] + np.sqrt(1 - keep**2) * values[index]
    return values


def _busy(random: np.random.Generator, steps: int, machine: Machine, step_s: float) -> NDArray[np.bool_]:
    """Return at which steps other programs run: a two-state Markov chain."""
    busy = np.zeros(steps, bool)
    ends = step_s / machine.other_work_s
    begins = ends * machine.other_work / (1 - machine.other_work)
    draws = random.random(steps)
    for index in range(1, steps):
        busy[index] = draws[index] >= ends if busy[index - 1] else draws[index] < begins
    return busy
