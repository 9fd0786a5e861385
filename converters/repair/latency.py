"""How much longer one file takes than another on this machine: one thread, run in turns, loaded anew several times.

What a rung costs has to be known while the ladder is climbed, within seconds; `edgenet benchmark` is the measurement
that a figure should be quoted from.
"""

import time

import numpy as np
from numpy.typing import NDArray

from converters.runtime import Runner

LOADS = 3  # where a file comes to lie in memory moves its time by percents
TURNS, WARM_UP = 16, 2  # of each load
LONGEST_S = 6.0  # of all; a b7 takes a second a run
QUANTILE = 0.1  # other work on a machine only ever adds time


def latency_ratio(plain: bytes, other: bytes, pixels: NDArray[np.uint8]) -> float:
    """Return the time of `other` over that of `plain`, both run on raw pixels [side, side, 3] in turns.

    The best load of each counts.
    """
    begin = time.perf_counter()
    loads: list[NDArray[np.float64]] = []
    for _ in range(LOADS):
        loads.append(_turns((Runner(plain), Runner(other)), pixels, LONGEST_S / LOADS))
        if time.perf_counter() - begin > LONGEST_S:
            break
    best_s = np.min([np.quantile(times_s, QUANTILE, axis=1) for times_s in loads], axis=0)
    return float(best_s[1] / best_s[0])


def _turns(runners: tuple[Runner, Runner], pixels: NDArray[np.uint8], longest_s: float) -> NDArray[np.float64]:
    """Return the seconds of each run [2, turns]."""
    for _ in range(WARM_UP):
        for runner in runners:
            runner.logits(pixels)
    begin = time.perf_counter()
    times_s: list[list[float]] = []
    while len(times_s) < TURNS and (not times_s or time.perf_counter() - begin < longest_s):
        times_s.append([_seconds(runner, pixels) for runner in runners])
    return np.asarray(times_s).T


def _seconds(runner: Runner, pixels: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    runner.logits(pixels)
    return time.perf_counter() - start
