"""The processes of this machine that an evaluation runs in, one a core; benchmarks.peers.evaluation times threads, too.

Threads would share Python's lock, which the header of a photo, its checks and the copies between Pillow, NumPy and the
runtime hold; a runtime that crashes takes one process with it, not the command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection

# Started afresh: a copy of a process with threads, as a progress bar is one, may hold their locks for ever.
START = "spawn"


@contextmanager
def process_pool(workers: int) -> Iterator[Executor]:
    """Give an executor of `workers` processes; what is not begun when the block ends is dropped."""
    context = multiprocessing.get_context(START)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Make a worker end at Ctrl-C without a traceback, and with its parent, however that one ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
