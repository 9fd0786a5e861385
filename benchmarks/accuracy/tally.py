"""What is counted of one file's answers: small, the same size for any number of images, and added up part by part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgenet.agreement import Comparison, in_top_k, top1
from edgenet.errors import GateFailed

# Guo et al., On Calibration of Modern Neural Networks (ICML 2017, arXiv 1706.04599): confidences in M = 15 bins of
# equal width, of which bin m holds those in ((m - 1) / M, m / M].
BINS = 15
Logits = NDArray[np.float32]  # [images, classes], real numbers


def _no_images() -> NDArray[np.int64]:
    return np.zeros(BINS, np.int64)


def _no_confidence() -> NDArray[np.float64]:
    return np.zeros(BINS)


@dataclass
class Tally:
    """The counts of one file; classes are places in its output, so that a background class is one of them.

    `answers` counts (label, answer) pairs. The three arrays [BINS] are the images of each confidence, those of them
    that were right, and the sum of their confidences. Parts added in the same order give the same sums to the last bit.
    """

    images: int = 0
    top1: int = 0
    top5: int = 0
    answers: Counter[tuple[int, int]] = field(default_factory=Counter)
    bin_images: NDArray[np.int64] = field(default_factory=_no_images)
    bin_right: NDArray[np.int64] = field(default_factory=_no_images)
    bin_confidence: NDArray[np.float64] = field(default_factory=_no_confidence)
    comparison: Comparison | None = None  # with the float reference, where there is one

    def merge(self, later: Tally) -> None:
        """Add what was counted on the images behind these."""
        self.images += later.images
        self.top1 += later.top1
        self.top5 += later.top5
        self.answers.update(later.answers)
        self.bin_images += later.bin_images
        self.bin_right += later.bin_right
        self.bin_confidence += later.bin_confidence
        if self.comparison is None:
            self.comparison = later.comparison
        elif later.comparison is not None:
            self.comparison.merge(later.comparison)


def tally(name: str, logits: Logits, labels: NDArray[np.intp], *, softmax: bool, reference: Logits | None) -> Tally:
    """Count the answers to some images; `softmax` says that the file gives probabilities itself.

    Raise GateFailed for answers that are no numbers.
    """
    if not np.isfinite(logits).all():
        raise GateFailed(f"{name} answers with NaN or infinity", mend="its weights or its file are broken")
    given = top1(logits)
    right = given == labels
    confidences = _confidences(logits, softmax=softmax)
    bins = np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
    comparison = None
    if reference is not None:
        comparison = Comparison()
        comparison.add(reference, logits, labels)
    return Tally(
        images=len(labels),
        top1=int(np.count_nonzero(right)),
        top5=int(np.count_nonzero(in_top_k(logits, labels))),
        answers=Counter(zip(labels.tolist(), given.tolist(), strict=True)),
        bin_images=np.bincount(bins, minlength=BINS),
        bin_right=np.bincount(bins[right], minlength=BINS),
        bin_confidence=np.bincount(bins, weights=confidences, minlength=BINS).astype(np.float64),
        comparison=comparison,
    )


def _confidences(logits: Logits, *, softmax: bool) -> NDArray[np.float64]:
    """Return the probability of each image's answer, [N, C] -> [N]."""
    values = logits.astype(np.float64)
    largest = values.max(axis=1)
    if softmax:
        return np.asarray(largest)
    return np.asarray(1 / np.exp(values - largest[:, None]).sum(axis=1))
