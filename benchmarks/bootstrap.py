"""Intervals of quantiles from samples that come in blocks: whole blocks are resampled, for neighbours are alike.

Samples of one block share the clock rate, the caches and the other programs of their moment: a bootstrap of single
samples would take them for independent and give intervals several times too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import BlockRecord

Samples = NDArray[np.float64]  # [N] seconds

RESAMPLES = 1000
LOW, HIGH = 0.025, 0.975  # a two-sided 95 % interval
Z_95 = 1.959963984540054  # the normal distribution's quantile at HIGH
FEWEST_UNITS = 8  # fewer blocks than this are cut in pieces
# Ranks that a quantile is looked up at: 0.05 % of the samples lie between two of them.
MOST_RANKS = 2048
# Lengthens an interval threefold; an estimate from some ten blocks says no more than "very much alike".
LARGEST_AUTOCORRELATION = 0.8
FEWEST_FOR_AUTOCORRELATION = 5


def turns(blocks: Sequence[BlockRecord]) -> list[Samples]:
    """Return the samples of each turn in order: the blocks that the processes of one model ran side by side."""
    by_process: dict[int, list[BlockRecord]] = {}
    for block in sorted(blocks, key=lambda block: block.start_s):
        by_process.setdefault(block.process, []).append(block)
    together: list[list[float]] = [[] for _ in range(max(map(len, by_process.values()), default=0))]
    for own in by_process.values():
        for turn, block in zip(together, own, strict=False):
            turn.extend(block.samples_s)
    return [np.array(turn) for turn in together if turn]


def units(parts: Sequence[Samples]) -> list[Samples]:
    """Return what is resampled: the turns themselves, or contiguous pieces of them where they are too few."""
    pieces = math.ceil(FEWEST_UNITS / len(parts))
    return [piece for part in parts for piece in np.array_split(part, min(pieces, len(part)))]


def quantile(samples: Samples, share: float) -> float:
    """Return a quantile by definition 2 of Hyndman and Fan (1996), of which the usual median is a case."""
    return float(np.quantile(samples, share, method="averaged_inverted_cdf"))


def resampling(count: int, seed: int) -> Samples:
    """Return how often each of `count` units is drawn in each resample, [RESAMPLES, count]."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def resampled_quantiles(parts: Sequence[Samples], drawn: Samples, share: float) -> Samples:
    """Return the quantile of all samples of each resample, [RESAMPLES] seconds."""
    ordered = np.sort(np.concatenate(parts))
    ranks = np.linspace(0, len(ordered) - 1, min(len(ordered), MOST_RANKS)).round().astype(int)
    at = np.unique(ordered[ranks])
    below = np.array([np.searchsorted(np.sort(part), at, side="right") for part in parts], dtype=np.float64)
    reached = drawn @ below  # [RESAMPLES, len(at)]: samples up to each value
    wanted = share * reached[:, -1:]
    lower, upper = (reached >= wanted).argmax(1), (reached > wanted).argmax(1)
    found: Samples = (at[lower] + at[upper]) / 2
    return found


def interval(point: float, resampled: Samples, factor: float) -> tuple[float, float]:
    """Return the 95 % percentile interval around a positive figure, `factor` times as long on the scale of logarithms.

    It holds the point itself, and is positive.
    """
    low, high = np.quantile(np.log(resampled), (LOW, HIGH)) - math.log(point)
    return point * math.exp(factor * min(float(low), 0.0)), point * math.exp(factor * max(float(high), 0.0))


def small_number_factor(count: int) -> float:
    """Return how much longer an interval from `count` units has to be than the bootstrap's.

    Resampling n units finds their variance too small by (n - 1)/n, and takes it for known: Student's t has the longer
    tails that an estimated one needs.
    """
    from scipy.special import stdtrit  # Student's quantile; scipy.stats takes half a second to import

    return float(stdtrit(count - 1, HIGH)) / Z_95 * math.sqrt(count / (count - 1))


def likeness_factor(parts: Sequence[Samples]) -> float:
    """Return how much longer an interval has to be because neighbouring units are alike.

    sqrt((1 + r) / (1 - r)), which is right for a long first-order autoregression with autocorrelation r; r comes from
    the units' medians, its bias of -(1 + 3r)/n put right (M. G. Kendall, Biometrika 41, 1954, p. 403).
    """
    count = len(parts)
    medians = np.array([np.median(part) for part in parts])
    if count < FEWEST_FOR_AUTOCORRELATION or min(np.ptp(medians[:-1]), np.ptp(medians[1:])) == 0:
        return 1.0
    found = float(np.corrcoef(medians[:-1], medians[1:])[0, 1])
    r = min(max(found + (1 + 3 * found) / count, 0.0), LARGEST_AUTOCORRELATION)
    return math.sqrt((1 + r) / (1 - r))
