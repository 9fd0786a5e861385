"""The loop of a sweep: a few tasks in flight, and what follows from each as it ends, in one thread."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from typing import Any

from benchmarks.pools.pool import Pool, SchedulerGone
from benchmarks.sweep.record import FailureRecord, Step
from benchmarks.sweep.tasks import Timed, timed
from edgenet.errors import EdgenetError, GateFailed

TASKS_A_WORKER = 2  # in flight: one that runs, one that waits
BUG_EXIT_CODE = 70  # sysexits.h: an internal software error


@dataclass(frozen=True)
class Task:
    """A function for a worker, and what to do with how it ended: a Timed result, or the error."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[object, ...]
    then: Callable[[Timed[Any] | Exception], None]


class Loop:
    """Runs tasks of a pool and waits for futures of others, until there is nothing left.

    A worker that dies takes its pool with it, so that every task in flight is a suspect: each is run once more, alone,
    and the one that breaks the pool again has failed.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sources: deque[Iterator[Task]] = deque()
        self._suspects: deque[Task] = deque()
        self._running: dict[Future[Any], tuple[Task, bool]] = {}  # True: it runs alone
        self._others: dict[Future[Any], Callable[[Future[Any]], None]] = {}

    def add(self, tasks: Iterator[Task]) -> None:
        """Take tasks from an iterator as there is room; the first added goes first."""
        self._sources.append(tasks)

    def watch(self, future: Future[Any], then: Callable[[Future[Any]], None]) -> None:
        """Call `then` when a future ends that is not of the pool."""
        self._others[future] = then

    def run(self) -> None:
        """Run until every task and every future has ended."""
        while self._fill() or self._others:
            wait([*self._running, *self._others], return_when=FIRST_COMPLETED)
            if any(future.done() and _is_broken(future) for future in self._running):
                self._break()
            for future in [future for future in self._others if future.done()]:
                self._others.pop(future)(future)
            for future in [future for future in self._running if future.done() and not _is_broken(future)]:
                task, _ = self._running.pop(future)
                task.then(outcome(future))

    def _fill(self) -> bool:
        """Start what there is room for; return whether anything runs."""
        alone = any(flag for _, flag in self._running.values())
        if self._suspects and not self._running:
            self._start(self._suspects.popleft(), alone=True)
        while not self._suspects and not alone and len(self._running) < TASKS_A_WORKER * self._pool.workers:
            task = self._next()
            if task is None:
                break
            self._start(task, alone=False)
        return bool(self._running)

    def _next(self) -> Task | None:
        while self._sources:
            task = next(self._sources[0], None)
            if task is not None:
                return task
            self._sources.popleft()
        return None

    def _start(self, task: Task, *, alone: bool) -> None:
        self._running[self._pool.submit(timed, task.function, *task.arguments)] = (task, alone)

    def _break(self) -> None:
        """Renew the pool; suspect what was in flight, and give up what was alone."""
        broken = [(task, alone) for future, (task, alone) in self._running.items() if not _ended_well(future)]
        kept = [(future, task) for future, (task, _) in self._running.items() if _ended_well(future)]
        self._running.clear()
        self._pool.renew()
        for future, task in kept:
            task.then(outcome(future))
        for task, alone in broken:
            if alone:
                mend = "it may want more memory than there is: close other programs, or give fewer at a time"
                task.then(GateFailed(f"{task.name}: the process that ran it died", mend=mend))
            else:
                self._suspects.append(task)


def outcome(future: Future[Any]) -> Any:
    """Return what a future that has ended gave: its result, or its error. Raise SchedulerGone."""
    error = future.exception()
    if isinstance(error, SchedulerGone):
        raise error
    if error is None:
        return future.result()
    return error


def failure(step: Step, error: Exception) -> FailureRecord:
    """Return the record of an error; one that is none of edgenet's own is a bug, and says so."""
    if isinstance(error, EdgenetError):
        return FailureRecord(step=step, message=str(error), exit_code=error.exit_code)
    words = traceback.format_exception_only(error)[-1].strip()
    return FailureRecord(step=step, message=f"a bug in edgenet: {words}", exit_code=BUG_EXIT_CODE)


def _is_broken(future: Future[Any]) -> bool:
    return isinstance(future.exception(), BrokenExecutor)


def _ended_well(future: Future[Any]) -> bool:
    return future.done() and not _is_broken(future)
