"""An evaluation in shards, each of which is recorded as it ends: a kill costs a shard, not the pass.

A shard's counts as JSON keep every bit of its sums, and shards are added in their order, whichever ended first, so
that figures do not depend on who counted what, nor on interruptions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.accuracy.tally import BINS, Tally
from benchmarks.accuracy.work import Part, ShippedJob, evaluate_part
from edgenet.agreement import Comparison
from edgenet.labelled.example import Example
from edgenet.photos import Skipped

SHARD_IMAGES = 64


def shards(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Yield the examples in lists of SHARD_IMAGES."""
    rest = iter(examples)
    while batch := list(islice(rest, SHARD_IMAGES)):
        yield batch


def evaluate_shard(shipped: ShippedJob, examples: Sequence[Example]) -> dict[str, Any]:
    """Run a shard through every file of a job; return its counts as a JSON document.

    Raise InputError or GateFailed as `benchmarks.accuracy.work.evaluate_part` does.
    """
    return to_document(evaluate_part(shipped, examples))


def to_document(part: Part) -> dict[str, Any]:
    """Return a part's counts for JSON; images stand in it as a hash of the lines that the data's hash is made of."""
    digest = hashlib.sha256()
    for image in part.images:
        digest.update(f"{image.sha256} {image.class_index} {image.name}\n".encode(errors="surrogateescape"))
    return {
        "images": len(part.images),
        "images_sha256": digest.hexdigest(),
        "labels": sorted({image.class_index for image in part.images}),
        "unreadable": [[row.name, row.reason] for row in part.unreadable],
        "tallies": [_tally_document(row) for row in part.tallies],
    }


@dataclass
class Total:
    """The counts of the shards so far, added in their order."""

    tallies: list[Tally]
    images: int
    labels: set[int]
    digest: Any  # hashlib has no name for its type

    @classmethod
    def of(cls, subjects: int) -> Total:
        """Return the counts of no image for so many files."""
        return cls([Tally() for _ in range(subjects)], 0, set(), hashlib.sha256())

    def add(self, document: Mapping[str, Any]) -> list[Skipped]:
        """Add the next shard; return what was unreadable in it."""
        for total, row in zip(self.tallies, document["tallies"], strict=True):
            total.merge(_tally(row))
        self.images += document["images"]
        self.labels |= set(document["labels"])
        self.digest.update(document["images_sha256"].encode())
        return [Skipped(name, reason) for name, reason in document["unreadable"]]


def _tally_document(tally: Tally) -> dict[str, Any]:
    return {
        "images": tally.images,
        "top1": tally.top1,
        "top5": tally.top5,
        "answers": [[label, given, count] for (label, given), count in sorted(tally.answers.items())],
        "bin_images": tally.bin_images.tolist(),
        "bin_right": tally.bin_right.tolist(),
        "bin_confidence": tally.bin_confidence.tolist(),
        "comparison": tally.comparison.document() if tally.comparison else None,
    }


def _tally(document: Mapping[str, Any]) -> Tally:
    return Tally(
        images=document["images"],
        top1=document["top1"],
        top5=document["top5"],
        answers=Counter({(label, given): count for label, given, count in document["answers"]}),
        bin_images=np.array(document["bin_images"], np.int64).reshape(BINS),
        bin_right=np.array(document["bin_right"], np.int64).reshape(BINS),
        bin_confidence=np.array(document["bin_confidence"], np.float64).reshape(BINS),
        comparison=Comparison.of_document(document["comparison"]) if document["comparison"] else None,
    )
