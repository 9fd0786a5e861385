"""The repair ladder: rungs from free to dear, each measured, the first file that passes the gate wins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from converters.repair.bench import Bench, Trial
from converters.repair.climb import Climb, Rung, Step
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe
from converters.repair.rungs import (
    bias_correction,
    equalization,
    learned_rounding,
    min_max,
    ranges,
    worst_layers,
)

RUNGS = (
    Rung("min-max", min_max.propose, free=True),
    Rung("ranges", ranges.propose, free=True),
    Rung("bias correction", bias_correction.propose, free=True),
    Rung("equalization", equalization.propose),
    Rung("learned rounding", learned_rounding.propose),
    Rung("worst layers", worst_layers.propose, full_integer=False),
)


@dataclass(frozen=True)
class Outcome:
    """How a climb ended: the best file, and every trial on the way to it."""

    gate: Gate
    best: Trial
    steps: tuple[Step, ...]
    interrupted: bool

    @property
    def passed(self) -> bool:
        """Return whether the best file passes the gate."""
        return self.gate.passes(self.best.agreement, self.best.crossed)


def climb_ladder(bench: Bench, gate: Gate, watch: Callable[[Step], None]) -> Outcome:
    """Try rung after rung until a file passes the gate; `watch` sees each trial as it is measured.

    An interrupt ends the climb with the best file so far, if there is one.
    """
    climb = Climb(bench, gate)
    try:
        for rung in RUNGS:
            if rung.full_integer or gate.target != "edgetpu":
                _try_rung(climb, rung, watch)
    except KeyboardInterrupt:
        if not climb.steps:
            raise
        return _outcome(climb, interrupted=True)
    return _outcome(climb, interrupted=False)


def _outcome(climb: Climb, *, interrupted: bool) -> Outcome:
    return Outcome(climb.gate, climb.best, tuple(climb.steps), interrupted)


def _try_rung(climb: Climb, rung: Rung, watch: Callable[[Step], None]) -> None:
    for recipe in _open_recipes(climb, rung):
        begin = time.perf_counter()
        trial = climb.bench.try_out(recipe)
        climb.steps.append(Step(rung.name, trial, climb.improves(trial), time.perf_counter() - begin))
        watch(climb.steps[-1])


def _open_recipes(climb: Climb, rung: Rung) -> Iterator[Recipe]:
    """Yield what a rung proposes until the gate is passed; a free rung is climbed to its end."""
    proposals = rung.propose(climb)
    while rung.free or not climb.passes(climb.best):
        recipe = next(proposals, None)
        if recipe is None:
            return
        yield recipe
