"""The few values that the weights of a kernel share: where they begin, and which one a weight takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 50  # of Lloyd's algorithm; in one dimension it hardly moves after 20


def first_centroids(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return `count` values, rising, that stand for `values` with little squared error (Lloyd from quantiles).

    Values that are that few already stand for themselves, the last of them more than once.
    """
    distinct = np.unique(values)
    if len(distinct) <= count:
        padded = np.full(count, distinct[-1] if len(distinct) else 0, np.float32)
        padded[: len(distinct)] = distinct
        return padded
    rising = np.sort(values.ravel()).astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(rising)])
    centroids = np.quantile(rising, (np.arange(count) + 0.5) / count)
    for _ in range(ROUNDS):
        borders = np.searchsorted(rising, (centroids[1:] + centroids[:-1]) / 2)
        ends = np.concatenate([[0], borders, [len(rising)]])
        counts = np.diff(ends)
        centroids = np.where(counts, np.diff(sums[ends]) / np.maximum(counts, 1), centroids)
    return centroids.astype(np.float32)


def nearest(values: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the nearest centroid of each value, in their shape."""
    rising = np.sort(centroids)
    return rising[np.searchsorted((rising[1:] + rising[:-1]) / 2, values)]
