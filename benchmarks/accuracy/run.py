"""One pass over the data: parts of it go to an executor, their counts come back in order and are added up."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice

from benchmarks.accuracy.tally import Tally
from benchmarks.accuracy.work import Job, Part, ShippedJob, evaluate_part
from benchmarks.pools.pool import Pool
from edgenet.errors import InputError
from edgenet.labelled.example import Example
from edgenet.labelled.stream import LabelledImages
from edgenet.labelled.unreadable import SkippedCount, refuse_too_many
from edgenet.progress import Report

PART_IMAGES = 8  # so few that the cores end together, so many that handing them over costs nothing
PARTS_A_WORKER = 3  # in flight: one that runs, two that wait
STEP = "images"
MAX_UNREADABLE_FLAG = "--max-unreadable"


@dataclass(frozen=True)
class Pass:
    """What a pass over the data gave; the tallies are those of the job's subjects."""

    tallies: tuple[Tally, ...]
    images: int  # evaluated
    unreadable: SkippedCount
    data_sha256: str  # of a line an image, in order: SHA-256 of its bytes, class index, name
    duration_s: float

    @property
    def images_per_s(self) -> float:
        """Return how many images went through all files in a second, the start of the workers included."""
        return self.images / self.duration_s


def evaluate_all(
    job: Job,
    data: LabelledImages,
    pool: Executor | Pool,
    workers: int,
    max_unreadable: float,
    report: Report,
    ship: Callable[[Job], object] = ShippedJob,
) -> Pass:
    """Run every image through every file; memory does not grow with the number of images.

    The result does not depend on the pool: parts are the same ones, added in the same order. `ship` is the pool's way
    to hand out a job. Raise InputError if more than a share of `max_unreadable` cannot be used, or a worker dies.
    """
    tallies = tuple(Tally() for _ in job.subjects)
    unreadable, digest, images = SkippedCount(), hashlib.sha256(), 0
    start = time.perf_counter()
    report(STEP, 0, data.count)
    for part in _parts(ship(job), data, pool, workers):
        for total, more in zip(tallies, part.tallies, strict=True):
            total.merge(more)
        for image in part.images:
            digest.update(f"{image.sha256} {image.class_index} {image.name}\n".encode())
        images += len(part.images)
        unreadable.add(part.unreadable)
        report(STEP, images + unreadable.count, data.count)
        refuse_too_many(unreadable, data.count, max_unreadable, MAX_UNREADABLE_FLAG)
    if not images:
        raise InputError(f"none of {unreadable.count} images can be used", mend="give photos that can be read")
    return Pass(tallies, images, unreadable, digest.hexdigest(), time.perf_counter() - start)


def _parts(shipped: object, data: Iterable[Example], pool: Executor | Pool, workers: int) -> Iterator[Part]:
    """Yield the counts of all parts in order, a few of them in flight."""
    waiting: deque[Future[Part]] = deque()
    submit: Callable[..., Future[Part]] = pool.submit
    rest = iter(data)
    try:
        while batch := list(islice(rest, PART_IMAGES)):
            waiting.append(submit(evaluate_part, shipped, batch))
            if len(waiting) >= PARTS_A_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process that ran the files died",
            mend="each holds every file in memory: evaluate fewer at a time, or close other programs",
        ) from error
