"""Find the ranges of a full-integer file: watch the float graph, then choose by measurement."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.calibration_source import CalibrationSet, SourceKind
from converters.compensate import every_layer
from converters.entry import Entry
from converters.observe import Statistics, channel_means, observe
from converters.quantize import ActivationData, quantize_model
from converters.ranges import Range, RangeMethod, choose_ranges
from converters.runtime import Runner
from edgenet.agreement import sqnr_db
from edgenet.progress import Report, tracked

# `error` fits ranges tightly to what was seen, which is right only where photos were seen.
METHODS: dict[SourceKind, tuple[RangeMethod, ...]] = {
    "builtin": ("minmax", "margin"),
    "folder": ("minmax", "error"),
    "array": ("minmax", "error"),
}
JUDGED = 16  # calibration images on which the ways of choosing ranges are held against each other
HEADROOM = 2.0  # of 16 bits one is spent on what was not seen: a value that is cut off costs far more than a bit


@dataclass(frozen=True)
class Calibration:
    """What is known of every activation: `narrow` for 8 bits, `wide` (twice the range of all that was seen) for 16."""

    narrow: ActivationData
    narrow_content: bytes  # the w8a8 file of `narrow`, its ends int8: it was written to be judged
    wide: ActivationData
    method: RangeMethod
    candidates_sqnr_db: dict[str, float]
    statistics: dict[str, Statistics]  # what was seen, by tensor


class Fed:
    """Raw pixels as a float graph's inputs; can be gone through more than once."""

    def __init__(self, images: CalibrationSet, entry: Entry, report: Report) -> None:
        self._images, self._entry, self._report = images, entry, report

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for pixels in tracked(self._images, "calibrating", len(self._images), self._report):
            yield self._entry.feed(pixels)


def calibrate(
    content: bytes,
    entry: Entry,
    exact: dict[str, Range],
    images: CalibrationSet,
    report: Report,
    keep_sums: Callable[[str], bool] = every_layer,
) -> Calibration:
    """Watch a float graph on raw pixels [side, side, 3] and return the ranges of its activations.

    `exact` holds the ranges that are known beforehand, those of the input: they are not left to what was seen.
    The ways of choosing ranges that suit the images are turned into int8 files and run on the first of them; the one
    whose logits are closer to the float graph's wins. None is better for every network, so none is chosen by name.
    """
    seen = observe(content, Fed(images, entry, report), kept=JUDGED)
    model = flatbuffer.read(content)
    means = channel_means(model, seen.statistics)
    candidates = {
        method: ActivationData(choose_ranges(model, seen.statistics, method) | exact, means)
        for method in METHODS[images.manifest.kind]
    }
    fed = [entry.feed(pixels) for pixels in islice(images, JUDGED)]
    # A foreign graph may end in a sigmoid, which is not watched: then its answers are still to be had.
    expected = seen.outputs or _outputs(content, fed)
    contents, measured = {}, {}
    for method, data in tracked(candidates.items(), "choosing ranges", len(candidates), report):
        contents[method] = flatbuffer.write(quantize_model(content, "w8a8", data, model, keep_sums=keep_sums))
        measured[method] = _logits_sqnr_db(contents[method], fed, expected)
    best = max(measured, key=lambda method: measured[method])
    return Calibration(
        narrow=candidates[best],
        narrow_content=contents[best],
        wide=ActivationData(widened(candidates["minmax"].ranges) | exact, means),
        method=best,
        candidates_sqnr_db={str(name): value for name, value in measured.items()},
        statistics=seen.statistics,
    )


def widened(ranges: dict[str, Range]) -> dict[str, Range]:
    """Return the ranges for 16 bits: with room for what was not seen."""
    return {name: Range(row.low * HEADROOM, row.high * HEADROOM) for name, row in ranges.items()}


def _outputs(content: bytes, inputs: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    runner = Runner(content, threads=os.cpu_count() or 1)
    return tuple(runner.real_output(values) for values in inputs)


def _logits_sqnr_db(
    content: bytes, inputs: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]
) -> float:
    got = _outputs(content, inputs)
    signal = sum(float(np.vdot(wanted, wanted)) for wanted in expected)
    noise = sum(float(np.sum(np.square(wanted - row))) for wanted, row in zip(expected, got, strict=True))
    return sqnr_db(signal, noise)
