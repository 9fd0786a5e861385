"""`edgenet compile`: the real Edge TPU compiler, wherever it is, and its answer beside what was predicted."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.benchmark_options import seconds
from edgenet.cli.check import only_model, parse_gates, show_report, summary
from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.cli.options import Json, whole_number
from edgenet.cli.progress import StepProgress
from edgenet.errors import GateFailed, InputError, MissingError

if TYPE_CHECKING:
    from benchmarks.compile import Source
    from edgenet.manifest import CompilationRecord, LeftRecord

TARGETS = ("edgetpu",)
GATES = ("cpu-ops", "streamed", "disagreement")
MIB = 2**20
SHOWN = 12  # the manifest has them all
LONGEST_LAYER = 40

Models = Annotated[
    list[Path],
    typer.Argument(metavar="MODEL", show_default=False, help="w8a8 .tflite files; several share the chip."),
]
TargetName = Annotated[str, typer.Option("--target", metavar="NAME", help="edgetpu.")]
CompilerFlag = Annotated[
    str, typer.Option("--compiler", metavar="C", help="auto (PATH), a path, docker:IMAGE, or ssh://[user@]host[:port].")
]
Segments = Annotated[
    int,
    typer.Option(
        "--segments", metavar="N", parser=whole_number("--segments", 1, 64), help="Cut it into a pipeline of N chips."
    ),
]
MinRuntime = Annotated[
    int | None,
    typer.Option(
        "--min-runtime",
        metavar="V",
        parser=whole_number("--min-runtime", 10, 99),
        help="The oldest Edge TPU runtime that is to run it; the newest unless given.",
    ),
]
Search = Annotated[bool, typer.Option("--search", help="If it fails, look for a beginning of the graph that compiles.")]
Intermediate = Annotated[
    str, typer.Option("--intermediate", metavar="TENSORS", help="Tensors at which the part on the chip ends.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="S", parser=seconds("--timeout", 1.0), help="End it after so long.")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the files that are written.")]
FailOn = Annotated[
    str,
    typer.Option("--fail-on", metavar="GATES", help="Exit with 1 on: cpu-ops, streamed, disagreement (with check)."),
]

FILES = (
    Column("file"),
    Column("MB", numeric=True),
    Column("ops on\nthe chip", numeric=True),
    Column("on the\nCPU", numeric=True),
    Column("cached\nMiB", numeric=True),
    Column("streamed\nMiB", numeric=True),
    Column("runtime", numeric=True),
)
LEFT = (
    Column("op", numeric=True),
    Column("operator"),
    Column("layer"),
    Column("the compiler says"),
    Column("predicted"),
)


def command(
    models: Models,
    target: TargetName = "edgetpu",
    compiler: CompilerFlag = "auto",
    segments: Segments = 1,
    min_runtime: MinRuntime = None,
    search: Search = False,
    intermediate: Intermediate = "",
    timeout: Timeout = 180.0,
    out: Out = Path(),
    fail_on: FailOn = "",
    as_json: Json = False,
) -> None:
    """Compile w8a8 .tflite files with the real edgetpu_compiler: here, in a Docker image, or on another machine.

    What check predicts is shown before, and held against what the compiler did.

    \b
    edgenet compile coral/lite0-w8a8.tflite --compiler ssh://build-host --out compiled
    """
    from benchmarks.compile import compile_sources, read_sources
    from benchmarks.compiled_artifact import records, write_compiled
    from benchmarks.compilers import find_compiler
    from converters.edgetpu.options import CompilerOptions
    from edgenet.atomic import make_folder

    if target not in TARGETS:
        raise InputError(f"unknown --target {target!r}", allowed=", ".join(TARGETS))
    gates = parse_gates(fail_on, GATES)
    names = tuple(word.strip() for word in intermediate.split(",")) if intermediate else ()
    options = CompilerOptions(timeout, segments, min_runtime or 0, search, names)
    sources = read_sources([only_model(path) for path in models])
    try:
        found = find_compiler(compiler)
        make_folder(out)
        _announce(sources)
        with StepProgress() as report:
            compiled = compile_sources(sources, found, options, report)
    except (MissingError, GateFailed):
        _show_prediction(sources, as_json)
        raise
    made = records(compiled)
    paths = write_compiled(compiled, made, out, ("edgenet", *sys.argv[1:]))
    _show(sources, made, paths, as_json)
    if failed := _failed(made, gates):
        raise GateFailed("; ".join(failed), mend=_first_mend(made))
    next_command(shlex.join(["edgenet", "benchmark", str(paths[0]), "--delegate", "edgetpu"]))


def _announce(sources: Sequence[Source]) -> None:
    for source in sources:
        say(f"{source.path.name}: predicted: {summary(source.report)}")
        for refusal in source.report.refusals:
            warn(f"{source.path.name}: the compiler will refuse the whole file: {refusal}")


def _show_prediction(sources: Sequence[Source], as_json: bool) -> None:
    """Show what check predicts of each model: all that can be told where there is no compiled file."""
    if as_json:
        _emit(sources, [], [])
        return
    for source in sources:
        show_report(source.report)
        show()
    say("predicted only: no compiled file was written")


def _emit(sources: Sequence[Source], made: Sequence[CompilationRecord], paths: Sequence[Path]) -> None:
    compiled: list[dict[str, Any]] = [record.model_dump(mode="json") for record in made]
    checks = [source.report.document() for source in sources]
    emit_json({"kind": "compile", "checks": checks, "compiled": compiled, "files": [str(path) for path in paths]})


def _show(sources: Sequence[Source], made: Sequence[CompilationRecord], paths: Sequence[Path], as_json: bool) -> None:
    if as_json:
        _emit(sources, made, paths)
    else:
        first = made[0]
        show(f"compiled by edgetpu_compiler {first.compiler_version} ({first.place}) in {first.compile_s:.1f} s")
        show()
        show_table(FILES, [row for record in made for row in _file_cells(record, paths)])
        for record in made:
            _show_left(record)
    for record in made:
        for line in record.disagreements:
            warn(f"{record.source_file}: other than predicted: {line}")


def _file_cells(record: CompilationRecord, paths: Sequence[Path]) -> list[list[str]]:
    places = {path.name: path for path in paths}
    whole = len(record.files) == 1  # the ops of a segment are not counted apart
    counts = [str(record.mapped_operators), str(len(record.left))] if whole else ["", ""]
    return [
        [str(places[row.file]), f"{row.size_bytes / 1e6:.1f}", *counts, f"{row.cached_parameter_bytes / MIB:.2f}",
         f"{row.streamed_parameter_bytes / MIB:.2f}", str(row.minimum_runtime)]
        for row in record.files
    ]  # fmt: skip


def _show_left(record: CompilationRecord) -> None:
    if record.left:
        show()
        show_table(LEFT, [_left_cells(row) for row in record.left[:SHOWN]])
    if len(record.left) > SHOWN:
        show(f"{len(record.left) - SHOWN} more: --json")
    if record.doubts:
        plural = "s" if record.doubts != 1 else ""
        show(f"{record.source_file}: {record.doubts} doubt{plural} of the prediction settled")
    for mend in dict.fromkeys(row.mend for row in record.left if row.mend):
        say(f"mend: {mend}")


def _left_cells(row: LeftRecord) -> list[str]:
    layer = row.layer.partition(";")[0]  # TensorFlow joins the names of all that it fused
    return [str(row.index), row.operator, layer[-LONGEST_LAYER:], row.status, row.predicted]


def _failed(made: Sequence[CompilationRecord], gates: Sequence[str]) -> list[str]:
    failed = []
    for record in made:
        streamed = sum(row.streamed_parameter_bytes for row in record.files)
        if "cpu-ops" in gates and record.left:
            failed.append(f"{record.source_file}: {len(record.left)} of {record.operators} ops run on the CPU")
        if "streamed" in gates and streamed:
            failed.append(f"{record.source_file}: {streamed / MIB:.2f} MiB of parameters are streamed")
        if "disagreement" in gates and record.disagreements:
            failed.append(f"{record.source_file}: {len(record.disagreements)} predictions were wrong")
    return failed


def _first_mend(made: Sequence[CompilationRecord]) -> str:
    mends = (row.mend for record in made for row in record.left if row.mend)
    return next(mends, "the files are written; --json tells all of it")
