"""Hold `edgenet evaluate` against what bare decoding and bare inference take on the same cores.

    python -m benchmarks.peers.evaluation PHOTOS [--variant lite0] [--repeat N] [--rounds N] [--json]

PHOTOS is a labelled folder. Three passes in turn, each over all photos N times, by the same processes, one a core:
Pillow alone opens, decodes and crops each photo; the runtime alone is invoked as often on one input that stays; and the
evaluation, which also hashes and checks each photo, fills the input, reads the answers and counts. The ideal is the sum
of the first two. The start of the processes is counted in none. For information: the same evaluation by threads.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.accuracy.lineup import Lineup, find_field, line_up
from benchmarks.accuracy.run import PART_IMAGES, evaluate_all
from benchmarks.peers.ratios import Ratio, Side, arguments, exit_with, interleaved, machine, positive, show
from benchmarks.pools.processes import process_pool
from converters.api import convert
from converters.runtime import Runner
from devices.on_device.board import usable_cores
from edgenet.labelled.example import Example
from edgenet.labelled.stream import LabelledImages, open_labelled
from edgenet.preprocessing import Preprocessing, crop_photo
from edgenet.progress import silent

BAR = 1 / 0.85  # of the ideal time: 85 % of the ideal throughput
REPEAT = 3


@dataclass(frozen=True)
class Bench:
    """The files and photos, and the processes that all three passes use."""

    lineup: Lineup
    data: LabelledImages
    pool: Executor
    workers: int

    def decoded(self) -> float:
        """Return the seconds in which Pillow alone decodes and crops all photos."""
        return self._spread(bare_decode, self.lineup.job.crops[0])

    def invoked(self) -> float:
        """Return the seconds in which the runtime alone is invoked as often."""
        return self._spread(bare_invoke, self.lineup.job.subjects[0].path)

    def evaluated(self) -> float:
        """Return the seconds of the evaluation."""
        start = time.perf_counter()
        evaluate_all(self.lineup.job, self.data, self.pool, self.workers, 0.0, silent)
        return time.perf_counter() - start

    def evaluated_by_threads(self) -> float:
        """Return the seconds of the evaluation in threads of this process."""
        with ThreadPoolExecutor(self.workers) as threads:
            return replace(self, pool=threads).evaluated()

    def _spread(self, work: Callable[..., None], what: object) -> float:
        examples = list(self.data)
        parts = [examples[begin : begin + PART_IMAGES] for begin in range(0, len(examples), PART_IMAGES)]
        start = time.perf_counter()
        list(self.pool.map(work, [what] * len(parts), parts))
        return time.perf_counter() - start


def bare_decode(crop: Preprocessing, examples: Sequence[Example]) -> None:
    """Read, decode and crop photos, and do nothing else."""
    for example in examples:
        with Image.open(BytesIO(example.read())) as image:
            crop_photo(image, crop)


def bare_invoke(path: str, examples: Sequence[Example]) -> None:
    """Run a file once for each example on an input that is there already."""
    runner = _runner(path)
    for _ in examples:
        runner._interpreter.invoke()


@cache
def _runner(path: str) -> Runner:
    runner = Runner(Path(path).read_bytes())
    runner.run(np.zeros(runner.input.shape, runner.input.dtype))
    return runner


def repeated(data: LabelledImages, times: int) -> LabelledImages:
    """Return a set that gives its images several times."""
    return replace(data, count=times * data.count, _open=lambda: (row for _ in range(times) for row in data))


def main() -> int:
    """Print the ratio; return the exit code."""
    parser = arguments(str(__doc__))
    parser.add_argument("photos", metavar="PHOTOS", help="a labelled folder of photos")
    parser.add_argument("--variant", default="lite0", metavar="NAME", help="default lite0")
    parser.add_argument("--repeat", type=positive, default=REPEAT, metavar="N", help=f"default {REPEAT}")
    given, host = parser.parse_args(), machine()
    workers = usable_cores()
    with tempfile.TemporaryDirectory() as name, process_pool(workers) as pool:
        folder = Path(name)
        [artifact] = convert(given.variant, "w8a8", out=folder)
        field = find_field([artifact.path])
        data = repeated(open_labelled(given.photos, field.classes), given.repeat)
        lineup = line_up(field, None, folder, silent)
        bench = Bench(lineup, data, pool, workers)
        sides: dict[str, Side] = {
            "decode": bench.decoded,
            "invoke": bench.invoked,
            "evaluate": bench.evaluated,
            "threads": bench.evaluated_by_threads,
        }
        runs = interleaved(sides, given.rounds)
    ideal = tuple(decode + invoke for decode, invoke in zip(runs["decode"], runs["invoke"], strict=True))
    what = f"evaluate {given.variant} w8a8 against bare decoding and inference, {data.count} photos"
    row = Ratio(what, runs["evaluate"], ideal, BAR, "of theirs")
    threads = Ratio("the same in threads", runs["threads"], ideal, None, "of theirs")
    notes = [f"{1 / row.ratio:.1%} of the ideal throughput, {workers} processes"]
    return show("evaluation", host, [row, threads], notes, given.json)


if __name__ == "__main__":
    exit_with(main)
