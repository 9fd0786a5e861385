"""What is known of a graph's ends: shape, type, and the steps of a quantized one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from converters.loaded import TensorInfo
from edgenet.errors import InputError

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto, ValueInfoProto

MOST_VALUES = 2**28  # of one end: 1 GiB as float32
_DTYPES = {"FLOAT": np.float32, "UINT8": np.uint8, "INT8": np.int8}


def input_end(graph: GraphProto) -> TensorInfo:
    """Return the one input of a graph; raise InputError for none, several, or one of open size."""
    constants = {row.name for row in graph.initializer}  # which old files list among the inputs
    inputs = [row for row in graph.input if row.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(repr(row.name) for row in inputs)
        raise InputError(f"the model has {len(inputs)} inputs: {names or 'none'}", allowed="one image input")
    return _end(inputs[0], input_steps(graph, inputs[0].name))


def output_ends(graph: GraphProto) -> tuple[TensorInfo, ...]:
    """Return the outputs of a graph; raise InputError for none, or one of open size."""
    if not graph.output:
        raise InputError("the model has no output")
    return tuple(_end(row, output_steps(graph, row.name)) for row in graph.output)


def _end(row: ValueInfoProto, steps: tuple[float, int]) -> TensorInfo:
    entry = row.type.tensor_type
    sizes = [size.dim_value for size in entry.shape.dim]
    if not sizes or min(sizes) < 1 or math.prod(sizes) > MOST_VALUES:
        shown = ", ".join(str(size.dim_value or size.dim_param or "?") for size in entry.shape.dim)
        raise InputError(f"tensor {row.name!r} has the size [{shown}]", allowed="numbers, like [1, 224, 224, 3]")
    kind = type_name(entry.elem_type)
    if kind not in _DTYPES:
        raise InputError(f"tensor {row.name!r} is {kind.lower()}", allowed=", ".join(_DTYPES).lower())
    return TensorInfo(row.name, tuple(sizes), np.dtype(_DTYPES[kind]), *steps)


def type_name(code: int) -> str:
    """Return what ONNX calls a type: FLOAT, UINT8, ...; a file may hold any number."""
    from onnx import TensorProto

    names: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    return names.get(code, f"of type {code}")


def output_steps(graph: GraphProto, name: str) -> tuple[float, int]:
    """Return scale and zero point of a value, (0, 0) for one that no QuantizeLinear makes."""
    for node in reversed(graph.node):  # makers stand before their readers: one pass finds the whole chain
        if name in node.output:
            if node.op_type == "QuantizeLinear":
                return _steps(graph, list(node.input))
            if node.op_type not in ("Clip", "Flatten", "Reshape") or not node.input:
                break
            name = node.input[0]
    return 0.0, 0


def input_steps(graph: GraphProto, name: str) -> tuple[float, int]:
    """Return scale and zero point of a value, (0, 0) for one that no DequantizeLinear reads."""
    for node in graph.node:
        if name in node.input:
            if node.op_type == "DequantizeLinear":
                return _steps(graph, list(node.input))
            if node.op_type != "Transpose" or not node.output:
                break
            name = node.output[0]
    return 0.0, 0


def _steps(graph: GraphProto, inputs: list[str]) -> tuple[float, int]:
    """Return the scale and the zero point that a QuantizeLinear or a DequantizeLinear names, if they are constants."""
    named = {row.name: row for row in graph.initializer if row.name in inputs[1:3]}
    if len(inputs) < 2 or inputs[1] not in named:
        return 0.0, 0
    scale, zero = (_one(named.get(name)) for name in (*inputs, "")[1:3])
    return float(scale), int(zero)


def _one(constant: TensorProto | None) -> float:
    """Return the first number of a constant; 0 where there is none."""
    from onnx import numpy_helper

    values = [] if constant is None else numpy_helper.to_array(constant).reshape(-1).tolist()
    return float(values[0]) if values else 0.0
