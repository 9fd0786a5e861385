"""Run a sweep: what is recorded is taken, what is missing is run, what fails is told, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.accuracy.lineup import find_field
from benchmarks.pools.open_pool import open_pool
from benchmarks.sweep.benchmark_step import Lines
from benchmarks.sweep.check_step import checks
from benchmarks.sweep.convert_step import conversions
from benchmarks.sweep.data import Data, open_data
from benchmarks.sweep.evaluate_step import begin, give_up
from benchmarks.sweep.found import File
from benchmarks.sweep.grid import Grid
from benchmarks.sweep.loop import Loop
from benchmarks.sweep.record import RESULT_NAME, SweepRecord
from benchmarks.sweep.results import sweep_record
from benchmarks.sweep.store import open_store
from benchmarks.sweep.sweep import Sweep
from edgenet.artifact import Artifact
from edgenet.atomic import write_files
from edgenet.errors import EdgenetError
from edgenet.labelled.classes import Classes
from edgenet.progress import Report

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """A sweep as the user asked for it; `scheduler` is a Dask scheduler's address, "" for this machine's processes."""

    grid: Grid
    out: Path
    scheduler: str = ""


def run_sweep(request: Request, report: Report, say: Say) -> SweepRecord:
    """Run what is missing of a sweep and write its result, at the end and at an interrupt.

    Raise MissingError while another process uses the folder, or for a scheduler that is not there; InputError where
    nothing can be recorded. What merely fails of a cell stands in the result.
    """
    with open_store(request.out, say) as store, open_pool(request.scheduler) as pool:
        sweep = Sweep(request.grid, store, pool, Loop(pool), report, say)
        try:
            _run(sweep)
        finally:
            result = write_result(sweep)
    return result


def write_result(sweep: Sweep) -> SweepRecord:
    """Write what is known by now."""
    result = sweep_record(sweep.grid, sweep.found, sweep.store.folder)
    write_files({sweep.store.folder / RESULT_NAME: (result.model_dump_json(indent=1) + "\n").encode()})
    return result


def _run(sweep: Sweep) -> None:
    lines, opened = Lines(), _Opened(sweep.grid.data)
    sweep.tick(0)
    sweep.loop.add(conversions(sweep, partial(_follow, sweep, lines, opened)))
    try:
        sweep.loop.run()
    finally:
        lines.close()
    lines.run_here()


def _follow(sweep: Sweep, lines: Lines, opened: _Opened, variant: str) -> None:
    """Begin what follows from the files of a variant."""
    found = sweep.found.models
    files = {(variant, row): found[variant, row] for row in sweep.grid.precisions if (variant, row) in found}
    for file, artifact in files.items():
        sweep.loop.add(checks(sweep, file, artifact))
        lines.begin(sweep, file, artifact)
    if sweep.grid.data and files:
        _evaluate(sweep, files, opened)


def _evaluate(sweep: Sweep, files: dict[File, Artifact], opened: _Opened) -> None:
    try:
        data = opened.data(find_field([row.path for row in files.values()]).classes)
    except EdgenetError as error:
        give_up(sweep, list(files), error)
    else:
        begin(sweep, files, data)


class _Opened:
    """The data, opened once for files of the same classes; what is wrong with it is told of each file."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._found: dict[Classes, Data | EdgenetError] = {}

    def data(self, classes: Classes) -> Data:
        """Return the data for some classes; raise InputError."""
        if classes not in self._found:
            try:
                self._found[classes] = open_data(self._place, classes)
            except EdgenetError as error:
                self._found[classes] = error
        found = self._found[classes]
        if isinstance(found, EdgenetError):
            raise found
        return found
