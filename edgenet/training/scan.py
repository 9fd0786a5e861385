"""Decode every image once before hours of work rest on it: hash those that can be used, name those that cannot."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from edgenet.labelled.decode import decode_example
from edgenet.labelled.example import Example
from edgenet.labelled.unreadable import SkippedCount, refuse_too_many
from edgenet.photos import Skipped
from edgenet.progress import Report, tracked
from edgenet.training.examples import ExampleSet

BATCH = 1024  # examples in flight; their bytes are in memory


@dataclass(frozen=True)
class Scanned:
    """An example whose image can be decoded, with the SHA-256 of the image's bytes."""

    example: Example
    sha256: str


@dataclass(frozen=True)
class Scan:
    """What can be used and what cannot."""

    usable: tuple[Scanned, ...]
    unreadable: tuple[Skipped, ...]


def scan(found: ExampleSet, max_unreadable_share: float, report: Report) -> Scan:
    """Decode every example; raise InputError that names the first if too large a share cannot be decoded."""
    usable: list[Scanned] = []
    unreadable: list[Skipped] = []
    for row in tracked(_decoded(found.examples), "checking images", len(found.examples), report):
        if isinstance(row, Skipped):
            unreadable.append(row)
        else:
            usable.append(row)
    counted = SkippedCount()
    counted.add(unreadable)
    refuse_too_many(counted, len(found.examples), max_unreadable_share, "data.max_unreadable_share of the recipe")
    return Scan(tuple(usable), tuple(unreadable))


def _decoded(examples: tuple[Example, ...]) -> Iterator[Scanned | Skipped]:
    # Pillow decodes outside of Python's lock, so threads do.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in _batches(examples):
            yield from pool.map(_scanned, batch)


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    rest = iter(examples)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _scanned(example: Example) -> Scanned | Skipped:
    photo = decode_example(example)
    return photo if isinstance(photo, Skipped) else Scanned(example, photo.sha256)
