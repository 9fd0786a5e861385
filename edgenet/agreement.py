"""Statistics of a verification: accuracy, agreement and signal-to-noise of two networks, with their uncertainty.

Everything is counted as the images come, a batch at a time: memory does not grow with their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import GateFailed, InputError

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
TOP_K = 5
WORST_DB = -300.0  # 1e-30: nothing is left of the signal


@dataclass(frozen=True)
class Proportion:
    """A share of the images with its 95 % Wilson score interval; all as fractions from 0 to 1."""

    hits: int
    images: int
    fraction: float
    low: float
    high: float


@dataclass(frozen=True)
class Drop:
    """Top-1 of the reference minus top-1 of the test, in percentage points, with its 95 % interval."""

    points: float
    low_points: float
    high_points: float
    only_reference_right: int  # images
    only_test_right: int  # images


@dataclass(frozen=True)
class Accuracy:
    """How often each network names the label."""

    reference_top1: Proportion
    test_top1: Proportion
    reference_top5: Proportion
    test_top5: Proportion
    drop: Drop


@dataclass(frozen=True)
class Agreement:
    """How close a test network is to its reference; `accuracy` is None for images without labels."""

    images: int
    agreement: Proportion  # same top-1 class
    sqnr_db: float  # over all logits of all images; infinite when they are equal
    max_abs_error: float  # of one logit, in the reference's logit units
    accuracy: Accuracy | None


def proportion(hits: int, images: int) -> Proportion:
    """Return `hits` of `images` with the Wilson score interval (E. B. Wilson, JASA 22, 1927, p. 209)."""
    fraction = hits / images
    low, high = _wilson(hits, images)
    return Proportion(hits, images, fraction, low, high)


def _wilson(hits: int, images: int) -> tuple[float, float]:
    fraction, z2 = hits / images, Z_95**2
    middle = fraction + z2 / (2 * images)
    spread = Z_95 * math.sqrt(fraction * (1 - fraction) / images + z2 / (4 * images**2))
    scale = 1 + z2 / images
    # At the ends the interval touches 0 and 1; rounding must not take it past them.
    low = 0.0 if hits == 0 else (middle - spread) / scale
    high = 1.0 if hits == images else (middle + spread) / scale
    return low, high


def paired_drop(both: int, only_reference: int, only_test: int, neither: int) -> Drop:
    """Return the drop in top-1 of two networks that saw the same images.

    The interval is Newcombe's method 10 (Statistics in Medicine 17, 1998, p. 2635): the Wilson intervals of the two
    shares, combined by squares with the correlation of the pairs. It needs no resampling, stays inside ±100 points and
    keeps its coverage where no pair differs, where the textbook interval has width zero.
    """
    images = both + only_reference + only_test + neither
    p1, p2 = (both + only_reference) / images, (both + only_test) / images
    low1, high1 = _wilson(both + only_reference, images)
    low2, high2 = _wilson(both + only_test, images)
    phi = _correlation(both, only_reference, only_test, neither)
    down = _combine(p1 - low1, high2 - p2, phi)
    up = _combine(high1 - p1, p2 - low2, phi)
    drop = p1 - p2
    return Drop(100 * drop, 100 * (drop - down), 100 * (drop + up), only_reference, only_test)


def _combine(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first**2 - 2 * phi * first * second + second**2))


def _correlation(both: int, only_reference: int, only_test: int, neither: int) -> float:
    """Return the pairs' phi coefficient, with Newcombe's continuity correction where it is positive."""
    margins = (both + only_reference) * (only_test + neither) * (both + only_test) * (only_reference + neither)
    if margins == 0:
        return 0.0
    product = float(both * neither - only_reference * only_test)
    if product > 0:
        product = max(0.0, product - (both + only_reference + only_test + neither) / 2)
    return product / math.sqrt(margins)


def top1(logits: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the class of the largest logit, [N, C] -> [N]; of equal ones (int8 files have them) the first."""
    return np.asarray(np.argmax(logits, axis=1))


def in_top_k(logits: NDArray[np.generic], labels: NDArray[np.intp], k: int = TOP_K) -> NDArray[np.bool_]:
    """Tell whether each label is among the k largest logits, [N, C], [N] -> [N]; equal logits rank by class index."""
    values = np.asarray(logits, dtype=np.float64)
    own = np.take_along_axis(values, labels[:, None], axis=1)
    earlier = np.arange(values.shape[1])[None, :] < labels[:, None]
    rank = np.sum((values > own) | ((values == own) & earlier), axis=1)
    return np.asarray(rank < k)


def sqnr_db(signal_energy: float, noise_energy: float) -> float:
    """Return the signal-to-quantization-noise ratio, 10 log10(sum(ref²) / sum((ref - test)²)), in decibels.

    No noise is infinitely good; no signal, or noise that overflowed, is -300 dB.
    """
    if noise_energy == 0:
        return math.inf
    ratio = signal_energy / noise_energy  # 0 also where the noise overflowed
    return max(WORST_DB, 10 * math.log10(ratio)) if ratio > 0 else WORST_DB


