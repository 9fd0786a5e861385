"""Do the parameters stay on the chip, or go to it anew with every inference?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.check.graph import Operator, Tensor
from converters.check.parameters import parameter_bytes
from converters.check.target import Memory


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes on the chip, as far as published rules and compiled files tell: the compiler itself says it exactly."""

    on_chip_bytes: int
    peak_activation_bytes: int
    parameter_bytes: int
    cached_parameter_bytes: int
    streamed_parameter_bytes: int


def plan(operators: Sequence[Operator], memory: Memory) -> MemoryPlan:
    """Return how the parameters of the ops on the chip and their activations share its memory."""
    needed = sum(map(parameter_bytes, operators))
    peak = peak_activation_bytes(operators)
    cached = min(needed, max(0, memory.on_chip_bytes - round(peak * memory.activation_share)))
    return MemoryPlan(memory.on_chip_bytes, peak, needed, cached, needed - cached)


def peak_activation_bytes(operators: Sequence[Operator]) -> int:
    """Return the most bytes that activations take at once, each from its first use to its last by these ops."""
    last = {tensor.index: place for place, row in enumerate(operators) for tensor in row.activations}
    alive: dict[int, int] = {}
    peak = 0
    held = 0
    for place, operator in enumerate(operators):
        fresh: dict[int, Tensor] = {row.index: row for row in operator.activations if row.index not in alive}
        alive |= {index: tensor.size_bytes for index, tensor in fresh.items()}
        held += sum(tensor.size_bytes for tensor in fresh.values())
        peak = max(peak, held)
        for index in {row.index for row in operator.activations if last[row.index] == place}:
            held -= alive.pop(index)
    return peak
