"""Where a sweep's tasks run: processes of this machine, or a cluster; and what happens when a worker dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from benchmarks.accuracy.work import Job
from benchmarks.accuracy.workers import process_pool
from benchmarks.sweep.shards import ShippedJob
from devices.on_device.board import usable_cores
from edgenet.errors import MissingError


class SchedulerGone(MissingError):
    """Nothing can be run any more; what was recorded is kept."""


class Pool(Protocol):
    """Workers, however many there are and wherever."""

    @property
    def workers(self) -> int:
        """Return how many tasks run at once."""

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Have a worker run a function. Its future raises BrokenExecutor if the whole pool broke."""

    def ship(self, job: Job) -> object:
        """Return what stands for a job among the arguments of `submit`: a ShippedJob when the function gets it."""

    def renew(self) -> None:
        """Begin again with new workers if the old ones cannot go on."""


class ProcessPool:
    """Processes of this machine, as many as it has cores."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._begin()

    @property
    def workers(self) -> int:
        """Return how many processes there are."""
        return self._workers

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Have a process run a function."""
        return self._executor.submit(function, *arguments)

    def ship(self, job: Job) -> object:
        """Return the job alone: a process reads its files itself."""
        return ShippedJob(job)

    def renew(self) -> None:
        """Start new processes: a pool whose process died takes nothing any more."""
        self.close()
        self._begin()

    def close(self) -> None:
        """End the processes; what is not begun is dropped."""
        self._context.__exit__(None, None, None)

    def _begin(self) -> None:
        self._context: AbstractContextManager[Executor] = process_pool(self._workers)
        self._executor = self._context.__enter__()


@contextmanager
def open_pool(scheduler: str) -> Iterator[Pool]:
    """Give the processes of this machine, or the workers of a Dask scheduler such as tcp://host:8786.

    Raise MissingError for a scheduler that does not answer, or where Dask is not installed.
    """
    if scheduler:
        from benchmarks.sweep.dask_pool import dask_pool

        with dask_pool(scheduler) as cluster:
            yield cluster
        return
    pool = ProcessPool(usable_cores())
    try:
        yield pool
    finally:
        pool.close()
