"""The workers of a Dask cluster as a pool: `pip install 'edgenet[dask]'` there and here.

Who can reach a scheduler can run code on its workers, and its workers' results are unpickled here: use a cluster that
you trust, over tls:// where the network is not yours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.accuracy.work import Job, ShippedJob
from benchmarks.pools.pool import SchedulerGone
from converters.model_file import read_model_file
from edgenet.errors import GateFailed, InputError, MissingError

CONNECT_S = 30.0
ASK_S = 5.0  # between questions how many workers there are
SCHEMES = ("tcp://", "tls://", "ws://", "wss://")


class DaskPool:
    """The workers that a scheduler has now; more may come and go while tasks run."""

    def __init__(self, client: Any) -> None:  # distributed's Client, whose methods have no types
        self._client = client
        self._workers, self._asked_s = 1, -ASK_S
        # Not pure: what is asked for twice was lost or failed, and an old answer is not wanted.
        self._executor: Executor = client.get_executor(pure=False)

    @property
    def workers(self) -> int:
        """Return how many threads the workers have, as of a moment ago. Raise SchedulerGone."""
        if time.monotonic() - self._asked_s > ASK_S:
            with _telling_if_gone():
                self._workers = max(1, sum(map(int, self._client.nthreads().values())))
            self._asked_s = time.monotonic()
        return self._workers

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Have a worker run a function; if it dies, the scheduler has others try, three times. Raise SchedulerGone."""
        found: Future[Any] = Future()
        with _telling_if_gone():
            inner = self._executor.submit(function, *arguments)
        inner.add_done_callback(lambda done: _hand_over(done, found))
        return found

    def ship(self, job: Job) -> object:
        """Return a future of the job with its files' bytes: they go to each worker once.

        It is a task of its own, not scattered data, which would be lost with the worker that holds it.
        """
        contents = tuple(read_model_file(Path(row.path), "a .tflite") for row in job.subjects)
        with _telling_if_gone():
            return self._client.submit(_itself, ShippedJob(job, contents), pure=False)

    def renew(self) -> None:
        """Do nothing: a scheduler finds other workers by itself."""


@contextmanager
def dask_pool(address: str) -> Iterator[DaskPool]:
    """Connect to a scheduler; raise MissingError if there is none, it has no workers, or Dask is not installed."""
    if not address.startswith(SCHEMES):
        raise InputError(f"--scheduler cannot be {address!r}", allowed="tcp://HOST:PORT or tls://HOST:PORT")
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise MissingError("Dask is not installed", mend="pip install 'edgenet[dask]'") from error
    try:
        connect: Any = Client  # its methods have no types
        client = connect(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        mend = "start one: dask scheduler, and on each machine dask worker " + address
        raise MissingError(f"no Dask scheduler answers at {address}: {error}", mend=mend) from error
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would say is told in one line
    # A model file goes as an argument, once for each task that needs it: that is meant.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}), client:
        if not client.nthreads():
            raise MissingError(f"the scheduler at {address} has no workers", mend=f"dask worker {address}")
        yield DaskPool(client)


def _gone() -> SchedulerGone:
    mend = "start it again, and run the same sweep: it goes on from here"
    return SchedulerGone("the connection to the Dask scheduler was lost", mend=mend)


@contextmanager
def _telling_if_gone() -> Iterator[None]:
    from distributed.client import ClosedClientError

    try:
        yield
    except (OSError, ClosedClientError) as error:  # a closed connection is an OSError of Dask's own
        raise _gone() from error


def _itself(shipped: ShippedJob) -> ShippedJob:
    return shipped


def _hand_over(inner: Future[Any], outer: Future[Any]) -> None:
    """Tell in edgenet's words how a task ended, where Dask has some of its own."""
    from distributed import KilledWorker

    if inner.cancelled():
        outer.set_exception(_gone())
        return
    error = inner.exception()
    if isinstance(error, KilledWorker):
        mend = "it may want more memory than they have; their logs tell more"
        outer.set_exception(GateFailed(f"{error.allowed_failures + 1} workers died while they ran it", mend=mend))
    elif error is not None:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())
