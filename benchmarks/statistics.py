"""What is said of a measurement: the median first with its interval, tails, spread, outliers and drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.bootstrap import (
    Samples,
    interval,
    likeness_factor,
    quantile,
    resampled_quantiles,
    resampling,
    small_number_factor,
    turns,
    units,
)
from benchmarks.result import BlockRecord, DriftRecord, StatisticsRecord

SEED = 0
# Below 6 samples not even from the smallest to the largest holds the median with 95 %: 1 - 2 / 2^6 = 0.97.
FEWEST_FOR_INTERVAL = 6
# Modified z-score, its constant (the normal distribution's 75th percentile) and its bound: B. Iglewicz and
# D. C. Hoaglin, How to Detect and Handle Outliers, ASQC Quality Press, 1993.
NORMAL_MAD, OUTLYING = 0.6745, 3.5
# The normal distribution's mean absolute deviation, sqrt(2 / pi), takes its place where the MAD is 0.
NORMAL_MEAN_DEVIATION = 0.7979
# Turns are put together in so many parts before their trend is tested: the test takes the parts for independent, and
# single turns are not. The fewest parts whose strict order is no chance: p = 2 / 6! = 0.003.
DRIFT_PARTS, FEWEST_DRIFT_PARTS = 8, 6


def statistics(blocks: Sequence[BlockRecord]) -> StatisticsRecord:
    """Return the statistics of blocks that hold at least one sample; percentiles by nearest rank.

    The nearest rank (definition 1 of Hyndman and Fan, The American Statistician 50, 1996) is a latency that occurred,
    and what MLPerf's single stream is judged by: 90 % of the runs took no longer than p90.
    """
    parts = turns(blocks)
    samples = np.concatenate(parts)
    p90, p95, p99 = np.quantile(samples, (0.90, 0.95, 0.99), method="inverted_cdf")
    median_s = float(np.median(samples))
    low_s, high_s = median_interval(parts)
    return StatisticsRecord(
        count=len(samples),
        median_s=median_s,
        median_low_s=low_s,
        median_high_s=high_s,
        p90_s=float(p90),
        p95_s=float(p95),
        p99_s=float(p99),
        min_s=float(samples.min()),
        max_s=float(samples.max()),
        mean_s=float(samples.mean()),
        std_s=float(samples.std(ddof=1)) if len(samples) > 1 else 0.0,
        outliers=int(outlying(samples).sum()),
        drift=drift(blocks),
    )


def median_interval(parts: Sequence[Samples]) -> tuple[float, float]:
    """Return the 95 % interval of the median of all turns' samples, in seconds.

    It says how far the median would move if the measurement went on in the same way; what differs from load to load
    and from day to day is not in it. Few samples give the whole range.
    """
    samples = np.concatenate(parts)
    if len(samples) < FEWEST_FOR_INTERVAL:
        return float(samples.min()), float(samples.max())
    pieces = units(parts)
    resampled = resampled_quantiles(pieces, resampling(len(pieces), SEED), 0.5)
    return interval(quantile(samples, 0.5), resampled, small_number_factor(len(pieces)) * likeness_factor(pieces))


def outlying(samples: Samples) -> NDArray[np.bool_]:
    """Return which samples are outliers by their modified z-score.

    A clock that is coarse against the latency makes more than half of the samples equal and their MAD 0; the mean
    absolute deviation, which is 0 only if all are equal, is taken then.
    """
    deviations = np.abs(samples - np.median(samples))
    mad, mean_deviation = float(np.median(deviations)), float(deviations.mean())
    scale = mad / NORMAL_MAD if mad else mean_deviation / NORMAL_MEAN_DEVIATION
    found: NDArray[np.bool_] = deviations > OUTLYING * scale
    return found


def drift(blocks: Sequence[BlockRecord]) -> DriftRecord | None:
    """Return the trend of the medians over the run, None for few blocks.

    The slope is the median of those of all pairs of parts (P. K. Sen, JASA 63, 1968, p. 1379), the chance that of
    Kendall's tau. Blocks take about the same time: their order stands for it.
    """
    ordered = sorted(blocks, key=lambda block: block.start_s)
    parts = [part for part in np.array_split(np.arange(len(ordered)), DRIFT_PARTS) if len(part)]
    if len(parts) < FEWEST_DRIFT_PARTS:
        return None
    medians_s = np.array([np.median(np.concatenate([ordered[index].samples_s for index in part])) for part in parts])
    if np.ptp(medians_s) == 0:
        return DriftRecord(relative_change=0.0, p_value=1.0)
    first, second = np.triu_indices(len(parts), 1)
    slope_s = float(np.median((medians_s[second] - medians_s[first]) / (second - first)))  # a part
    change = slope_s * (len(parts) - 1) / float(np.median(medians_s))
    return DriftRecord(relative_change=change, p_value=order_chance(medians_s))


def order_chance(values: Samples) -> float:
    """Return how likely chance alone puts values in such an order or a stricter one, up or down: Kendall's exact test.

    Of the n! orders, those with k pairs the wrong way round are counted by adding one value after the other (M. G.
    Kendall, Biometrika 30, 1938, p. 81). A tie is half a pair. scipy.stats.kendalltau gives the same and takes half a
    second to import.
    """
    count = len(values)
    steps = np.sign(np.subtract.outer(values, values))[np.triu_indices(count, 1)]
    wrong = float((steps > 0).sum()) + 0.5 * float((steps == 0).sum())
    orders = np.ones(1)
    for size in range(2, count + 1):
        orders = np.convolve(orders, np.ones(size))
    fewest = int(np.ceil(min(wrong, len(steps) - wrong)))  # up: a tie speaks for chance
    return float(min(1.0, 2 * orders[: fewest + 1].sum() / orders.sum()))
