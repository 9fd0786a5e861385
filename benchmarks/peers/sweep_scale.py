"""What a large sweep costs and where it saturates: measured rates of this machine, and what follows from them.

    python -m benchmarks.peers.sweep_scale PHOTOS [--images N] [--json]

PHOTOS is a labelled folder. Measured: seconds per multiply-accumulate of lite0's and b0's files on one core, seconds to
decode a photo, shards that the sweep's loop and database take in a second, tasks that a Dask scheduler hands out in a
second, and the loop with 100 devices. Simulated, and named so: the shards and the devices there do nothing but wait.
Computed: the whole of N images x 24 variants x 5 precisions.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy.work import Job, ShippedJob
from benchmarks.peers.ratios import arguments, exit_with, machine, positive
from benchmarks.peers.sweep_dask import cluster
from benchmarks.pools.dask_pool import dask_pool
from benchmarks.pools.pool import Pool
from benchmarks.sweep.benchmark_step import Line
from benchmarks.sweep.loop import Loop, Task
from benchmarks.sweep.shards import SHARD_IMAGES
from benchmarks.sweep.store import open_store
from converters.api import convert
from converters.runtime import Runner, load_runner
from edgenet.counts import count
from edgenet.labelled.classes import Classes
from edgenet.labelled.decode import decode_example
from edgenet.labelled.stream import open_labelled
from edgenet.layers import expand
from edgenet.photos import Skipped
from edgenet.precision import Precision
from edgenet.preprocessing import crop_photo
from edgenet.variants import VARIANTS, parse_variant
from edgenet.weights.load import load_weights

IMAGES, DEVICES = 50_000, 100
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "w8", "w8d", "w8a8")
MEASURED = ("lite0", "b0")
RUNS, SHARDS, TASKS, FILES_A_DEVICE = 20, 2000, 2000, 5
WAIT_S = 0.2  # of a simulated measurement
DOCUMENT = {"images": SHARD_IMAGES, "tallies": [{"answers": [[n, n, 1] for n in range(SHARD_IMAGES)]}] * 5}


@dataclass(frozen=True)
class Rates:
    """What was measured here; seconds are of one core."""

    invoke_s_per_gmac: dict[str, float]
    decode_s: float
    shards_per_s: float
    dask_tasks_per_s: float
    devices_s: float  # of the loop's own thread for all measurements on DEVICES devices
    devices_memory_bytes: int


class AtOnce:
    """A pool whose tasks have ended when they are submitted: what remains is the sweep's own work."""

    workers = 64

    def submit(self, function: Any, *arguments: object) -> Future[Any]:
        """Return the result."""
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def ship(self, job: Job) -> object:
        """Return the job alone."""
        return ShippedJob(job)

    def renew(self) -> None:
        """Do nothing."""


def shard(number: int) -> dict[str, Any]:
    """Stand for a shard of 64 images through five files: its document is of the real size."""
    return {**DOCUMENT, "number": number}


def shards_per_s(folder: Path) -> float:
    """Return how many shards go through the loop and into the database in a second."""
    with open_store(folder, print) as store:
        return _per_s(AtOnce(), SHARDS, lambda number, ended: store.keep_shard("step", number, ended.result))


def dask_tasks_per_s(folder: Path) -> float:
    """Return how many such shards a scheduler and four workers on this machine hand out and bring back in a second."""
    with cluster(folder) as address, dask_pool(address) as pool:
        return _per_s(pool, TASKS, lambda number, ended: None)


def _per_s(pool: Pool, tasks: int, then: Any) -> float:
    loop = Loop(pool)
    loop.add(Task("shard", shard, (number,), partial(then, number)) for number in range(tasks))
    start = time.perf_counter()
    loop.run()
    return tasks / (time.perf_counter() - start)


