"""What everything that a w8a8 file rounds costs the logits, each alone in the float network, and what undoes it.

Errors that know nothing of each other add up by their squares, so the costs of what stays rounded predict a mixed file:
1 to 2 dB above what was measured for a b0, wherever between 15 and 22 dB (100 photos apart from the 16 that these
costs are from).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.diagnosis_cost import on_all_cores, rounded
from converters.diagnosis_graph import RoundedWeights, Steps, filled, owners, steps_of
from converters.edit import text
from converters.flatbuffer import Model
from converters.quantized_layers import layers
from converters.repair.layer_prices import readers_of
from converters.runtime import Runner
from edgenet.progress import Report


@dataclass(frozen=True)
class RoundingCost:
    """The squared error of all logits that one rounding makes, which is gone where `layer` and `readers` are restored.

    What a layer rounds for itself has no readers: its weights, the tensors between its own ops.
    """

    layer: str
    readers: tuple[str, ...]
    cost: float

    def left(self, chosen: Set[str]) -> float:
        """Return what is left of it where some layers are restored."""
        if self.layer not in chosen:
            return self.cost
        still_rounded = sum(reader not in chosen for reader in self.readers)
        return self.cost * still_rounded / max(1, len(self.readers))


@dataclass(frozen=True)
class _Rounding:
    layer: str
    readers: tuple[str, ...]
    weights: tuple[RoundedWeights, ...]
    steps: Mapping[str, Steps]


def logits_error(content: bytes, inputs: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[Any]]) -> float:
    """Return the squared error of all logits of a file on real inputs [1, side, side, 3]."""
    runner = Runner(content)
    return sum(
        float(np.sum(np.square(runner.real_output(values) - wanted)))
        for values, wanted in zip(inputs, expected, strict=True)
    )


def rounding_costs(
    float_content: bytes,
    content: bytes,
    inputs: Sequence[NDArray[np.float32]],
    expected: Sequence[NDArray[np.float32]],
    report: Report,
) -> list[RoundingCost]:
    """Return the costs of what a w8a8 file with int8 ends rounds; both files take `inputs` [1, side, side, 3]."""

    def cost(row: _Rounding) -> RoundingCost:
        changed = rounded(float_content, row.weights, row.steps)
        return RoundingCost(row.layer, row.readers, logits_error(changed, inputs, expected))

    found = _roundings(flatbuffer.read(float_content), flatbuffer.read(content))
    return on_all_cores(cost, found, "rounding each layer", report)


def _roundings(original: Model, model: Model) -> list[_Rounding]:
    """Return what each layer rounds for itself, together, and each tensor that other layers read."""
    owned, steps, readers = owners(original), _steps_by_name(model), readers_of(original)
    names = {tensor: text(original.subgraphs[0].tensors[tensor].name) for tensor in owned}
    weights = _weights(original, model)
    first = owned[int(original.subgraphs[0].inputs[0])]  # the image with what precedes all layers: not to be restored
    inside: dict[str, dict[str, Steps]] = {layer: {} for layer in owned.values() if layer != first}
    own_weights: dict[str, list[RoundedWeights]] = {layer: [] for layer in inside}
    crossing = []
    for tensor, layer in owned.items():
        name = names[tensor]
        if layer == first:
            continue
        if name in weights:
            own_weights[layer].append(weights[name])
        if name in steps and set(readers[tensor]) == {layer}:
            inside[layer][name] = steps[name]
        elif name in steps:
            crossing.append(_Rounding(layer, readers[tensor], (), {name: steps[name]}))
    own = (_Rounding(layer, (), tuple(own_weights[layer]), rows) for layer, rows in inside.items())
    return [row for row in own if row.weights or row.steps] + crossing


def _steps_by_name(model: Model) -> dict[str, Steps]:
    found = {name: steps_of(model.subgraphs[0].tensors[tensor]) for name, tensor in filled(model).items()}
    return {name: steps for name, steps in found.items() if steps}


def _weights(original: Model, model: Model) -> dict[str, RoundedWeights]:
    """Return the int8 weights of each layer as real numbers, by the name of the tensor that they help to fill."""
    return {
        row.output_name: RoundedWeights(
            row.output_name, np.asarray(row.weight_steps * row.weight_scales, dtype=np.float32), row.real_bias
        )
        for row in layers(model, original)
    }
