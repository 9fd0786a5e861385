"""What the rounding of each layer costs the logits, all other layers being float.

The float graph gets the rounded weights, or a QUANTIZE and a DEQUANTIZE behind each activation, of one layer at a time.
With all layers rounded so, the graph is as far from float as the file itself (12.80 and 12.82 dB, b0). The other way,
to restore one layer of the rounded graph at a time, ranks worse: what it measures is a small difference of two large
errors. Of the 82 layers of a b0, the 32 that cost most by this ranking, restored together, bring the logits of other
photos from 13 to 27.0 dB; the 32 by the other ranking to 20.8 dB. Both name the same two layers first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import flatbuffer
from converters.diagnosis_graph import LayerPair, RoundedWeights, Steps
from converters.edit import add_constant, add_tensor, make_operator, make_steps, text
from converters.flatbuffer import Model
from converters.op_versions import set_op_versions
from converters.patterns import Op
from converters.runtime import Runner
from edgenet.progress import Report, tracked

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """The squared error of all logits that one layer's rounding makes; None: the file does not round these."""

    weights: float | None
    activations: float | None

    @property
    def total(self) -> float:
        """Return both together: rounding errors that know nothing of each other add up by their squares."""
        return (self.weights or 0.0) + (self.activations or 0.0)


def layer_costs(
    reference: bytes,
    layers: Sequence[LayerPair],
    images: Sequence[NDArray[np.uint8]],
    expected: Sequence[NDArray[np.float32]],
    report: Report,
) -> list[Cost]:
    """Return each layer's cost on raw pixels [side, side, 3], whose float logits [classes] are `expected`."""

    def cost(layer: LayerPair) -> Cost:
        weights = rounded_logits_error(reference, [layer.weights], {}, images, expected) if layer.weights else None
        activations = rounded_logits_error(reference, (), layer.steps, images, expected) if layer.steps else None
        return Cost(weights, activations)

    return on_all_cores(cost, layers, "rounding each layer", report)


def tensor_costs(
    reference: bytes,
    layers: Iterable[LayerPair],
    images: Sequence[NDArray[np.uint8]],
    expected: Sequence[NDArray[np.float32]],
    report: Report,
) -> dict[str, float]:
    """Return the squared error of all logits that the rounding of each tensor of some layers makes alone, by name."""
    steps = [row for layer in layers for row in layer.steps.items()]

    def cost(row: tuple[str, Steps]) -> float:
        return rounded_logits_error(reference, (), dict([row]), images, expected)

    costs = on_all_cores(cost, steps, "rounding each tensor", report) if steps else []
    return dict(zip((name for name, _ in steps), costs, strict=True))


def on_all_cores(function: Callable[[Item], Result], items: Sequence[Item], step: str, report: Report) -> list[Result]:
    """Return what a function gives for each item, in their order."""
    report(step, 0, len(items))  # before the workers load models, who hold back what is printed meanwhile
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(tracked(pool.map(function, items), step, len(items), report))


def rounded_logits_error(
    reference: bytes,
    weights: Iterable[RoundedWeights],
    steps: Mapping[str, Steps],
    images: Sequence[NDArray[np.uint8]],
    expected: Sequence[NDArray[np.float32]],
) -> float:
    """Return the squared error of all logits of the float file with these weights and tensors rounded."""
    runner = Runner(rounded(reference, weights, steps))
    return sum(
        float(np.sum(np.square(runner.logits(pixels) - wanted)))
        for pixels, wanted in zip(images, expected, strict=True)
    )


def rounded(reference: bytes, weights: Iterable[RoundedWeights], steps: Mapping[str, Steps]) -> bytes:
    """Return the float file with these weights and tensors rounded as the quantized file rounds them."""
    model = flatbuffer.read(reference)
    by_output = {row.output: row for row in weights}
    graph = model.subgraphs[0]
    names = [text(tensor.name) for tensor in graph.tensors]
    operators: list[Any] = []
    replaced: dict[int, int] = {}
    for operator in graph.operators:
        operator.inputs = [replaced.get(int(row), int(row)) for row in operator.inputs]
        output = int(operator.outputs[0])
        if names[output] in by_output:
            _replace_weights(model, operator, by_output[names[output]])
        operators.append(operator)
        if names[output] in steps:
            *added, replaced[output] = _round_trip(model, output, steps[names[output]])
            operators += added
    graph.operators = operators
    graph.outputs = [replaced.get(int(row), int(row)) for row in graph.outputs]
    model.signatureDefs = None
    set_op_versions(model)
    return flatbuffer.write(model)


def _replace_weights(model: Model, operator: Any, row: RoundedWeights) -> None:
    # Constants of their own: several ops may share one.
    operator.inputs[1] = add_constant(model, f"{row.output}/rounded", row.weight)
    if row.bias is not None:
        bias = add_constant(model, f"{row.output}/rounded_bias", row.bias)
        operator.inputs = [*operator.inputs[:2], bias]


def _round_trip(model: Model, tensor: int, steps: Steps) -> Iterator[Any]:
    """Yield the two ops that round a tensor, then the rounded tensor."""
    source = model.subgraphs[0].tensors[tensor]
    whole = add_tensor(model, f"{text(source.name)}/whole", source.shape, steps.kind)
    real = add_tensor(model, f"{text(source.name)}/rounded", source.shape)
    model.subgraphs[0].tensors[whole].quantization = make_steps([steps.scale], [steps.zero_point])
    yield make_operator(model, Op.QUANTIZE, [tensor], whole, schema.QuantizeOptionsT())
    yield make_operator(model, Op.DEQUANTIZE, [whole], real, schema.DequantizeOptionsT())
    yield real
