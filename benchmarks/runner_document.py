"""What the on-device runner prints, validated: it comes from a machine that is not ours."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from benchmarks.result import (
    BlockRecord,
    ColdStartRecord,
    DelegateRecord,
    EnvironmentRecord,
    GoldenRecord,
    MemoryRecord,
    ProtocolRecord,
    RuntimeRecord,
    Setting,
)
from edgenet.errors import InputError
from edgenet.first_fault import first_fault
from edgenet.manifest import FileName, Record

LONGEST_TEXT = 500
LARGEST = 1e15  # bytes and hertz that no device has, seconds that no session takes; sums of them stay finite
NEVER_NEGATIVE = ("_s", "_hz", "_bytes")
LONGEST_RUN_S = 1e6

AnyRecord = TypeVar("AnyRecord", bound=Record)


def _plain(text: str) -> str:
    """Return the beginning of a device's words without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_TEXT])


def _sound(record: AnyRecord) -> AnyRecord:
    """Return a record with plain words; raise ValueError for a number that nothing on a device can be."""
    return type(record).model_validate(_walked(record.model_dump(), ""))


def _walked(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, dict):
        return {_plain(key): _walked(inner, key) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_walked(inner, name) for inner in value)
    least = 0.0 if name.endswith(NEVER_NEGATIVE) else -LARGEST
    if isinstance(value, int | float) and not least <= value <= LARGEST:
        raise ValueError(f"{name} is out of range")
    return value


Text = Annotated[str, AfterValidator(_plain)]  # cut, not refused: the ops of other people's files have long names
Seconds = Annotated[float, Field(ge=0, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Environment = Annotated[EnvironmentRecord, AfterValidator(_sound)]
ColdStart = Annotated[ColdStartRecord, AfterValidator(_sound)]
Delegate = Annotated[DelegateRecord, AfterValidator(_sound)]
Memory = Annotated[MemoryRecord, AfterValidator(_sound)]
Golden = Annotated[GoldenRecord, AfterValidator(_sound)]
Protocol = Annotated[ProtocolRecord, AfterValidator(_sound)]
Runtime = Annotated[RuntimeRecord, AfterValidator(_sound)]


class RunnerBoard(Record):
    """The machine as the runner found it."""

    host: Text
    model: Text
    soc: Text
    processor: Text
    machine: Text
    cores: Count
    memory_bytes: Count
    system: Text
    kernel: Text
    emulated_by: Text


class RunnerModel(Record):
    """A measured file; `golden` and `path` are places on the device."""

    name: Annotated[FileName, AfterValidator(_plain)]
    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Count
    format: Literal["tflite", "onnx"]
    golden: str
    delegate: Text
    runtime: Runtime


class RunnerOp(Record):
    """One op's time in one inference."""

    name: Text
    kind: Text
    mean_s: Seconds


class RunnerMeasurement(Record):
    """One model in one setting."""

    model: Count
    setting: Annotated[Setting, AfterValidator(_sound)]
    delegate: Delegate
    cold_starts: tuple[ColdStart, ...]
    warmup_runs: Count
    warmup_s: Seconds
    blocks: Annotated[tuple[BlockRecord, ...], Field(min_length=1)]
    memory: Memory | None
    golden: Golden | None
    ops: tuple[RunnerOp, ...]
    ops_note: Text

    @model_validator(mode="after")
    def _check_blocks(self) -> RunnerMeasurement:
        processes = {block.process for block in self.blocks}
        if processes != set(range(self.setting.processes)):
            raise ValueError(f"blocks of processes {sorted(processes)[:9]}, where {self.setting.processes} ran")
        for block in self.blocks:
            if not 0 <= block.start_s <= LARGEST or max(block.samples_s) > LONGEST_RUN_S:
                raise ValueError("a block that begins before the session, or a run that takes weeks")
        return self


class RunnerDocument(Record):
    """What the runner prints."""

    schema_version: Literal[1]
    kind: Literal["runner"]
    started_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]  # it becomes part of a file's name
    board: RunnerBoard
    protocol: Protocol
    environment: Environment
    models: Annotated[tuple[RunnerModel, ...], Field(min_length=1)]
    measurements: Annotated[tuple[RunnerMeasurement, ...], Field(min_length=1)]


def parse_document(content: bytes, name: str) -> RunnerDocument:
    """Validate a runner's document; raise InputError with the first thing that is wrong in it."""
    try:
        document = RunnerDocument.model_validate_json(content)
    except ValidationError as error:
        raise refused(error, f"{name} is not what the runner prints") from error
    measured = {row.model for row in document.measurements}
    if measured != set(range(len(document.models))):
        raise InputError(f"{name} does not measure the models that it lists", mend="measure again")
    return document


def refused(error: ValidationError, what: str) -> InputError:
    """Return the refusal of a document by the first thing that is wrong in it."""
    return InputError(f"{what}: {_plain(first_fault(error))}", mend="measure again")
