"""The result of an evaluation: a strict, versioned JSON document. Shares are fractions from 0 to 1."""

from __future__ import annotations

from typing import Literal

from benchmarks.result import ModelRecord
from edgenet.manifest import InputRecord, Record, SkippedRecord

RESULT_NAME = "evaluate.json"
INTERVALS = (
    "95 % Wilson score intervals (E. B. Wilson, JASA 22, 1927); of a drop: Newcombe's method 10 for pairs "
    "(Statistics in Medicine 17, 1998)"
)
BINNING = "15 bins of equal width over the confidence of the answer (Guo et al., ICML 2017, arXiv 1706.04599)"


class ShareRecord(Record):
    """Hits among images, with its 95 % interval."""

    hits: int
    images: int
    fraction: float
    low: float
    high: float


class AgreementRecord(Record):
    """A file against its float reference on the same images; the drop is in percentage points of top-1."""

    reference: str
    reference_sha256: str
    same_top1: ShareRecord
    sqnr_db: float | None  # None: the answers are equal
    drop_points: float
    drop_low_points: float
    drop_high_points: float


class BinRecord(Record):
    """The images whose answer had a confidence in (low, high]; None where there were none."""

    low: float
    high: float
    images: int
    accuracy: float | None
    mean_confidence: float | None


class CalibrationErrorRecord(Record):
    """Expected calibration error: the mean distance of accuracy and confidence over the bins, weighted by images."""

    expected: float
    binning: str
    bins: tuple[BinRecord, ...]


class ClassRecord(Record):
    """One class of which there were images or which was an answer."""

    class_index: int  # of the data: a background class is -1
    label: str
    recall: ShareRecord | None  # of its images, how many were found; None: it has none
    answers: int
    precision: float | None  # of the answers with it, how many were right


class FileRecord(Record):
    """What one file answered; `name` is its file name, or its path where two have the same."""

    name: str
    model: ModelRecord
    preprocessing: InputRecord
    top1: ShareRecord
    top5: ShareRecord
    agreement: AgreementRecord | None  # None: there is no float reference, or it is the reference
    calibration_error: CalibrationErrorRecord
    classes: tuple[ClassRecord, ...]
    confusion: tuple[tuple[int, int, int], ...]  # class of the image, class of the answer, images; none that is 0


class PassedOverRecord(Record):
    """Files that were not evaluated: all counted, the first named."""

    count: int
    first: tuple[SkippedRecord, ...]


class DataRecord(Record):
    """The images; `sha256` is that of one line an image: SHA-256 of its bytes, class index, name, a blank between."""

    place: str
    kind: Literal["class folders", "labels.csv", "TFRecord", "tar shards"]
    labels_by: str
    images: int
    sha256: str
    unreadable: PassedOverRecord
    passed_over: PassedOverRecord  # before anything was read: no row in labels.csv, a format that is not read
    classes: int  # of the files
    classes_with_images: int


class MachineRecord(Record):
    """What it ran on; "" is what the machine does not tell."""

    model: str
    processor: str
    machine: str
    cores: int  # that were used
    memory_bytes: int
    system: str
    kernel: str


class EvaluationRecord(Record):
    """Files on one labelled set, each image decoded once for all of them."""

    schema_version: Literal[1] = 1
    kind: Literal["evaluation"] = "evaluation"
    data: DataRecord
    files: tuple[FileRecord, ...]
    intervals: str
    machine: MachineRecord
    scheduler: str = ""  # of the cluster whose workers ran the files; the machine is then the one that asked
    tool_versions: dict[str, str]
    command: tuple[str, ...]
    started_at: str  # ISO 8601, UTC
    duration_s: float  # of the pass, the start of its processes included
    images_per_s: float
