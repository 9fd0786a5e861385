"""What it costs to let layers leave 8 bits: their arithmetic, and conversions at the borders."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from converters.diagnosis_graph import operator_macs, owners
from converters.flatbuffer import Model
from converters.patterns import consumers

# In multiply-accumulates: what an element takes longer in float than in int8, and what its conversion takes. Estimates
# from a b0 (x86 with VNNI, one thread): they rank layers; what a file takes is measured.
ELEMENTWISE, CONVERSION = 1.0, 4.0
OUTSIDE = ""  # who reads the graph's output: no layer, so it stays in 8 bits


@dataclass(frozen=True)
class Shared:
    """A tensor that other layers read as well; `readers` are one for each op that does."""

    layer: str
    readers: tuple[str, ...]
    price: float  # of one conversion


@dataclass(frozen=True)
class Prices:
    """What each layer costs, in the order of the graph; what lies before the first layer is none."""

    macs: dict[str, int]
    arithmetic: dict[str, float]
    shared: tuple[Shared, ...]

    def share(self, chosen: Iterable[str]) -> float:
        """Return the share of the multiply-accumulates that some layers take."""
        return sum(self.macs[layer] for layer in chosen) / max(1, sum(self.macs.values()))

    def of(self, chosen: frozenset[str]) -> float:
        """Return the price of some layers together, in multiply-accumulates."""
        borders = (row.price for row in self.shared if _is_border(row, chosen))
        return sum(self.arithmetic[layer] for layer in chosen) + sum(borders)


def _is_border(row: Shared, chosen: frozenset[str]) -> bool:
    return any((reader in chosen) != (row.layer in chosen) for reader in row.readers)


def readers_of(original: Model) -> dict[int, tuple[str, ...]]:
    """Return the layers that read each tensor which an op fills, one for each op that does."""
    owned, ops = owners(original), consumers(original)
    ends = {int(tensor) for tensor in original.subgraphs[0].outputs}
    return {
        tensor: tuple(owned[int(row.outputs[0])] for row in ops.get(tensor, ())) + (OUTSIDE,) * (tensor in ends)
        for tensor in owned
    }


def layer_prices(original: Model) -> Prices:
    """Return the prices of the layers of a float graph."""
    graph, owned = original.subgraphs[0], owners(original)
    first, *names = dict.fromkeys(owned.values())
    macs, arithmetic = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0)
    for operator in graph.operators:
        layer = owned[int(operator.outputs[0])]
        if layer == first:
            continue
        count = operator_macs(original, operator)
        macs[layer] += count
        # A mean reads far more than it writes.
        values = max(math.prod(graph.tensors[row].shape) for row in (operator.inputs[0], operator.outputs[0]))
        arithmetic[layer] += count or ELEMENTWISE * values
    shared = tuple(
        Shared(owned[tensor], readers, CONVERSION * math.prod(graph.tensors[tensor].shape))
        for tensor, readers in readers_of(original).items()
        if set(readers) != {owned[tensor]}
    )
    return Prices(macs, arithmetic, shared)
