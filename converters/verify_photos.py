"""Hold written files against the float network on a folder of photos, all files in one pass over the data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from converters.runtime import load_runner
from edgenet.agreement import Agreement, Comparison
from edgenet.datasets import Dataset, Sample
from edgenet.errors import InputError
from edgenet.photos import Skipped, load_photo
from edgenet.preprocessing import Preprocessing, crop_photo
from edgenet.progress import Report, tracked


@dataclass(frozen=True)
class PhotoResult:
    """One agreement for each file, in their order, and the photos that could not be used."""

    agreements: tuple[Agreement, ...]
    skipped: tuple[Skipped, ...]


def compare_on_photos(
    reference: bytes, tests: Sequence[bytes], dataset: Dataset, preprocessing: Preprocessing, report: Report
) -> PhotoResult:
    """Run every photo of `dataset` once through the float file and each file of `tests`, which all take raw pixels.

    Photos are decoded and run on all cores; memory does not grow with their number. Raise InputError if none is usable.
    """
    comparisons = [Comparison() for _ in tests]
    skipped = list(dataset.skipped)
    rows = _answers(reference, tests, dataset.samples, preprocessing)
    for sample, row in tracked(rows, "photos", len(dataset.samples), report):
        if isinstance(row, Skipped):
            skipped.append(row)
            continue
        labels = None if sample.class_index is None else np.asarray([sample.class_index + preprocessing.label_offset])
        for comparison, logits in zip(comparisons, row[1:], strict=True):
            comparison.add(row[0][np.newaxis], logits[np.newaxis], labels)
    if len(skipped) >= len(dataset.samples) + len(dataset.skipped):
        raise InputError(
            f"none of {len(skipped)} photos can be used; the first: {skipped[0].name}: {skipped[0].reason}"
        )
    return PhotoResult(tuple(comparison.result() for comparison in comparisons), tuple(skipped))


Answer = list[NDArray[np.float32]] | Skipped


class _Worker:
    """The float file and the files to test, loaded once for one core."""

    def __init__(self, contents: Sequence[bytes], preprocessing: Preprocessing) -> None:
        self._runners = [load_runner(content) for content in contents]
        self._preprocessing = preprocessing

    def answer(self, sample: Sample) -> Answer:
        photo = load_photo(sample.file)
        if isinstance(photo, Skipped):
            return photo
        pixels = crop_photo(photo.image, self._preprocessing)
        return [runner.logits(pixels) for runner in self._runners]


def _answers(
    reference: bytes, tests: Sequence[bytes], samples: Sequence[Sample], preprocessing: Preprocessing
) -> Iterator[tuple[Sample, Answer]]:
    count = os.cpu_count() or 1
    workers = [_Worker([reference, *tests], preprocessing) for _ in range(count)]
    source = iter(samples)
    with ThreadPoolExecutor(count) as pool:
        while batch := list(islice(source, count)):
            yield from zip(batch, pool.map(_Worker.answer, workers, batch), strict=False)
