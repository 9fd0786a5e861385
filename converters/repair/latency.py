"""How much longer one file takes than another on this machine: one thread, run in turns.

What a rung costs has to be known while the ladder is climbed, within seconds; `edgenet benchmark` is the measurement
that a figure should be quoted from.
"""

import time

import numpy as np
from numpy.typing import NDArray

from converters.runtime import Runner

TURNS, WARM_UP = 40, 3
LONGEST_S = 6.0  # of both files together; a b7 takes a second a run
QUANTILE = 0.1  # other work on a machine only ever adds time


def latency_ratio(plain: bytes, other: bytes, pixels: NDArray[np.uint8]) -> float:
    """Return the time of `other` over that of `plain`, both run on raw pixels [side, side, 3] in turns."""
    runners = (Runner(plain), Runner(other))
    for _ in range(WARM_UP):
        for runner in runners:
            runner.logits(pixels)
    times_s: tuple[list[float], list[float]] = ([], [])
    begin = time.perf_counter()
    for _ in range(TURNS):
        for runner, row in zip(runners, times_s, strict=True):
            start = time.perf_counter()
            runner.logits(pixels)
            row.append(time.perf_counter() - start)
        if time.perf_counter() - begin > LONGEST_S:
            break
    return float(np.quantile(times_s[1], QUANTILE) / np.quantile(times_s[0], QUANTILE))
