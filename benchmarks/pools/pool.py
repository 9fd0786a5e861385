"""What every pool of workers offers, and the pool of this machine's processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from benchmarks.accuracy.work import Job, ShippedJob
from benchmarks.pools.processes import process_pool
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
