"""Write what the compiler made: its file and its log, with a manifest and golden vectors where the model had them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compile import Compiled, Written
from converters.edgetpu.mapping import Left, judge_outcome
from converters.edgetpu.options import output_names
from edgenet.artifact import GOLDEN_SUFFIX, MANIFEST_SUFFIX, beside, sha256
from edgenet.atomic import write_files
from edgenet.manifest import (
    CompilationRecord,
    CompiledFileRecord,
    CompilerTarget,
    LeftRecord,
    Manifest,
    StatusRecord,
)

TARGET: CompilerTarget = "edgetpu"
COMPILATION_SUFFIX = ".compilation.json"  # of a model without a manifest, or of a pipeline's segments


def records(compiled: Sequence[Compiled]) -> list[CompilationRecord]:
    """Return the record of each model that was compiled."""
    return [_record(row, [other.source.path.name for other in compiled if other is not row]) for row in compiled]


def write_compiled(
    compiled: Sequence[Compiled], made: Sequence[CompilationRecord], folder: Path, command: tuple[str, ...]
) -> list[Path]:
    """Write all files of all models, or none; return the compiled ones; raise InputError.

    A model with a manifest that became one file is an artifact again: its golden vectors hold the answers of the file
    that was compiled, which the chip has to repeat.
    """
    contents: dict[Path, bytes] = {}
    written: list[Path] = []
    for row, record in zip(compiled, made, strict=True):
        for (name, log), file in zip(_names(row), row.files, strict=True):
            written.append(folder / name)
            contents |= {folder / name: file.content, folder / log: file.log}
        contents |= _evidence(row, record, folder, command)
    write_files(contents)
    return written


def _names(row: Compiled) -> list[tuple[str, str]]:
    return output_names(row.source.path.name, len(row.files))


def _evidence(row: Compiled, record: CompilationRecord, folder: Path, command: tuple[str, ...]) -> dict[Path, bytes]:
    artifact, (name, _) = row.source.artifact, _names(row)[0]
    if artifact is None or len(row.files) > 1:
        document = {"schema_version": 1, "kind": "compilation", **record.model_dump(mode="json")}
        place = folder / f"{row.source.path.stem}_edgetpu{COMPILATION_SUFFIX}"
        return {place: (json.dumps(document, indent=2) + "\n").encode()}
    golden = beside(folder / name, GOLDEN_SUFFIX)
    manifest = _manifest(artifact.manifest, record, row.files[0], golden.name, command)
    return {
        beside(folder / name, MANIFEST_SUFFIX): (manifest.model_dump_json(indent=2) + "\n").encode(),
        golden: artifact.path.with_name(artifact.manifest.golden).read_bytes(),
    }


def _manifest(
    source: Manifest, record: CompilationRecord, file: Written, golden: str, command: tuple[str, ...]
) -> Manifest:
    return source.model_copy(
        update={
            "file": record.files[0].file,
            "sha256": record.files[0].sha256,
            "size_bytes": len(file.content),
            "golden": golden,
            "verification": None,  # was that of the file before
            "target": TARGET,
            "compilation": record,
            "tool_versions": {**source.tool_versions, "edgetpu_compiler": record.compiler_version},
            "command": command,
        }
    )


def _record(row: Compiled, others: list[str]) -> CompilationRecord:
    source = row.source
    packages = [package for file in row.files for package in file.packages]
    outcome = judge_outcome(source.graph, [file.graph for file in row.files], packages, row.statuses, source.report)
    return CompilationRecord(
        target=TARGET,
        compiler_version=row.version,
        place=row.place,
        arguments=row.arguments,
        source_file=source.path.name,
        source_sha256=source.sha256,
        compiled_with=tuple(others),
        compile_s=row.compile_s,
        log=row.numbers,
        operators=len(source.graph.operators),
        mapped_operators=len(source.graph.operators) - len(outcome.left),
        statuses=tuple(StatusRecord(operator=s.operator, count=s.count, status=s.text) for s in row.statuses),
        left=tuple(map(_left, outcome.left)),
        doubts=outcome.doubts,
        disagreements=outcome.disagreements,
        files=tuple(_file(name, file) for (name, _), file in zip(_names(row), row.files, strict=True)),
    )


def _left(row: Left) -> LeftRecord:
    operator = row.operator
    return LeftRecord(
        index=operator.index,
        operator=operator.name,
        layer=operator.layer,
        status=row.status,
        predicted=operator.place.words,  # type: ignore[arg-type]  # one of the three
        mend=row.mend,
    )


def _file(name: str, file: Written) -> CompiledFileRecord:
    return CompiledFileRecord(
        file=name,
        sha256=sha256(file.content),
        size_bytes=len(file.content),
        accelerated_parts=len(file.packages),
        minimum_runtime=max(package.minimum_runtime for package in file.packages),
        instruction_bytes=sum(package.instruction_bytes for package in file.packages),
        cached_parameter_bytes=sum(package.cached_parameter_bytes for package in file.packages),
        streamed_parameter_bytes=sum(package.streamed_parameter_bytes for package in file.packages),
    )
