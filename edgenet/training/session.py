"""What a training works on from its first step to its last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgenet.layers import Architecture
from edgenet.progress import Report
from edgenet.training.plan import Stage, plan_stages
from edgenet.training.recipe import Recipe
from edgenet.training.split import Split
from edgenet.training.strategy import Devices
from edgenet.weights.record import Weights

Say = Callable[[str], None]


@dataclass(frozen=True)
class Session:
    """The weights to begin from, with a head for the labels and the side to train at, and everything around them."""

    weights: Weights
    recipe: Recipe
    split: Split
    seed: int
    devices: Devices
    out: Path
    report: Report
    say: Say

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in order."""
        return plan_stages(self.recipe, self.weights.preprocessing.side_px)

    @property
    def epochs(self) -> int:
        """Return the number of epochs if nothing stops them early."""
        return self.stages[-1].end_epoch

    def architecture(self, side_px: int = 0) -> Architecture:
        """Return the architecture at a side; 0 is the deployed one."""
        return self.weights.architecture(side_px)
