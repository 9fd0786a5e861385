"""Sweeps that take a second: small networks instead of whole ones, and a pool that runs tasks where they are given.

The networks are doubles of those that a sweep names; what is done with their files is the real thing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.accuracy.work import Job, ShippedJob
from benchmarks.pools.pool import Pool
from benchmarks.sweep import convert_step, run
from benchmarks.sweep.grid import grid_of_values
from benchmarks.sweep.record import SweepRecord
from benchmarks.sweep.run import Request, run_sweep
from benchmarks.sweep.tasks import Conversion, Files, files_of
from edgenet.errors import GateFailed
from edgenet.precision import Precision
from edgenet.progress import silent
from tests.networks import CLASSES, pictures
from tests.test_artifact import write_small

FAMILIES = {"lite0": "lite", "b0": "b"}


@dataclass
class InlinePool:
    """Runs a task when it is submitted; `calls` names the functions that were run."""

    workers: int = 2
    calls: list[str] = field(default_factory=list)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Run a function; `timed` is given the one that counts."""
        self.calls.append(getattr(arguments[0], "__name__", ""))
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # as an executor does
            future.set_exception(error)
        return future

    def ship(self, job: Job) -> object:
        """Return the job alone."""
        return ShippedJob(job)

    def renew(self) -> None:
        """Do nothing."""


def convert_small(task: Conversion) -> list[tuple[Precision, Files]]:
    """Stand for `convert_files`: a small network of the variant's family, random and seeded; b7 fails as if broken."""
    if task.variant == "b7":
        raise GateFailed("b7 fails in this test")
    return [(precision, _written(task.variant, precision)) for precision in task.precisions]


@cache
def _written(variant: str, precision: Precision) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        return files_of(write_small(Path(folder), [precision], FAMILIES[variant])[0])


@contextmanager
def given(pool: Pool) -> Iterator[Pool]:
    """Give a pool as `open_pool` does."""
    yield pool


@dataclass
class SmallSweep:
    """A sweep of small networks in a folder; `said` are the lines that it said, in all runs."""

    out: Path
    pool: InlinePool
    said: list[str]

    def run(self, **flags: object) -> SweepRecord:
        """Run it with what flags would give."""
        values = {"variants": ["lite0"], "precisions": ["fp32", "w8a8"], "weights": "random", "samples": 16, **flags}
        return run_sweep(Request(grid_of_values(values), self.out), silent, self.said.append)


@pytest.fixture
def small_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallSweep:
    """Return a sweep whose conversions are small."""
    pool = InlinePool()
    monkeypatch.setattr(convert_step, "convert_files", convert_small)
    monkeypatch.setattr(run, "open_pool", lambda scheduler: given(pool))
    return SmallSweep(tmp_path / "sweep", pool, [])


def class_folders(folder: Path, images: int = 20) -> Path:
    """Write procedural pictures into one folder a class, by its number."""
    for number, pixels in enumerate(pictures(images)):
        place = folder / str(number % CLASSES)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return folder
