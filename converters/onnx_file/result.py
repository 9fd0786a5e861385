"""What stands behind an op's node: its fused activation, and the rounding of a quantized result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.onnx_file.values import Steps, Values
from converters.patterns import op_code, op_name
from edgenet.errors import InputError

Fused = schema.ActivationFunctionType
Stage = tuple[str, Callable[[str, str], object]]
"""A suffix for the name of a value, and what adds the node that makes it: (input, output) -> node."""

_BOUNDS: dict[int, tuple[float, float | None]] = {
    Fused.RELU: (0.0, None),
    Fused.RELU_N1_TO_1: (-1.0, 1.0),
    Fused.RELU6: (0.0, 6.0),
}


def refuse(values: Values, operator: Any, what: str, allowed: str) -> InputError:
    """Return the error of an op that cannot be written, which names it and its tensor."""
    tensor = values.name(int(operator.outputs[0]))
    return InputError(
        f"{op_name(op_code(values.model, operator))} {tensor!r} cannot be written as ONNX: {what}", allowed=allowed
    )


def give(
    values: Values, operator: Any, kind: str, inputs: list[str], *, fused: int | None = None, flat: bool = False,
    **attributes: Any,
) -> None:  # fmt: skip
    """Add a node and what follows it to the operator's output; an empty `kind` adds what follows alone.

    `flat` turns [1, C, 1, 1] into [1, C] at last. `fused` is the activation of an op that is nothing else.
    """
    output = int(operator.outputs[0])
    stages: list[Stage] = []
    if kind:
        stages.append(("sum", lambda _, name: values.node(kind, inputs, name, **attributes)))
    activation = getattr(operator.builtinOptions, "fusedActivationFunction", Fused.NONE) if fused is None else fused
    if activation != Fused.NONE and activation not in _BOUNDS:
        raise refuse(values, operator, f"its fused activation has code {activation}", "none, relu, relu6")
    bounds = _BOUNDS.get(activation)
    steps = values.steps(output)
    if steps is None:
        stages += _float_activation(values, bounds)
    else:
        stages += _rounding(values, output, steps, bounds)
    if flat:
        stages.append(("flat", lambda value, name: values.node("Flatten", [value], name, axis=1)))
    value = _chain(values.name(output), inputs[0], stages)
    (values.set_real if steps is None else values.set_whole)(output, value)


def _chain(name: str, value: str, stages: list[Stage]) -> str:
    """Add all stages; the last one has the name itself."""
    for number, (suffix, add) in enumerate(stages, 1):
        output = name if number == len(stages) else f"{name}:{suffix}"
        add(value, output)
        value = output
    return value


def _float_activation(values: Values, bounds: tuple[float, float | None] | None) -> list[Stage]:
    if bounds is None:
        return []
    low, high = bounds
    if high is None:
        return [("active", lambda value, name: values.node("Relu", [value], name))]
    limits = [values.constant(f"clip:{bound:g}", np.asarray(bound, dtype=np.float32)) for bound in (low, high)]
    return [("active", lambda value, name: values.node("Clip", [value, *limits], name))]


def _rounding(values: Values, output: int, steps: Steps, bounds: tuple[float, float | None] | None) -> list[Stage]:
    """Return QuantizeLinear, and a Clip of whole numbers only where the steps reach beyond the activation's bounds.

    A Clip of real numbers would stand between the op and its QuantizeLinear, and keep runtimes from fusing the two.
    """
    owner = values.name(output)
    stages: list[Stage] = [("real", lambda value, name: values.quantize(value, owner, steps, name))]
    if bounds is None:
        return stages
    limits = np.iinfo(steps.dtype)
    low, high = bounds
    first = max(limits.min, steps.whole(low))
    last = limits.max if high is None else min(limits.max, steps.whole(high))
    if (first, last) != (limits.min, limits.max):
        ends = [
            values.constant(f"clip:{steps.dtype}:{bound}", np.asarray(bound, dtype=steps.dtype))
            for bound in (first, last)
        ]
        stages.append(("unclipped", lambda value, name: values.node("Clip", [value, *ends], name)))
    return stages
