"""Step `benchmark`: each file on each device, one at a time on a device.

Other machines are measured while this one converts and evaluates. This machine itself is measured at the end, when
nothing else runs on it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from benchmarks.measure import measure
from benchmarks.plan import Plan, find_models
from benchmarks.result import RESULT_SUFFIX, BenchmarkRecord
from benchmarks.sweep.found import File
from benchmarks.sweep.grid import Grid
from benchmarks.sweep.keys import benchmark_key
from benchmarks.sweep.loop import outcome
from benchmarks.sweep.store import Ran
from benchmarks.sweep.sweep import Sweep, title
from benchmarks.sweep.tasks import COMMAND, Timed, timed
from devices.inventory import resolve
from devices.open import binary_of, open_device
from edgenet.artifact import Artifact
from edgenet.errors import MissingError
from edgenet.progress import silent

LOCAL = "local"
Measuring = Callable[[], BenchmarkRecord]


class Line:
    """The queue of one device: its files are measured one after the other, in a thread of its own.

    Once the device does not answer any more, what waits for it fails at once with what it said.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._waiting: queue.SimpleQueue[tuple[Measuring, Future[Any]] | None] = queue.SimpleQueue()
        self._down: MissingError | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, measuring: Measuring) -> Future[Any]:
        """Return the future of a measurement."""
        future: Future[Any] = Future()
        self._waiting.put((measuring, future))
        return future

    def close(self) -> None:
        """Let the thread end once nothing waits any more."""
        self._waiting.put(None)

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None:
            measuring, future = task
            try:
                future.set_result(self._measured(measuring))
            except Exception as error:  # whatever it is: it is raised where the future is looked at
                future.set_exception(error)

    def _measured(self, measuring: Measuring) -> Timed[BenchmarkRecord]:
        if self._down:
            raise self._down
        try:
            return timed(measuring)
        except MissingError:
            try:
                open_device(self._device).describe()
            except MissingError as error:
                self._down = error
            raise


class Lines:
    """The devices of a sweep: a line for each address, and what is left for this machine itself."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._here: list[Callable[[], None]] = []

    def begin(self, sweep: Sweep, file: File, artifact: Artifact) -> None:
        """Take what is recorded of a file's latencies, and queue the rest."""
        for device in sweep.grid.devices:
            address, _ = resolve(device)
            key = benchmark_key(artifact.manifest.sha256, str(address), sweep.grid)
            entry = sweep.store.find(key)
            if entry is not None:
                sweep.found.benchmarks[file, device] = entry
                sweep.tick()
                continue
            measuring = partial(measure_file, artifact, device, sweep.grid)
            if address.kind == LOCAL:
                self._here.append(partial(_measure_here, sweep, file, device, key, measuring))
            else:
                if str(address) not in self._lines:
                    self._lines[str(address)] = Line(device)
                line = self._lines[str(address)]
                sweep.loop.watch(line.submit(measuring), partial(_ended, sweep, file, device, key))

    def close(self) -> None:
        """Let the threads of all devices end."""
        for line in self._lines.values():
            line.close()

    def run_here(self) -> None:
        """Measure this machine, which nothing else works on now."""
        while self._here:
            self._here.pop(0)()


def measure_file(artifact: Artifact, device: str, grid: Grid) -> BenchmarkRecord:
    """Measure a file on a device in all settings; raise as `benchmarks.measure.measure` does."""
    plan = Plan(
        models=find_models((artifact.path,)),
        protocol=grid.protocol,
        threads=grid.threads,
        processes=(1,),
        batches=(1,),
        affinity=(),
        delegate=grid.delegate,
        fix_governor=False,
        timeout_s=grid.timeout_s,
    )
    return measure(open_device(device), device, plan, COMMAND, silent, binary_of(device))[0]


def _measure_here(sweep: Sweep, file: File, device: str, key: str, measuring: Measuring) -> None:
    future: Future[Any] = Future()
    start = time.perf_counter()
    try:
        future.set_result(Timed(measuring(), time.perf_counter() - start))
    except Exception as error:  # handled with those of other devices
        future.set_exception(error)
    _ended(sweep, file, device, key, future)


def _ended(sweep: Sweep, file: File, device: str, key: str, future: Future[Any]) -> None:
    ended = outcome(future)
    if isinstance(ended, Exception):
        sweep.fail("benchmark", file, ended, device)
    else:
        ran = Ran("benchmark", title(file, device), key, ended.duration_s)
        text = ended.result.model_dump_json(indent=1) + "\n"
        sweep.found.benchmarks[file, device] = sweep.keep(ran, {}, {f"result{RESULT_SUFFIX}": text.encode()})
    sweep.tick()