def hundred_devices() -> tuple[float, int]:
    """Return processor seconds and memory in bytes of a loop with 100 devices whose measurements only wait."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    loop, ended = Loop(AtOnce()), list[Any]()
    lines = [Line(f"fake:{number}") for number in range(DEVICES)]
    for line in lines * FILES_A_DEVICE:
        loop.watch(line.submit(_wait), ended.append)
    loop.run()
    for line in lines:
        line.close()
    if len(ended) != DEVICES * FILES_A_DEVICE:
        raise RuntimeError(f"{len(ended)} measurements came back")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.process_time() - start, (after - before) * 1024


def _wait() -> Any:
    time.sleep(WAIT_S)


def invoke_s_per_gmac(folder: Path) -> dict[str, float]:
    """Return, for each precision, the seconds of one core for 10^9 multiply-accumulates: the mean of two variants."""
    found: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for variant in MEASURED:
        gmacs = count(expand(parse_variant(variant))).macs / 1e9
        weights = "auto" if variant == "lite0" else "random"  # whose speed is the same
        for row in convert(variant, ",".join(PRECISIONS), weights=weights, out=folder / variant):
            runner = load_runner(row.path.read_bytes())
            if isinstance(runner, Runner):
                found[row.manifest.precision].append(_invoke_s(runner) / gmacs)
    return {precision: sum(values) / len(values) for precision, values in found.items()}


def _invoke_s(runner: Runner) -> float:
    runner._interpreter.invoke()
    start = time.perf_counter()
    for _ in range(RUNS):
        runner._interpreter.invoke()
    return (time.perf_counter() - start) / RUNS


def decode_s(photos: str) -> float:
    """Return the seconds of reading, decoding and cropping a photo."""
    data = open_labelled(photos, Classes(1000))
    record = load_weights("packaged", parse_variant("lite0"), say=lambda text: None).preprocessing
    start = time.perf_counter()
    for example in data:
        photo = decode_example(example)
        if not isinstance(photo, Skipped):
            crop_photo(photo.image, record)
    return (time.perf_counter() - start) / data.count


def whole_grid(rates: Rates, images: int) -> Iterator[tuple[str, float]]:
    """Yield what the grid of all variants and five precisions costs, by name, in core hours but for the counts."""
    gmacs = sum(count(expand(variant)).macs for variant in VARIANTS.values()) / 1e9
    for precision, rate in rates.invoke_s_per_gmac.items():
        yield f"inference {precision}, core hours", images * gmacs * rate / 3600
    yield "decoding, core hours", len(VARIANTS) * images * rates.decode_s / 3600
    shards = len(VARIANTS) * -(-images // SHARD_IMAGES)
    yield "shards", float(shards)
    busy_s = len(VARIANTS) * images * rates.decode_s + images * gmacs * sum(rates.invoke_s_per_gmac.values())
    yield "core seconds a shard, mean", busy_s / shards
    yield "cores that the loop can feed", rates.shards_per_s * busy_s / shards
    yield "cores that the Dask scheduler can feed", rates.dask_tasks_per_s * busy_s / shards


def main() -> int:
    """Print the rates and what follows; return the exit code."""
    parser = arguments(str(__doc__))
    parser.add_argument("photos", metavar="PHOTOS", help="a labelled folder of photos")
    parser.add_argument("--images", type=positive, default=IMAGES, metavar="N", help=f"default {IMAGES}")
    given, host = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices_s, devices_memory_bytes = hundred_devices()
        rates = Rates(
            invoke_s_per_gmac(folder), decode_s(given.photos), shards_per_s(folder / "sweep"), dask_tasks_per_s(folder),
            devices_s, devices_memory_bytes,
        )  # fmt: skip
    computed = dict(whole_grid(rates, given.images))
    if given.json:
        print(json.dumps({"machine": host, "measured": asdict(rates), "images": given.images, "computed": computed}))
        return 0
    for what, value in asdict(rates).items():
        print(f"measured  {what}: {value}")
    for what, value in computed.items():
        print(f"computed  {what}: {value:,.1f}")
    return 0


if __name__ == "__main__":
    exit_with(main)
