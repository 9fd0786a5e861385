"""Step `convert`: the files of each variant, of one load of its weights where several are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks.sweep.keys import convert_key, weights_choice, weights_sha256
from benchmarks.sweep.loop import Task
from benchmarks.sweep.store import Entry, Ran
from benchmarks.sweep.sweep import Sweep, title
from benchmarks.sweep.tasks import Conversion, Files, Timed, convert_files
from edgenet.errors import EdgenetError
from edgenet.precision import Precision

Converted = list[tuple[Precision, Files]]
Ready = Callable[[str], None]
"""Called with a variant when each of its files is there or has failed."""


def conversions(sweep: Sweep, ready: Ready) -> Iterator[Task]:
    """Yield a task for each variant of which files are missing."""
    grid = sweep.grid
    for variant, given in zip(grid.variants, grid.weights, strict=True):
        choice = weights_choice(variant, given)
        try:
            missing = [precision for precision in grid.precisions if not _recorded(sweep, variant, precision, choice)]
        except EdgenetError as error:  # of the calibration photos, which every variant's key hangs on
            _give_up(sweep, variant, grid.precisions, error, ready)
            continue
        if missing:
            yield _task(sweep, variant, missing, choice, ready)
        else:
            ready(variant)


def _recorded(sweep: Sweep, variant: str, precision: Precision, choice: str) -> bool:
    entry = sweep.store.find(convert_key(sweep.grid, variant, precision, choice))
    if entry is not None:
        _settle(sweep, variant, precision, entry)
    return entry is not None


def _settle(sweep: Sweep, variant: str, precision: Precision, entry: Entry) -> None:
    sweep.found.keep_model((variant, precision), entry)
    sweep.tick()


def _task(sweep: Sweep, variant: str, precisions: Sequence[Precision], choice: str, ready: Ready) -> Task:
    grid = sweep.grid
    asked = Conversion(variant, tuple(precisions), choice, weights_sha256(choice), grid.calib, grid.samples, grid.seed)
    return Task(f"convert {variant}", convert_files, (asked,), partial(_then, sweep, asked, ready))


def _then(
    sweep: Sweep, asked: Conversion, ready: Ready, ended: Timed[list[tuple[Precision, Files]]] | Exception
) -> None:
    if isinstance(ended, Exception):
        if len(asked.precisions) > 1:  # one by one, to see which it was
            sweep.loop.add(iter([_task(sweep, asked.variant, [row], asked.weights, ready) for row in asked.precisions]))
        else:
            _give_up(sweep, asked.variant, asked.precisions, ended, ready)
        return
    for precision, files in ended.result:
        key = convert_key(sweep.grid, asked.variant, precision, asked.weights)
        ran = Ran("convert", title((asked.variant, precision)), key, ended.duration_s / len(ended.result))
        _settle(sweep, asked.variant, precision, sweep.keep(ran, {}, dict(files)))
    _ready_if_settled(sweep, asked.variant, ready)


def _give_up(sweep: Sweep, variant: str, precisions: Sequence[Precision], error: Exception, ready: Ready) -> None:
    for precision in precisions:
        sweep.fail("convert", (variant, precision), error)
        sweep.tick(sweep.steps_of_a_file())
    _ready_if_settled(sweep, variant, ready)


def _ready_if_settled(sweep: Sweep, variant: str, ready: Ready) -> None:
    found = sweep.found
    files = [(variant, precision) for precision in sweep.grid.precisions]
    if all(file in found.models or found.failures.get((file, None)) for file in files):
        ready(variant)
