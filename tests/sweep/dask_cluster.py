"""A real Dask scheduler with workers on the loopback, each a process that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.devices.processes import LOOPBACK, free_port, wait_until

START_S = 60.0


@dataclass
class Cluster:
    """A scheduler and its workers; `log` is what all of them write."""

    address: str
    log: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill_a_worker(self) -> None:
        """Kill the first worker, as a lack of memory would."""
        self.workers[0].kill()
        self.workers[0].wait()


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Start a scheduler and so many workers of one thread; end them all. Each is one process, without a nanny."""
    port = free_port()
    address, path = f"tcp://{LOOPBACK}:{port}", folder / "dask.log"
    with ExitStack() as stack:
        log = stack.enter_context(path.open("ab"))

        def start(*words: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", f"distributed.cli.{words[0]}", *words[1:], "--no-dashboard"]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        cluster = Cluster(address, path, start("dask_scheduler", "--host", LOOPBACK, "--port", str(port)))
        for number in range(workers):
            options = ("--nthreads", "1", "--no-nanny", "--name", f"worker-{number}", "--host", LOOPBACK)
            cluster.workers.append(start("dask_worker", address, *options))
        wait_until(lambda: path.read_bytes().count(b"Registered to") >= workers, START_S)
        yield cluster