class Comparison:
    """Count a reference against a test, batch by batch; one total of signal and noise for all images together."""

    def __init__(self) -> None:
        self._images = self._same = self._labelled = 0
        self._signal = self._noise = self._max_abs_error = 0.0
        self._pairs = np.zeros((2, 2), dtype=np.int64)  # [reference right, test right]
        self._top5 = [0, 0]

    def add(
        self, reference: NDArray[np.generic], test: NDArray[np.generic], labels: NDArray[np.intp] | None = None
    ) -> None:
        """Add a batch of logits [N, C] of both networks, dequantized, with the labels [N] of all or of none.

        Raises GateFailed if a logit is not finite, InputError if shapes or labels do not fit.
        """
        first, second = np.asarray(reference, dtype=np.float64), np.asarray(test, dtype=np.float64)
        _check_logits(first, second)
        error = first - second
        self._images += len(first)
        self._signal += float(np.sum(first * first))
        self._noise += float(np.sum(error * error))
        self._max_abs_error = max(self._max_abs_error, float(np.max(np.abs(error), initial=0.0)))
        self._same += int(np.count_nonzero(top1(first) == top1(second)))
        if labels is not None:
            self._add_labels(first, second, np.asarray(labels))

    def _add_labels(self, first: NDArray[np.float64], second: NDArray[np.float64], labels: NDArray[np.intp]) -> None:
        classes = first.shape[1]
        if labels.shape != (len(first),):
            raise InputError(f"labels of shape {labels.shape} for {len(first)} images", allowed="one label an image")
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise InputError(f"labels from {labels.min()} to {labels.max()}", allowed=f"0 to {classes - 1}")
        self._labelled += len(labels)
        np.add.at(self._pairs, ((top1(first) == labels).astype(int), (top1(second) == labels).astype(int)), 1)
        for side, logits in enumerate((first, second)):
            self._top5[side] += int(np.count_nonzero(in_top_k(logits, labels)))

    def merge(self, later: Comparison) -> None:
        """Add what another comparison of the same two networks counted on images behind these."""
        self._images += later._images
        self._same += later._same
        self._labelled += later._labelled
        self._signal += later._signal
        self._noise += later._noise
        self._max_abs_error = max(self._max_abs_error, later._max_abs_error)
        self._pairs += later._pairs
        self._top5 = [mine + theirs for mine, theirs in zip(self._top5, later._top5, strict=True)]

    def document(self) -> dict[str, Any]:
        """Return the counts for JSON, which keeps every bit of them."""
        return {
            "images": self._images,
            "same": self._same,
            "labelled": self._labelled,
            "signal": self._signal,
            "noise": self._noise,
            "max_abs_error": self._max_abs_error,
            "pairs": self._pairs.tolist(),
            "top5": list(self._top5),
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `document` was made of; raise KeyError, TypeError or ValueError for another."""
        found = cls()
        found._images, found._same, found._labelled = (int(document[key]) for key in ("images", "same", "labelled"))
        found._signal, found._noise, found._max_abs_error = (
            float(document[key]) for key in ("signal", "noise", "max_abs_error")
        )
        found._pairs = np.array(document["pairs"], dtype=np.int64).reshape(2, 2)
        found._top5 = [int(count) for count in document["top5"]]
        return found

    def result(self) -> Agreement:
        """Return the statistics of all batches; raise InputError if there was no image or only some have a label."""
        if not self._images:
            raise InputError("no image to compare on", mend="give photos that can be read")
        if self._labelled not in (0, self._images):
            raise InputError(f"{self._labelled} of {self._images} images have a label", allowed="all of them or none")
        agreement = proportion(self._same, self._images)
        decibels = sqnr_db(self._signal, self._noise)
        return Agreement(self._images, agreement, decibels, self._max_abs_error, self._accuracy())

    def _accuracy(self) -> Accuracy | None:
        if not self._labelled:
            return None
        (neither, only_test), (only_reference, both) = self._pairs.tolist()
        return Accuracy(
            reference_top1=proportion(both + only_reference, self._labelled),
            test_top1=proportion(both + only_test, self._labelled),
            reference_top5=proportion(self._top5[0], self._labelled),
            test_top5=proportion(self._top5[1], self._labelled),
            drop=paired_drop(both, only_reference, only_test, neither),
        )


def _check_logits(reference: NDArray[np.float64], test: NDArray[np.float64]) -> None:
    if reference.ndim != 2 or reference.shape != test.shape or not reference.shape[1]:
        raise InputError(f"logits of shapes {reference.shape} and {test.shape}", allowed="[N, classes] twice, the same")
    for name, logits in (("reference", reference), ("test", test)):
        if not np.isfinite(logits).all():
            raise GateFailed(
                f"the {name} network's logits hold NaN or infinity", mend="its weights or its file are broken"
            )
