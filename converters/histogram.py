"""A histogram that grows with its data: one pass, fixed memory, the same result in any order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 4096


class Histogram:
    """Count values in 4096 bins over [-limit, limit); `limit` is a power of two that doubles when a value is outside.

    Doubling merges pairs of bins. Since edges stay at multiples of a power of two, counting first and merging later
    gives the same counts as the other way round: the order of the data, and of threads, does not matter.
    """

    def __init__(self) -> None:
        self.limit = 0.0
        self.counts: NDArray[np.int64] = np.zeros(BINS, dtype=np.int64)
        self.zeros = 0  # exact zeros: they cost nothing to represent, whatever the scale

    def add(self, values: NDArray[np.float32], largest: float) -> None:
        """Count `values`; `largest` is a bound on their magnitude (of the whole tensor they were drawn from)."""
        self._grow(_limit_over(largest))
        nonzero = values[values != 0]
        self.zeros += values.size - nonzero.size
        bins = np.floor(nonzero * (BINS / 2 / self.limit)).astype(np.int64) + BINS // 2
        self.counts += np.bincount(bins, minlength=BINS)

    def add_weighted(self, values: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        """Count each of `values` [N] as often as `counts` [N] says."""
        self._grow(_limit_over(float(np.abs(values).max(initial=0.0))))
        bins = np.floor(values * (BINS / 2 / self.limit)).astype(np.int64) + BINS // 2
        np.add.at(self.counts, bins, counts)

    def _grow(self, limit: float) -> None:
        if limit > self.limit and not self.counts.any():
            self.limit = limit
        while self.limit < limit:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([np.zeros(BINS // 4), merged, np.zeros(BINS // 4)]).astype(np.int64)
            self.limit *= 2

    def merge(self, other: Histogram) -> None:
        """Add the counts of `other`, which may end up grown."""
        limit = max(self.limit, other.limit)
        self._grow(limit)
        other._grow(limit)
        self.counts += other.counts
        self.zeros += other.zeros

    @property
    def centers(self) -> NDArray[np.float64]:
        """Return the middle of each bin, [4096]."""
        return np.asarray((np.arange(BINS) - BINS / 2 + 0.5) * (2 * self.limit / BINS), dtype=np.float64)


def _limit_over(largest: float) -> float:
    """Return the least power of two that is greater: a rule of the value alone, or the order of the data would tell."""
    return math.ldexp(1.0, math.frexp(max(largest, 1e-30))[1])
