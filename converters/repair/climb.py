"""What a rung sees of the climb: the bench, the gate, the best file so far, and how the last trial went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from converters.repair.bench import Bench, Trial
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe


@dataclass(frozen=True)
class Step:
    """One trial of the climb, and whether it became the best file."""

    rung: str
    trial: Trial
    kept: bool
    duration_s: float


@dataclass
class Climb:
    """The state of one climb; rungs read it, the ladder writes it."""

    bench: Bench
    gate: Gate
    steps: list[Step] = field(default_factory=list)

    @property
    def best(self) -> Trial:
        """Return the best file so far; the first rung needs none."""
        return next(step.trial for step in reversed(self.steps) if step.kept)

    @property
    def last_was_kept(self) -> bool:
        """Return whether the recipe that a rung gave last became the best."""
        return self.steps[-1].kept

    def passes(self, trial: Trial) -> bool:
        """Return whether a trial reaches the gate."""
        return self.gate.passes(trial.agreement, trial.crossed)

    def improves(self, trial: Trial) -> bool:
        """Return whether a trial is better than the best so far.

        A file that passes the gate is better than one that does not; among equals the logits decide, since agreement
        on the few images of a probe is partly luck.
        """
        if not self.steps:
            return True  # there has to be one to fall back on
        return self.gate.affords(trial.latency_ratio, full_integer=trial.full_integer) and self._rank(
            trial
        ) > self._rank(self.best)

    def _rank(self, trial: Trial) -> tuple[bool, float]:
        return self.passes(trial), trial.agreement.sqnr_db


Propose = Callable[[Climb], Iterator[Recipe]]


@dataclass(frozen=True)
class Rung:
    """One way to a better file: `propose` yields recipes, and may look how each went before it yields the next."""

    name: str
    propose: Propose
    free: bool = False  # costs neither time nor speed: climbed in any case
    full_integer: bool = True  # never leaves 8 bits
