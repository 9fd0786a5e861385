"""What the on-device runner prints, validated: it comes from a machine that is not ours."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

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
from edgenet.manifest import FileName, Record


def _plain(text: str) -> str:
    """Return a device's words without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


Text = Annotated[str, Field(max_length=500), AfterValidator(_plain)]


class RunnerBoard(Record):
    """The machine as the runner found it."""

    host: Text
    model: Text
    soc: Text
    processor: Text
    machine: Text
    cores: int
    memory_bytes: int
    system: Text
    kernel: Text
    emulated_by: Text


class RunnerModel(Record):
    """A measured file; `golden` and `path` are places on the device."""

    name: FileName
    path: str
    sha256: str
    size_bytes: int
    format: Literal["tflite", "onnx"]
    golden: str
    delegate: Text
    runtime: RuntimeRecord


class RunnerOp(Record):
    """One op's time in one inference."""

    name: Text
    kind: Text
    mean_s: float


class RunnerMeasurement(Record):
    """One model in one setting."""

    model: Annotated[int, Field(ge=0)]
    setting: Setting
    delegate: DelegateRecord
    cold_starts: tuple[ColdStartRecord, ...]
    warmup_runs: int
    warmup_s: float
    blocks: Annotated[tuple[BlockRecord, ...], Field(min_length=1)]
    memory: MemoryRecord | None
    golden: GoldenRecord | None
    ops: tuple[RunnerOp, ...]
    ops_note: Text


class RunnerDocument(Record):
    """What the runner prints."""

    schema_version: Literal[1]
    kind: Literal["runner"]
    started_at: Text
    board: RunnerBoard
    protocol: ProtocolRecord
    environment: EnvironmentRecord
    models: Annotated[tuple[RunnerModel, ...], Field(min_length=1)]
    measurements: Annotated[tuple[RunnerMeasurement, ...], Field(min_length=1)]


def parse_document(content: bytes, name: str) -> RunnerDocument:
    """Validate a runner's document; raise InputError with the first thing that is wrong in it."""
    try:
        document = RunnerDocument.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InputError(
            f"{name} is not what the runner prints: {place}: {first['msg']}", mend="measure again"
        ) from error
    if any(row.model >= len(document.models) for row in document.measurements):
        raise InputError(f"{name} measures a model that it does not list", mend="measure again")
    return document
