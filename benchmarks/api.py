"""The Python face of measuring and of what needs devices: benchmark, compare, compile, evaluate, sweep and more."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from benchmarks.accuracy.evaluate import Request
from benchmarks.accuracy.evaluate import evaluate as evaluate_files
from benchmarks.accuracy.record import EvaluationRecord
from benchmarks.compare import Comparison
from benchmarks.compare import compare as compare_results
from benchmarks.compile import compile_sources, read_sources
from benchmarks.compiled_artifact import records, write_compiled
from benchmarks.compilers import find_compiler
from benchmarks.measure import measure, write_results
from benchmarks.plan import Plan, find_models
from benchmarks.protocol import parse_protocol
from benchmarks.read import read_results
from benchmarks.result import BenchmarkRecord
from benchmarks.runtimes import verify_runtimes as run_everywhere
from benchmarks.sweep.grid import grid_of_values, read_grid
from benchmarks.sweep.record import SweepRecord
from benchmarks.sweep.run import Request as SweepRequest
from benchmarks.sweep.run import run_sweep
from converters.cross_runtime import Source
from converters.cross_table import CrossTable
from converters.edgetpu.options import CompilerOptions
from converters.runtimes import ALL, parse_runtimes
from devices.open import binary_of, open_device
from edgenet.atomic import make_folder
from edgenet.errors import InputError
from edgenet.manifest import CompilationRecord
from edgenet.progress import Report, silent

AnyPath = str | PathLike[str]


def benchmark(
    *models: AnyPath,
    device: str = "local",
    protocol: str = "standard",
    threads: Sequence[int] = (1,),
    processes: Sequence[int] = (1,),
    batches: Sequence[int] = (1,),
    affinity: Sequence[int] = (),
    delegate: str = "",
    cooldown_s: float | None = None,
    fix_governor: bool = False,
    timeout_s: float = 120.0,
    binary: str = "",
    out: AnyPath | None = None,
    report: Report = silent,
) -> list[BenchmarkRecord]:
    """Measure model files or folders of artifacts on a device, like `edgenet benchmark`; see its flags.

    Return a result a model, which is written to the folder `out` as well if one is named. Raise InputError for what
    cannot be accepted, MissingError for a device or a runtime that is not there or is in use, GateFailed for a model
    that crashes, hangs or answers wrongly there.
    """
    if not models:
        raise InputError("no model was named", allowed="model files or folders of artifacts")
    plan = Plan(
        models=find_models(tuple(Path(model) for model in models)),
        protocol=parse_protocol(protocol, cooldown_s),
        threads=tuple(threads),
        processes=tuple(processes),
        batches=tuple(batches),
        affinity=tuple(affinity),
        delegate=delegate,
        fix_governor=fix_governor,
        timeout_s=timeout_s,
    )
    if out is not None:
        make_folder(Path(out))
    results = measure(open_device(device), device, plan, ("edgenet.benchmark",), report, binary or binary_of(device))
    if out is not None:
        write_results(results, Path(out))
    return results


def compare(a: AnyPath | BenchmarkRecord, b: AnyPath | BenchmarkRecord) -> list[Comparison]:
    """Compare two results, or the files that hold them, setting by setting: b against a; raise InputError."""
    return compare_results(_result(a), _result(b))


def compile(
    *models: AnyPath,
    out: AnyPath,
    compiler: str = "auto",
    segments: int = 1,
    minimum_runtime: int = 0,
    search: bool = False,
    intermediate: Sequence[str] = (),
    timeout_s: float = 180.0,
    report: Report = silent,
) -> list[CompilationRecord]:
    """Have the real Edge TPU compiler compile w8a8 files into the folder `out`, like `edgenet compile`; see its flags.

    Return what became of each model. Raise InputError for a file that no compiler takes, MissingError where none is
    found, GateFailed where it gives up or takes nothing of a file.
    """
    options = CompilerOptions(timeout_s, segments, minimum_runtime, search, tuple(intermediate))
    sources = read_sources([Path(model) for model in models])
    if not sources:
        raise InputError("no model was named", allowed="w8a8 .tflite files")
    found = find_compiler(compiler)
    make_folder(Path(out))
    compiled = compile_sources(sources, found, options, report)
    made = records(compiled)
    write_compiled(compiled, made, Path(out), ("edgenet.compile",))
    return made


def evaluate(
    *files: AnyPath,
    data: AnyPath,
    reference: AnyPath | None = None,
    max_unreadable: float = 0.01,
    out: AnyPath | None = None,
    report: Report = silent,
) -> EvaluationRecord:
    """Evaluate artifacts, or folders of them, on labelled images, like `edgenet evaluate`; see its flags.

    The work is done by new processes, so that a script has to call this below `if __name__ == "__main__":`. Raise
    InputError for what cannot be accepted, GateFailed for answers that are no numbers, MissingError for a runtime that
    is not installed.
    """
    if not files:
        raise InputError("no file was named", allowed="artifacts, or folders of them")
    given = None if reference is None else Path(reference)
    folder = None if out is None else Path(out)
    request = Request(tuple(map(Path, files)), str(data), given, max_unreadable, folder)
    return evaluate_files(request, ("edgenet.evaluate",), report)


def sweep(
    grid: AnyPath | Mapping[str, object], *, out: AnyPath, scheduler: str = "", report: Report = silent
) -> SweepRecord:
    """Run what is missing of a sweep in the folder `out`, like `edgenet sweep`; `grid` is a sweep.toml or its values.

    The work is done by new processes, so that a script has to call this below `if __name__ == "__main__":`. What fails
    of a cell stands in the result. Raise InputError for a grid that cannot be accepted, MissingError while another
    process uses the folder or for a Dask scheduler that is not there.
    """
    chosen = grid_of_values(grid) if isinstance(grid, Mapping) else read_grid(Path(grid))
    return run_sweep(SweepRequest(chosen, Path(out), scheduler), report, _say)


def verify_runtimes(
    out: AnyPath,
    data: AnyPath | None = None,
    *,
    runtimes: str = ALL,
    devices: Sequence[str] = (),
    labels: AnyPath | None = None,
    reference: AnyPath | None = None,
    weights: str = "",
    report: Report = silent,
) -> CrossTable:
    """Run the artifacts at `out` in several runtimes, here and on devices, like `edgenet verify --runtimes`.

    Gates are the caller's: `converters.cross_table.failures`. Raise InputError for what cannot be read or accepted,
    MissingError for a device or a runtime that is not there, GateFailed for a file that crashes a device's runtime.
    """
    paths = [None if path is None else Path(path) for path in (data, labels, reference)]
    source = Source(Path(out), paths[0], paths[1], paths[2], weights)
    return run_everywhere(source, parse_runtimes(runtimes), devices, report, _say)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _result(given: AnyPath | BenchmarkRecord) -> BenchmarkRecord:
    if isinstance(given, BenchmarkRecord):
        return given
    results = read_results(Path(given))
    if len(results) != 1:
        raise InputError(f"{given} holds {len(results)} results", allowed="one", mend="name one file of it")
    return results[0][1]
