"""A histogram that grows with its data: one pass, fixed memory, the same result in any order."""

from __future__ import annotations

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
        if largest >= self.limit:
            self._grow(largest)
        nonzero = values[values != 0]
        self.zeros += values.size - nonzero.size
        bins = np.floor(nonzero * (BINS / 2 / self.limit)).astype(np.int64) + BINS // 2
        self.counts += np.bincount(bins, minlength=BINS)

    def add_weighted(self, values: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        """Count each of `values` [N] as often as `counts` [N] says."""
        largest = float(np.abs(values).max(initial=0.0))
        if largest >= self.limit:
            self._grow(largest)
        bins = np.floor(values * (BINS / 2 / self.limit)).astype(np.int64) + BINS // 2
        np.add.at(self.counts, bins, counts)

    def _grow(self, largest: float) -> None:
        wanted = float(2.0 ** np.ceil(np.log2(max(largest, 1e-30) * 1.0001)))
        if not self.counts.any():
            self.limit = wanted
        while self.limit < wanted:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([np.zeros(BINS // 4), merged, np.zeros(BINS // 4)]).astype(np.int64)
            self.limit *= 2

    def merge(self, other: Histogram) -> None:
        """Add the counts of `other`, which may end up grown."""
        largest = max(self.limit, other.limit) / 1.001
        for each in (self, other):
            if largest >= each.limit:
                each._grow(largest)
        self.counts += other.counts
        self.zeros += other.zeros

    @property
    def centers(self) -> NDArray[np.float64]:
        """Return the middle of each bin, [4096]."""
        return np.asarray((np.arange(BINS) - BINS / 2 + 0.5) * (2 * self.limit / BINS), dtype=np.float64)
