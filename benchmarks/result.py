"""The result of benchmarking one model on one device: a strict, versioned JSON document. Units stand in the names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgenet.manifest import FileName, Record

SCHEMA_VERSION = 1
RESULT_SUFFIX = ".benchmark.json"
# `emulated`: the device says that it is one (its kernel is not of its processor's kind), so its times mean nothing.
Provenance = Literal["measured", "emulated"]
Seconds = Annotated[float, Field(gt=0)]


class ModelRecord(Record):
    """The file that was measured; what only a manifest tells is None where there is none."""

    file: FileName
    sha256: str
    size_bytes: int
    format: Literal["tflite", "onnx"]
    variant: str | None
    precision: str | None
    weights: str | None  # the weights' source, "random" among them


class RuntimeRecord(Record):
    """What ran the model."""

    name: Literal["ai-edge-litert", "tflite-runtime", "onnxruntime", "benchmark_model"]
    version: str
    sha256: str  # of the runtime's shared library, or of the binary
    python_version: str  # "" for a binary
    numpy_version: str  # "" for a binary


class DeviceRecord(Record):
    """The machine, as it describes itself; "" is what it does not tell."""

    name: str  # of the inventory, else the address
    address: str
    kind: Literal["local", "ssh", "adb", "fake"]
    host: str
    model: str  # Raspberry Pi 4 Model B Rev 1.4
    soc: str
    processor: str  # Cortex-A72, as /proc/cpuinfo has it
    machine: str  # aarch64
    cores: int
    memory_bytes: int
    system: str  # Debian GNU/Linux 12 (bookworm)
    kernel: str
    runtime: RuntimeRecord


class ThrottledRecord(Record):
    """`vcgencmd get_throttled`, decoded by the Raspberry Pi documentation's table of bits."""

    raw: int
    now: tuple[str, ...]
    since_boot: tuple[str, ...]


class SnapshotRecord(Record):
    """The device's state at one moment; what it does not tell is empty or None."""

    at_s: float  # since the session began on the device
    governors: tuple[str, ...]  # one a cpufreq policy
    frequencies_hz: tuple[int, ...]
    max_frequencies_hz: tuple[int, ...]
    temperatures_c: dict[str, float]  # thermal zone -> degrees Celsius
    throttled: ThrottledRecord | None
    memory_available_bytes: int | None
    load_average: tuple[float, float, float] | None
    power_w: float | None


class EdgeTpuLibraryRecord(Record):
    """The libedgetpu that was loaded; "" is not known."""

    path: str
    sha256: str
    version: str  # as it says itself: its compiler's and the runtime's version
    package: str  # Debian's
    clock: Literal["std", "max", ""]  # max: the chip's full 500 MHz


class EdgeTpuDeviceRecord(Record):
    """An Edge TPU that the device's kernel shows."""

    bus: Literal["usb", "pcie"]
    place: str  # in sysfs: 2-1, apex_0
    node: str
    has_firmware: bool  # a USB accelerator gets it from its first user
    bits_per_s: float | None  # USB's, as negotiated
    link: str  # PCIe's: 5.0 GT/s PCIe x1
    trip_points_c: tuple[float, ...]  # from each on the chip's clock is halved once more
    warnings_c: tuple[float, ...]  # from the last on the chip switches itself off


class EdgeTpuRecord(Record):
    """The library and the chips there are; which one of several libedgetpu took is not told."""

    library: EdgeTpuLibraryRecord
    devices: tuple[EdgeTpuDeviceRecord, ...]


class EnvironmentRecord(Record):
    """The device's state before, during and after; `usb` lists devices with their speed in bits per second."""

    before: SnapshotRecord
    after: SnapshotRecord
    during: tuple[SnapshotRecord, ...]
    usb: dict[str, float]
    power_source: str | None  # the meter that power_w comes from
    edgetpu: EdgeTpuRecord | None = None  # None: none was asked for


class ProtocolRecord(Record):
    """The rules that the runs were made by: both minima hold, max_s ends a measurement that does not reach them."""

    name: Literal["quick", "standard", "mlperf"]
    warmup_runs: int
    warmup_s: float
    min_runs: int
    min_s: float
    max_s: float
    block_s: float  # models take turns of this length
    cooldown_s: float  # pause before each setting
    cold_starts: int  # fresh processes, each of which measures its share


