"""Choose the layers that leave 8 bits: those that bring most for what they cost.

A tensor that two layers share is exact only if both are restored, so runs of neighbours are weighed together: a
depthwise convolution with the squeeze-and-excite layers behind it costs hardly more than alone and brings much more.
The costs of what is rounded rank the runs (`rounding_costs.py`). Each choice is then measured, since neighbours' errors
may cancel each other: after the first block of a b0 had been restored, its last convolution as well made things worse.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from converters.repair.layer_prices import Prices
from converters.repair.rounding_costs import RoundingCost

LONGEST_RUN = 4  # layers; a block has 3 to 5
SMALLEST_GAIN = 0.002  # of the error that is left: 0.01 dB
WORTH = 0.25  # of the gain that was predicted; a run that brings less is passed over
STEP_DB = 0.5  # by which each set is better than the one before

Layers = frozenset[str]


@dataclass(frozen=True)
class Mixed:
    """How a mixed file is made and judged."""

    restore: Callable[[Layers], bytes]  # the file in which these layers have left 8 bits
    error: Callable[[bytes], float]  # the squared error of all its logits
    affords: Callable[[bytes], bool]  # whether it is fast enough


@dataclass
class _Search:
    """What has been chosen so far, and what is out of the question."""

    costs: Sequence[RoundingCost]
    prices: Prices
    share_limit: float
    chosen: Layers = frozenset()
    passed_over: set[Layers] = field(default_factory=set)  # runs that brought too little
    closed: set[str] = field(default_factory=set)  # layers that made the file too slow

    def __post_init__(self) -> None:
        self._touched: dict[str, list[RoundingCost]] = defaultdict(list)
        for row in self.costs:
            for layer in {row.layer, *row.readers}:
                self._touched[layer].append(row)

    def gain(self, run: Layers) -> float:
        """Return the error that restoring a run as well is predicted to take away."""
        after = self.chosen | run
        rows = {id(row): row for layer in run for row in self._touched[layer]}
        return sum(row.left(self.chosen) - row.left(after) for row in rows.values())

    def best_run(self) -> Layers | None:
        """Return the run of neighbours that brings most for its price; None if none is worth it."""
        least = SMALLEST_GAIN * sum(row.left(self.chosen) for row in self.costs)
        before = self.prices.of(self.chosen)
        best, best_ratio = None, 0.0
        for run in self._open_runs():
            gain = self.gain(run)
            if gain <= least:
                continue
            ratio = gain / max(1.0, self.prices.of(self.chosen | run) - before)
            if ratio > best_ratio:
                best, best_ratio = run, ratio
        return best

    def _open_runs(self) -> Iterator[Layers]:
        layers = list(self.prices.macs)
        runs = {
            frozenset(layers[start : start + length]) - self.chosen
            for start in range(len(layers))
            for length in range(1, LONGEST_RUN + 1)
        }
        for run in sorted(runs - self.passed_over, key=sorted):
            if run and run.isdisjoint(self.closed) and self.prices.share(self.chosen | run) <= self.share_limit:
                yield run


def worst_layers(
    costs: Sequence[RoundingCost], prices: Prices, mixed: Mixed, share_limit: float = 0.15
) -> Iterator[Layers]:
    """Yield sets of layers, each larger than the one before and better by STEP_DB, within the limits.

    `share_limit` is that of the multiply-accumulates above 8 bits.
    """
    search = _Search(costs, prices, share_limit)
    kept: Layers = frozenset()
    left = kept_error = mixed.error(mixed.restore(kept))
    while (run := search.best_run()) is not None:
        content = mixed.restore(search.chosen | run)
        error = mixed.error(content)
        if left - error < WORTH * search.gain(run):
            search.passed_over.add(run)
            continue
        search.chosen, left = search.chosen | run, error
        if 10 * math.log10(kept_error / left) < STEP_DB:
            continue
        if not mixed.affords(content):
            search.closed |= search.chosen - kept
            search.chosen, left = kept, kept_error
            continue
        kept, kept_error = search.chosen, left
        yield kept
    if search.chosen != kept and mixed.affords(mixed.restore(search.chosen)):
        yield search.chosen
