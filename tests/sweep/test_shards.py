"""Shards: their counts go through JSON without losing a bit, and add up in their order."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.accuracy.tally import tally
from benchmarks.accuracy.work import Part, SeenImage
from benchmarks.sweep.shards import SHARD_IMAGES, Total, shards, to_document
from edgenet.labelled.example import Example
from edgenet.photos import Skipped


def part(seed: int, images: int, *, with_reference: bool) -> Part:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(images, 10)).astype(np.float32)
    labels = generator.integers(0, 10, images)
    reference = logits + np.float32(0.3) * generator.normal(size=logits.shape).astype(np.float32)
    found = tally("file", logits, labels, softmax=False, reference=reference if with_reference else None)
    seen = tuple(SeenImage(f"{seed}-{number}.png", int(label), "ab") for number, label in enumerate(labels))
    return Part((found,), seen, (Skipped(f"{seed}.png", "empty file"),))


def test_counts_come_back_from_json_to_the_last_bit() -> None:
    for with_reference in (True, False):
        total = Total.of(1)
        parts = [part(seed, 7, with_reference=with_reference) for seed in range(5)]
        for row in parts:
            skipped = total.add(json.loads(json.dumps(to_document(row))))
            assert skipped == list(row.unreadable)
        direct = part(0, 7, with_reference=with_reference).tallies[0]
        for row in parts[1:]:
            direct.merge(row.tallies[0])
        found = total.tallies[0]
        assert (found.images, found.top1, found.top5, found.answers) == (35, direct.top1, direct.top5, direct.answers)
        assert found.bin_confidence.tobytes() == direct.bin_confidence.tobytes()
        assert (found.comparison is None) == (not with_reference)
        if found.comparison and direct.comparison:
            assert found.comparison.result() == direct.comparison.result()
        assert total.images == 35


def test_the_hash_of_the_images_hangs_on_their_order() -> None:
    first, second = (to_document(part(seed, 3, with_reference=False)) for seed in (1, 2))
    digests = []
    for rows in ((first, second), (second, first)):
        total = Total.of(1)
        for row in rows:
            total.add(row)
        digests.append(total.digest.hexdigest())
    assert digests[0] != digests[1]


def test_shards_are_cut_in_order(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = [Example(str(number), 0, tmp_path) for number in range(2 * SHARD_IMAGES + 1)]
    cut = list(shards(rows))
    assert [len(row) for row in cut] == [SHARD_IMAGES, SHARD_IMAGES, 1]
    assert [row for shard in cut for row in shard] == rows