class BlockRecord(Record):
    """Runs in a row without another model in between."""

    start_s: float  # since the session began on the device
    process: int
    samples_s: Annotated[tuple[Seconds, ...], Field(min_length=1)]


class ColdStartRecord(Record):
    """A fresh process: load (with allocation and delegates) and the first inference, in seconds."""

    load_s: float
    first_inference_s: float


class DelegateRecord(Record):
    """What was asked for and what came: how many nodes the delegate took, in how many partitions."""

    asked: str
    applied: str  # "" where none was
    nodes: int | None  # of the model's own graph; None: the runtime does not tell
    delegated_nodes: int | None
    partitions: int | None


class MemoryRecord(Record):
    """Resident memory of the measuring process in bytes, the runtime's and Python's own included."""

    before_load_bytes: int
    after_load_bytes: int
    after_first_inference_bytes: int
    peak_rss_bytes: int


class GoldenRecord(Record):
    """The golden vectors, run on the device before any timing: within the tolerance of the stored answers, or, where
    kernels round otherwise, about as far from the float network as those are.
    """

    images: int
    max_abs_error: float
    tolerance: float
    error_ratio: float | None  # distance from the float network over the stored answers'; None: they are its own
    passed: bool
    equal_share: float | None = None  # of the answers, to the last bit; None: the output is no integer
    most_steps: int | None = None  # of the output's scale that an answer is off


class OpTimeRecord(Record):
    """Mean time of one op in one inference."""

    name: str
    kind: str
    mean_s: float
    share: float


class EnergyRecord(Record):
    """What the device's own meter says of the measured time; the idle power is that of the cooldown before."""

    source: str
    idle_w: float | None
    mean_w: float
    joule_per_inference: float


class DriftRecord(Record):
    """Trend over the run: change from first to last as a share of the median, and how likely by chance."""

    relative_change: float
    p_value: float


class StatisticsRecord(Record):
    """Over all samples of all blocks, per inference of one batch."""

    count: int
    median_s: Seconds
    median_low_s: Seconds  # 95 % interval of the median, by a bootstrap of blocks
    median_high_s: Seconds
    p90_s: Seconds
    p95_s: Seconds
    p99_s: Seconds
    min_s: Seconds
    max_s: Seconds
    mean_s: float
    std_s: float
    outliers: int
    drift: DriftRecord | None  # None: too few blocks to tell


class Setting(Record):
    """What two measurements have to share to be compared."""

    threads: int
    processes: int
    batch: int
    affinity: tuple[int, ...]  # empty: wherever the system puts it
    delegate: str


class MeasurementRecord(Record):
    """One setting's runs."""

    setting: Setting
    delegate: DelegateRecord
    cold_starts: tuple[ColdStartRecord, ...]
    warmup_runs: int
    warmup_s: float
    blocks: Annotated[tuple[BlockRecord, ...], Field(min_length=1)]
    statistics: StatisticsRecord
    images_per_s: float  # batch x inferences of all processes over the time that they ran
    memory: MemoryRecord | None  # None: a binary that does not tell
    golden: GoldenRecord | None  # None: the model has no golden vectors
    ops: tuple[OpTimeRecord, ...]  # on one thread for a .tflite file
    ops_note: str = ""  # why there are none
    energy: EnergyRecord | None


class WarningRecord(Record):
    """One of benchmarks.warnings' closed set: what may be wrong with the figures, and what to do."""

    code: str
    message: str
    mend: str


class SessionRecord(Record):
    """Models of one session took turns; results that share an id can be compared block by block."""

    id: str
    started_at: str  # ISO 8601, UTC
    models: tuple[str, ...]
    command: tuple[str, ...]
    edgenet_version: str


class BenchmarkRecord(Record):
    """One model on one device in one session."""

    schema_version: Literal[1] = 1
    kind: Literal["benchmark"] = "benchmark"
    provenance: Provenance
    model: ModelRecord
    device: DeviceRecord
    session: SessionRecord
    protocol: ProtocolRecord
    environment: EnvironmentRecord
    measurements: Annotated[tuple[MeasurementRecord, ...], Field(min_length=1)]
    warnings: tuple[WarningRecord, ...]
