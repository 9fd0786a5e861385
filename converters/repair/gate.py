"""The gate of a repair: what a file has to reach, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edgenet.agreement import Agreement
from edgenet.errors import InputError

# cpu: what is left at last becomes float. npu: 16-bit activations. edgetpu: nothing but 8-bit integers.
Target = Literal["cpu", "npu", "edgetpu"]
TARGETS: tuple[Target, ...] = get_args(Target)


@dataclass(frozen=True)
class Gate:
    """What a file has to reach, and what it may cost."""

    target: Target = "cpu"
    min_agree: float = 0.98  # of the probe's images, and of its crossed images (crossed_agreement.py)
    max_latency_cost: float = 1.15  # times the plain w8a8 file

    def passes(self, agreement: Agreement, crossed: float) -> bool:
        """Return whether a file agrees often enough, by counting and by crossing: few images are partly luck."""
        return min(agreement.agreement.fraction, crossed) >= self.min_agree

    def affords(self, latency_ratio: float, *, full_integer: bool) -> bool:
        """Return whether a file is fast enough, and whether the target can run it at all.

        What this machine takes for 16-bit activations, which its CPU has no fast kernels for, says nothing of an NPU.
        """
        if self.target == "edgetpu" and not full_integer:
            return False
        return self.target == "npu" or latency_ratio <= self.max_latency_cost


def parse_gate(target: str, min_agree: float, max_latency_cost: float) -> Gate:
    """Return the gate of a target; raise InputError for what it cannot be."""
    if target not in TARGETS:
        raise InputError(f"unknown --repair target {target!r}", allowed=", ".join(TARGETS))
    if not 0 < min_agree <= 1:
        raise InputError(f"--min-agree cannot be {min_agree:g}", allowed="a share over 0, at most 1")
    if not 1 <= max_latency_cost <= 100:
        raise InputError(f"--max-latency-cost cannot be {max_latency_cost:g}", allowed="a factor from 1 to 100")
    return Gate(TARGETS[TARGETS.index(target)], min_agree, max_latency_cost)
