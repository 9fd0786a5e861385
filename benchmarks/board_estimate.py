"""Latencies on the CPU of a board that nobody measured: arithmetic at one rate, memory at another, fitted for each.

    latency = multiply-accumulates / rate + values read and written / rate

    python -m benchmarks.board_estimate

prints how far off it is: each published network is left out once, and estimated from the others. No rate of arithmetic
may be above what the processor can do at all. A board with few published networks has the rates of another one but for
a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from statistics import median

import numpy as np

from benchmarks.edgetpu_estimate import least_errors
from benchmarks.published_boards import BOARDS, NETWORKS
from converters.check.graph import Graph
from converters.check.work import cpu_work
from edgenet.layers import Architecture, Layer

WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# Passes over a tensor: what a swish outside of a convolution reads and writes (x; its logistic; both; the product), a
# squeeze-and-excite (mean, product), and a sum.
SWISH, SQUEEZE, SUM = 5, 3, 3


@dataclass(frozen=True)
class Work:
    """What one inference asks for: multiply-accumulates, and values read and written, weights included."""

    macs: int
    values: int


@dataclass(frozen=True)
class Rates:
    """Seconds for each multiply-accumulate and each value, with the relative error on each network left out."""

    mac_s: float
    value_s: float
    errors: dict[str, float]

    @property
    def median_error(self) -> float:
        """Return the median of the errors' sizes."""
        return median(abs(error) for error in self.errors.values())

    @property
    def largest_error(self) -> float:
        """Return the largest of the errors' sizes."""
        return max(abs(error) for error in self.errors.values())

    def latency_s(self, work: Work) -> float:
        """Return the estimated latency."""
        return work.macs * self.mac_s + work.values * self.value_s

    def slower(self, factor: float) -> Rates:
        """Return the rates of a machine that takes `factor` times as long for everything."""
        return Rates(self.mac_s * factor, self.value_s * factor, self.errors)


def graph_work(graph: Graph) -> Work:
    """Return the work of a drawn graph."""
    macs = sum(cpu_work(row) for row in graph.operators if row.name in WITH_WEIGHTS)
    return Work(macs, sum(each.values for row in graph.operators for each in (*row.activations, *row.constants)))


def variant_work(network: Architecture) -> Work:
    """Return the work of a variant, its swishes and squeeze-and-excites included."""
    values = sum(map(_values, network.layers))
    for block in network.blocks:
        size = block.out_side**2 * block.out_channels
        values += SUM * size if block.skip else 0
        last = block.before_squeeze[-1]
        values += SQUEEZE * last.out_side**2 * last.out_channels if block.squeeze else 0
    return Work(sum(prod(row.weight_shape) * row.out_side**2 for row in network.layers), values)


def _values(layer: Layer) -> int:
    written = layer.out_side**2 * layer.out_channels
    passes = SWISH if layer.activation == "swish" else 0
    return layer.in_side**2 * layer.in_channels + (1 + passes) * written + prod(layer.weight_shape)


@cache
def board_rates(profile: str) -> dict[str, Rates]:
    """Return the rates of a board for "float" and "int8" arithmetic; {} where nothing of it was published."""
    board = next((row for row in BOARDS if row.profile == profile), None)
    if board is None:
        return {}
    published = {"float": board.float_s, "int8": board.int8_s}
    if board.like:
        like = board_rates(board.like)
        return {name: fit_factor(rows, like[name]) for name, rows in published.items()}
    peaks = dict(zip(published, board.peak_macs_per_cycle, strict=True))
    macs_per_s = {name: peak * board.cores * board.frequency_hz for name, peak in peaks.items()}
    return {name: fit(rows, macs_per_s[name]) for name, rows in published.items()}


def fit(published_s: Mapping[str, float], peak_macs_per_s: float) -> Rates:
    """Return rates with the least sum of relative errors, and the error on each network from the others' rates."""

    def fitted(rows: Mapping[str, float]) -> Rates:
        measured = np.array(list(rows.values()))
        works = [network_work(name) for name in rows]
        asked = np.array([(work.macs / 1e9, work.values / 1e9) for work in works])
        lows = (1e9 / peak_macs_per_s, 0.0)
        found = least_errors(asked / measured[:, np.newaxis], np.ones(len(rows)), lows)
        return Rates(float(found[0]) / 1e9, float(found[1]) / 1e9, {})

    return _with_errors(fitted, published_s)


def fit_factor(published_s: Mapping[str, float], like: Rates) -> Rates:
    """Return the rates of another board times the median ratio to it, and the error on each network left out."""

    def fitted(rows: Mapping[str, float]) -> Rates:
        return like.slower(median(seconds / like.latency_s(network_work(name)) for name, seconds in rows.items()))

    return _with_errors(fitted, published_s)


def _with_errors(fitted: Callable[[Mapping[str, float]], Rates], published_s: Mapping[str, float]) -> Rates:
    errors = {}
    for left_out, seconds in published_s.items():
        others = fitted({name: other for name, other in published_s.items() if name != left_out})
        errors[left_out] = others.latency_s(network_work(left_out)) / seconds - 1
    return replace(fitted(published_s), errors=errors)


@cache
def network_work(name: str) -> Work:
    """Return the work of a published network."""
    return graph_work(NETWORKS[name]())


def main() -> None:
    """Print the rates of each board and the error on each network left out."""
    for board in BOARDS:
        for arithmetic, rates in board_rates(board.profile).items():
            speed, memory = 1e-9 / rates.mac_s, 1e-9 / rates.value_s
            print(f"{board.profile}, {arithmetic}: {speed:.1f} G multiply-accumulates/s, {memory:.2f} G values/s")
            for name, error in rates.errors.items():
                print(f"    {name:20}{100 * error:+5.0f} %")
            print(f"    {'median of the sizes':20}{100 * rates.median_error:5.0f} %")


if __name__ == "__main__":
    main()
