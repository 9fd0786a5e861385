"""The constants of an op whose precision changes: weights, bias, and what other ops multiply or add."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.edit import add_constant, add_tensor, make_operator, make_steps, text
from converters.flatbuffer import Model
from converters.patterns import is_constant, op_code
from converters.quantized_layers import WEIGHTED, real_values
from converters.repair.steps_16 import LARGEST

Op, Type = schema.BuiltinOperator, schema.TensorType


def restore_constants(model: Model, operator: Any, original: Model, source: Any, kind: str) -> list[Any]:
    """Give an op its constants of precision `kind`, in place; return the ops that must come before it.

    `source` is the op of `original` that has them in float. The op's activations have their new types already.
    """
    if kind != "fp32" and op_code(model, operator) in WEIGHTED:
        return _keep_weights(model, operator, kind)
    constant = _symmetric if kind == "w8a16" else _real
    for place, tensor in enumerate(operator.inputs):
        float_tensor = int(source.inputs[place])
        if tensor < 0 or not is_constant(model, tensor) or not is_constant(original, float_tensor):
            continue
        if original.subgraphs[0].tensors[float_tensor].type == Type.FLOAT32:  # neither axes nor a shape
            operator.inputs[place] = constant(model, tensor, real_values(original, float_tensor))
    return []


def _keep_weights(model: Model, operator: Any, kind: str) -> list[Any]:
    """Keep a weighted op's int8 weights, and its own bias: that makes up for the rounding of the weights."""
    _, weight, *bias = operator.inputs
    if bias and bias[0] >= 0:
        values = real_values(model, bias[0])
        wide = kind == "w8a16"
        operator.inputs[2] = _wide_bias(model, operator, values) if wide else _real(model, bias[0], values)
    if kind == "w8a16":
        return []
    operator.inputs[1] = add_tensor(model, f"{_name(model, weight)}/real", model.subgraphs[0].tensors[weight].shape)
    return [make_operator(model, Op.DEQUANTIZE, [weight], operator.inputs[1], schema.DequantizeOptionsT())]


def _name(model: Model, tensor: int) -> str:
    return text(model.subgraphs[0].tensors[tensor].name)


def _real(model: Model, tensor: int, values: NDArray[np.float32]) -> int:
    return add_constant(model, _name(model, tensor), values)


def _symmetric(model: Model, tensor: int, values: NDArray[np.float32]) -> int:
    """Add a constant in 16-bit steps."""
    scale = max(float(np.abs(values).max()), 1e-9) / LARGEST  # a constant of zeros needs some scale
    added = add_constant(model, _name(model, tensor), np.rint(values / scale).astype(np.int16))
    model.subgraphs[0].tensors[added].quantization = make_steps([scale])
    return added


def _wide_bias(model: Model, operator: Any, values: NDArray[np.float32]) -> int:
    """Add a bias in 64 bits; its steps are those of the layer's sums."""
    tensors = model.subgraphs[0].tensors
    data, weight, bias = operator.inputs
    scales = float(tensors[data].quantization.scale[0]) * np.asarray(tensors[weight].quantization.scale, np.float64)
    added = add_constant(model, _name(model, bias), np.rint(values / scales).astype(np.int64))
    tensors[added].quantization = make_steps(scales.tolist())
    return added
