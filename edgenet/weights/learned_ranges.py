"""The file of a run that holds what quantization-aware training learned beside the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from edgenet.errors import InputError
from edgenet.first_fault import first_fault
from edgenet.manifest import Record
from edgenet.weights.record import LearnedRanges

RANGES_NAME = "ranges.json"
Ranges = Mapping[str, tuple[float, float]]


class _Range(Record):
    low: Annotated[float, Field(le=0)]
    high: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _covers_something(self) -> _Range:
        if self.low == self.high:
            raise ValueError("low and high are both 0")
        return self


class _Document(Record):
    schema_version: Literal[1]
    ranges: Annotated[dict[str, _Range], Field(min_length=1)]
    one_scale: list[str]


def pack_ranges(ranges: Ranges, one_scale: Sequence[str]) -> bytes:
    """Return the file's bytes; `one_scale` names the layers whose channels share one scale."""
    rows = {name: _Range(low=low, high=high) for name, (low, high) in ranges.items()}
    return _Document(schema_version=1, ranges=rows, one_scale=list(one_scale)).model_dump_json(indent=2).encode()


def read_ranges(path: Path, sha256: str) -> LearnedRanges:
    """Read the file; raise InputError for one that is missing, no such file, or not the one of its run."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", mend="bring it back, or train again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} is not the file of its run (sha256 differs)", mend="bring it back, or train again")
    try:
        document = _Document.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{path} holds no ranges: {first_fault(error)}", mend="train again") from error
    ranges = {name: (row.low, row.high) for name, row in document.ranges.items()}
    return LearnedRanges(ranges, frozenset(document.one_scale), sha256)
