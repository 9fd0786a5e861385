"""How the number of zeros grows while a network is pruned."""

from __future__ import annotations

from dataclasses import dataclass

from edgenet.training.compress.library import tfmot

UPDATES = 32  # of the masks on the way; each sorts every kernel once


@dataclass(frozen=True)
class Ramp:
    """Sparsity over steps of fine-tuning: fast at first, then ever slower (arXiv 1710.01878, a cubic)."""

    first_sparsity: float
    last_sparsity: float
    steps: int
    frequency: int

    def is_due(self, step: int) -> bool:
        """Tell whether masks change after `step` steps."""
        return step <= self.steps and step % self.frequency == 0

    def sparsity(self, step: int) -> float:
        """Return the share of zeros after `step` steps."""
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            self.first_sparsity, self.last_sparsity, begin_step=0, end_step=self.steps, frequency=self.frequency
        )
        return float(schedule(step)[1].numpy())


def make_ramp(first_sparsity: float, last_sparsity: float, steps: int) -> Ramp:
    """Return a ramp of about `steps` steps that ends with an update; never less zeros than there are at first."""
    frequency = max(1, steps // UPDATES)
    return Ramp(min(first_sparsity, last_sparsity), last_sparsity, max(1, steps // frequency) * frequency, frequency)
