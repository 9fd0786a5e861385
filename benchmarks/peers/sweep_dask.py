"""Hold the evaluation of a sweep on a Dask cluster against the same on processes: four workers each, on this machine.

    python -m benchmarks.peers.sweep_dask PHOTOS [--images N] [--rounds N] [--json]

PHOTOS is a labelled folder, whose photos are taken several times where there are fewer than N. Four files of lite0, the
sweep's own loop and shards on both sides; workers are started and warm beforehand, on either side.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy.lineup import find_field, line_up
from benchmarks.accuracy.work import Job
from benchmarks.peers.evaluation import repeated
from benchmarks.peers.ratios import Ratio, arguments, exit_with, interleaved, machine, positive, show
from benchmarks.pools.dask_pool import dask_pool
from benchmarks.pools.pool import Pool, ProcessPool
from benchmarks.sweep.loop import Loop, Task
from benchmarks.sweep.shards import Total, evaluate_shard, shards
from converters.api import convert
from edgenet.labelled.stream import LabelledImages, open_labelled
from edgenet.progress import silent

BAR = 1.15
IMAGES, WORKERS = 1000, 4
PRECISIONS = "fp32,fp16,w8,w8a8"
START_S = 60.0


@dataclass
class Bench:
    """The same job and images for both pools; `hashes` has one entry if all passes saw the same."""

    job: Job
    data: LabelledImages
    hashes: set[str]

    def evaluated(self, pool: Pool) -> float:
        """Return the seconds of a pass over the data by the sweep's loop."""
        start = time.perf_counter()
        loop, found, shipped = Loop(pool), dict[int, Any](), pool.ship(self.job)
        loop.add(
            Task("shard", evaluate_shard, (shipped, examples), partial(found.__setitem__, number))
            for number, examples in enumerate(shards(self.data))
        )
        loop.run()
        total = Total.of(len(self.job.subjects))
        for number in sorted(found):
            total.add(found[number].result)
        self.hashes.add(f"{total.digest.hexdigest()} {[row.top1 for row in total.tallies]}")
        return time.perf_counter() - start


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a scheduler and four workers of one thread; return its address."""
    module = [sys.executable, "-m"]
    place = folder / "scheduler.json"
    flags = ["--scheduler-file", str(place), "--no-dashboard"]
    with (folder / "log").open("wb") as log:
        scheduler = [*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *flags]
        worker = [
            *module,
            "distributed.cli.dask_worker",
            *flags,
            "--nthreads",
            "1",
            "--no-nanny",
            "--host",
            "127.0.0.1",
        ]
        started = [subprocess.Popen(command, stdout=log, stderr=log) for command in (scheduler, *[worker] * WORKERS)]
        try:
            yield _address(place)
        finally:
            for process in started:
                process.kill()
                process.wait()


def _address(place: Path) -> str:
    from distributed import Client

    end_s = time.monotonic() + START_S
    while not place.exists() and time.monotonic() < end_s:
        time.sleep(0.1)
    connect: Any = Client  # its methods have no types
    with connect(scheduler_file=str(place), timeout=START_S) as client:
        client.wait_for_workers(WORKERS, timeout=START_S)
        return str(client.scheduler.address)


def main() -> int:
    """Print the ratio; return the exit code."""
    parser = arguments(str(__doc__), rounds=3)
    parser.add_argument("photos", metavar="PHOTOS", help="a labelled folder of photos")
    parser.add_argument("--images", type=positive, default=IMAGES, metavar="N", help=f"default {IMAGES}")
    given, host = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        field = find_field([row.path for row in convert("lite0", PRECISIONS, out=folder)])
        photos = open_labelled(given.photos, field.classes)
        data = repeated(photos, -(-given.images // photos.count))
        bench = Bench(line_up(field, None, folder, silent).job, data, set())
        processes = ProcessPool(WORKERS)
        with cluster(folder) as address, dask_pool(address) as dask:
            sides = {"dask": partial(bench.evaluated, dask), "processes": partial(bench.evaluated, processes)}
            runs = interleaved(sides, given.rounds)
        processes.close()
    what = (
        f"{data.count} photos through {len(field.artifacts)} files of lite0, {WORKERS} workers: Dask against processes"
    )
    notes = [f"results equal: {'yes' if len(bench.hashes) == 1 else 'NO'}"]
    row = Ratio(what, runs["dask"], runs["processes"], BAR, "of theirs")
    return max(show("sweep_dask", host, [row], notes, given.json), int(len(bench.hashes) > 1))


if __name__ == "__main__":
    exit_with(main)
