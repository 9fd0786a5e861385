"""The result of a sweep: a strict, versioned JSON document with a cell for each variant, precision and device.

Paths are relative to the sweep's folder. It holds no time of day: a sweep that was interrupted and resumed writes the
same bytes as one that was not, as far as its figures are computed; latencies are as measured, once.
"""

from __future__ import annotations

from typing import Literal

from benchmarks.accuracy.record import AgreementRecord, DataRecord, MachineRecord, ShareRecord
from benchmarks.result import Provenance, Setting
from edgenet.manifest import Record, VerificationRecord
from edgenet.precision import Precision

RESULT_NAME = "sweep.json"
Step = Literal["convert", "check", "evaluate", "benchmark"]
Status = Literal["done", "failed", "waiting"]


class FailureRecord(Record):
    """A step that gave no result: the error's own line, and its exit code (1 a gate, 2 an input, 3 not there)."""

    step: Step
    message: str
    exit_code: int


class SweptModelRecord(Record):
    """The file of a cell; its figures come from its manifest and its network."""

    file: str
    manifest: str
    sha256: str
    size_bytes: int
    parameters: int
    macs: int  # multiply-accumulates of one image
    side_px: int
    num_classes: int
    weights: str  # their source, "random" among them
    verification: VerificationRecord | None  # against the float network, on images that calibration did not see


class MappingRecord(Record):
    """What a target will take of the file, by the published rules; see `edgenet check`. `report` is its document."""

    target: str
    report: str
    operators: int
    accelerated: int  # for certain
    uncertain: int
    estimated_s: dict[str, float]  # latency by machine, estimated; empty where there is no estimate
    refusal: str  # why the target takes nothing of it, where that is a rule about whole files: float ones, say


class AccuracyRecord(Record):
    """What the file answered on the sweep's data; `report` is the file's whole record. Shares are fractions."""

    report: str
    images: int
    top1: ShareRecord
    top5: ShareRecord
    calibration_error: float
    agreement: AgreementRecord | None  # None: there is no fp32 file of it, or it is that file


class LatencyRecord(Record):
    """One setting on the cell's device, in seconds per inference; `report` is the whole benchmark."""

    report: str
    provenance: Provenance
    protocol: str
    setting: Setting
    median_s: float
    low_s: float  # 95 % interval of the median
    high_s: float
    p90_s: float
    images_per_s: float
    peak_rss_bytes: int | None
    device_model: str
    processor: str
    runtime: str  # name and version
    started_at: str  # ISO 8601, UTC
    golden: bool | None  # whether the device gave the golden answers; None: it was not asked
    warnings: tuple[str, ...]  # codes of benchmarks.warnings


class CellRecord(Record):
    """One variant at one precision on one device; `device` is None where the sweep has no devices."""

    variant: str
    precision: Precision
    device: str | None
    status: Status
    failures: tuple[FailureRecord, ...]
    model: SweptModelRecord | None
    mappings: tuple[MappingRecord, ...]
    accuracy: AccuracyRecord | None
    latencies: tuple[LatencyRecord, ...]  # one a setting


class GridRecord(Record):
    """What was asked for."""

    variants: tuple[str, ...]
    precisions: tuple[Precision, ...]
    devices: tuple[str, ...]
    data: str  # "": none
    targets: tuple[str, ...]


class SweepRecord(Record):
    """All cells, in the grid's order: variant by variant, precision by precision, device by device."""

    schema_version: Literal[1] = 1
    kind: Literal["sweep"] = "sweep"
    grid: GridRecord
    data: DataRecord | None  # None: nothing was evaluated yet
    machine: MachineRecord  # that conversions and evaluations were run from
    tool_versions: dict[str, str]
    cells: tuple[CellRecord, ...]
