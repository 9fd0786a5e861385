"""Step `convert`: the files of each variant, of one load of its weights where several are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from benchmarks.sweep.keys import calibration_stamp, convert_key, weights_choice, weights_sha256
from benchmarks.sweep.loop import Task
from benchmarks.sweep.store import Entry, Ran
from benchmarks.sweep.sweep import Sweep, title
from benchmarks.sweep.tasks import Conversion, Files, Timed, convert_files
from edgenet.precision import Precision

Keys = Mapping[Precision, str]  # of the files that are missing
Converted = list[tuple[Precision, Files]]
Ready = Callable[[str], None]
"""Called with a variant when each of its files is there or has failed."""


def conversions(sweep: Sweep, ready: Ready) -> Iterator[Task]:
    """Yield a task for each variant of which files are missing."""
    grid = sweep.grid
    photos = calibration_stamp(grid.calib)
    for variant, given in zip(grid.variants, grid.weights, strict=True):
        choice = weights_choice(variant, given)
        keys = {row: convert_key(grid, variant, row, choice, photos) for row in grid.precisions}
        missing = {row: key for row, key in keys.items() if not _recorded(sweep, variant, row, key)}
        if missing:
            yield _task(sweep, variant, missing, choice, ready)
        else:
            ready(variant)


def _recorded(sweep: Sweep, variant: str, precision: Precision, key: str) -> bool:
    entry = sweep.store.find(key)
    if entry is not None:
        _settle(sweep, variant, precision, entry)
    return entry is not None


def _settle(sweep: Sweep, variant: str, precision: Precision, entry: Entry) -> None:
    sweep.found.keep_model((variant, precision), entry)
    sweep.tick()


def _task(sweep: Sweep, variant: str, keys: Keys, choice: str, ready: Ready) -> Task:
    grid = sweep.grid
    asked = Conversion(variant, tuple(keys), choice, weights_sha256(choice), grid.calib, grid.samples, grid.seed)
    return Task(f"convert {variant}", convert_files, (asked,), partial(_then, sweep, asked, keys, ready))


def _then(sweep: Sweep, asked: Conversion, keys: Keys, ready: Ready, ended: Timed[Converted] | Exception) -> None:
    variant = asked.variant
    if isinstance(ended, Exception):
        if len(keys) > 1:  # one by one, to see which it was
            single = [_task(sweep, variant, {row: key}, asked.weights, ready) for row, key in keys.items()]
            sweep.loop.add(iter(single))
            return
        for precision in keys:
            sweep.fail("convert", (variant, precision), ended)
            sweep.tick(sweep.steps_of_a_file())
    else:
        for precision, files in ended.result:
            duration_s = ended.duration_s / len(ended.result)
            ran = Ran("convert", title((variant, precision)), keys[precision], duration_s)
            _settle(sweep, variant, precision, sweep.keep(ran, {}, dict(files)))
    _ready_if_settled(sweep, variant, ready)


def _ready_if_settled(sweep: Sweep, variant: str, ready: Ready) -> None:
    found = sweep.found
    files = [(variant, precision) for precision in sweep.grid.precisions]
    if all(file in found.models or found.failures.get((file, None)) for file in files):
        ready(variant)
