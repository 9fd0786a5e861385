"""Read the result of a sweep."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from benchmarks.read import Source
from benchmarks.sweep.record import RESULT_NAME, SweepRecord
from edgenet.errors import InputError

SCHEMA_VERSION = 1
MEND = "name the folder that edgenet sweep wrote"


def sweep_file(path: Path) -> Path | None:
    """Return the sweep's result that a path names, itself or the folder it lies in; None where it names none."""
    if path.is_dir():
        return path / RESULT_NAME if (path / RESULT_NAME).exists() else None
    return path if path.name == RESULT_NAME else None


def read_sweep(file: Path) -> SweepRecord:
    """Return the sweep in a file; raise InputError with the first thing that is wrong in it."""
    try:
        return parse_sweep(file.read_bytes(), file.name)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}", mend=MEND) from error


def parse_sweep(content: bytes, name: str) -> SweepRecord:
    """Parse the result of a sweep; raise InputError with the first thing that is wrong in it."""
    try:
        source = Source.model_validate_json(content)
        if source.schema_version != SCHEMA_VERSION:
            raise InputError(
                f"{name} has schema_version {source.schema_version}", allowed=str(SCHEMA_VERSION), mend="sweep again"
            )
        return SweepRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InputError(f"{name} is not a sweep: {place}: {first['msg']}", mend=MEND) from error
