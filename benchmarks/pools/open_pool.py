"""From what the user wrote after --scheduler to a pool; only what is asked for is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.pools.pool import Pool, ProcessPool
from devices.on_device.board import usable_cores


@contextmanager
def open_pool(scheduler: str, at_most: int = sys.maxsize) -> Iterator[Pool]:
    """Give a process a core of this machine, `at_most` so many, or the workers of a Dask scheduler such as tcp://host:8786.

    Raise MissingError for a scheduler that does not answer, or where Dask is not installed.
    """
    if scheduler:
        from benchmarks.pools.dask_pool import dask_pool

        with dask_pool(scheduler) as cluster:
            yield cluster
        return
    pool = ProcessPool(min(usable_cores(), at_most))
    try:
        yield pool
    finally:
        pool.close()
