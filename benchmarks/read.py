"""Read results: files of `edgenet benchmark`, and what the on-device runner prints when it is run by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from benchmarks.from_runner import Origin, to_results
from benchmarks.result import RESULT_SUFFIX, SCHEMA_VERSION, BenchmarkRecord
from benchmarks.runner_document import parse_document
from edgenet.errors import InputError
from edgenet.first_fault import first_fault

MEND = "name a file that edgenet benchmark or the on-device runner wrote"


class Source(BaseModel):
    """The part of any document that tells what it is, read before the rest."""

    schema_version: int = 0
    kind: str = ""


def parse_results(content: bytes, name: str) -> list[BenchmarkRecord]:
    """Parse a document of one result, or a runner's of one or more; raise InputError with what is wrong first."""
    try:
        source = Source.model_validate_json(content)
        if source.schema_version != SCHEMA_VERSION:
            mend = "measure again"
            raise InputError(
                f"{name} has schema_version {source.schema_version}", allowed=str(SCHEMA_VERSION), mend=mend
            )
        if source.kind == "runner":
            return _of_runner(content, name)
        return [BenchmarkRecord.model_validate_json(content)]
    except ValidationError as error:
        raise InputError(f"{name} is not a benchmark result: {first_fault(error)}", mend=MEND) from error


def read_results(path: Path) -> list[tuple[Path, BenchmarkRecord]]:
    """Return the results in a file, or all in a folder, sorted by name; raise InputError where there is none."""
    paths = sorted(path.glob(f"*{RESULT_SUFFIX}")) if path.is_dir() else [path]
    if not paths:
        raise InputError(f"no *{RESULT_SUFFIX} in {path}", mend="edgenet benchmark MODEL --out DIR writes them")
    try:
        return [(found, row) for found in paths for row in parse_results(found.read_bytes(), found.name)]
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error


def _of_runner(content: bytes, name: str) -> list[BenchmarkRecord]:
    """Return the results of a runner that was run by hand: the device is known by its own name alone."""
    document = parse_document(content, name)
    origin = Origin(
        name=document.board.host or "by hand",
        address="",
        facts={},
        kind="local",
        session_id=hashlib.sha256(content).hexdigest()[:32],
        command=("runner.py",),
        edgenet_version="",
    )
    return to_results(document, origin, {})
