"""Make the rounding of int8 weights hurt less, at no cost in the file: no op, no byte more.

Rounding each weight to the nearest step leaves errors that add up. Two closed-form remedies take most of them away:

1. Kernel sums are kept. What a k x k kernel sees of a photo is mostly smooth, so the SUM of its rounding errors counts
   far more than each one. Where the sum is off by more than half a step, the weights that were closest to the other
   side are rounded the other way (`keep_kernel_sums`). This needs no data.
2. Biases are corrected. What the remaining error does to the mean of each output channel, (Wq - W) * E[x], is taken
   off the bias (`correct_biases`; Nagel et al., arXiv 1906.04721, section 4.2, with E[x] measured in calibration).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.edit import text
from converters.flatbuffer import Model
from converters.patterns import op_code

Op, Type = schema.BuiltinOperator, schema.TensorType
WEIGHTED = (Op.CONV_2D, Op.DEPTHWISE_CONV_2D, Op.FULLY_CONNECTED)
LARGEST = 127  # int8 weights are symmetric: -128 is not used
_BIAS_TYPES = {Type.INT32: np.int32, Type.INT64: np.int64}


@dataclass(frozen=True)
class _Layer:
    """A weighted op of the quantized model with its float original."""

    code: int
    input_name: str  # in the float model
    original: NDArray[np.float32]
    weight: Any  # int8 tensor of the quantized model
    bias: Any | None  # int32 or int64 tensor of the quantized model


def keep_kernel_sums(model: Model, original: Model) -> None:
    """Round the weights of each k x k kernel of `model` so that their sum stays within half a step, in place."""
    for layer in _layers(model, original):
        if layer.code == Op.FULLY_CONNECTED or layer.original.shape[1:3] == (1, 1):
            continue
        steps = layer.original / _scales(layer)  # [O, kH, kW, I] or [1, kH, kW, C]
        outer, high, wide, inner = steps.shape
        kernels = steps.transpose(0, 3, 1, 2).reshape(-1, high * wide)
        rounded = _round_keeping_sums(kernels).reshape(outer, inner, high, wide).transpose(0, 2, 3, 1)
        _store(model, layer.weight, rounded.astype(np.int8))


def _round_keeping_sums(kernels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round real steps [N, K] to whole ones, each row's sum within half a step of its own."""
    rounded = np.round(kernels)
    error = rounded - kernels
    excess = np.round(error.sum(axis=1))
    direction = np.sign(excess)
    # The weights whose error points most in the direction of the excess are those closest to rounding the other way.
    order = np.argsort(-error * direction[:, None], axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    flipped = rounded - np.where(rank < np.abs(excess)[:, None], direction[:, None], 0)
    return np.clip(flipped, -LARGEST, LARGEST)


def correct_biases(model: Model, original: Model, means: dict[str, NDArray[np.float64]]) -> None:
    """Take the mean effect of the weights' rounding off each quantized bias of `model`, in place.

    `means` holds E[x] of each channel [C] of the layers' inputs by their name in the float model.
    """
    for layer in _layers(model, original):
        if layer.bias is None or layer.bias.type not in _BIAS_TYPES or layer.input_name not in means:
            continue
        weight = _data(model, layer.weight, np.int8).reshape(layer.original.shape)
        error = weight * _scales(layer) - layer.original
        shift = _mean_effect(layer.code, error, means[layer.input_name])
        kind = _BIAS_TYPES[layer.bias.type]
        scale = np.asarray(layer.bias.quantization.scale, dtype=np.float64)
        corrected = _data(model, layer.bias, kind) - np.round(shift / scale)
        limits = np.iinfo(np.int32)
        _store(model, layer.bias, np.clip(corrected, limits.min, limits.max).astype(kind))


def _mean_effect(code: int, error: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a weight error does to the mean of each output channel [O]."""
    if code == Op.DEPTHWISE_CONV_2D:
        multiplier = error.shape[3] // len(mean)
        return np.asarray(error.sum(axis=(0, 1, 2)) * np.repeat(mean, multiplier))
    if code == Op.CONV_2D:
        return np.asarray(error.sum(axis=(1, 2)) @ mean)
    return np.asarray(error @ mean)


def _layers(model: Model, original: Model) -> Iterator[_Layer]:
    """Yield the weighted ops that both models have, matched by the name of their output."""
    floats = {_output_name(original, row): row for row in _weighted(original)}
    for row in _weighted(model):
        source = floats.get(_output_name(model, row))
        weight = model.subgraphs[0].tensors[_behind_dequantize(model, int(row.inputs[1]))]
        if source is None or weight.type != Type.INT8:
            continue
        tensors = original.subgraphs[0].tensors
        original_weight = tensors[source.inputs[1]]
        yield _Layer(
            op_code(model, row),
            text(tensors[source.inputs[0]].name),
            _data(original, original_weight, np.float32).reshape([int(size) for size in original_weight.shape]),
            weight,
            model.subgraphs[0].tensors[row.inputs[2]] if len(row.inputs) > 2 and row.inputs[2] >= 0 else None,
        )


def _weighted(model: Model) -> list[Any]:
    return [row for row in model.subgraphs[0].operators if op_code(model, row) in WEIGHTED]


def _output_name(model: Model, operator: Any) -> str:
    return text(model.subgraphs[0].tensors[operator.outputs[0]].name)


def _behind_dequantize(model: Model, tensor: int) -> int:
    """Return the int8 weight behind the DEQUANTIZE of a weight-only file, else the tensor itself."""
    for operator in model.subgraphs[0].operators:
        if int(operator.outputs[0]) == tensor and op_code(model, operator) == Op.DEQUANTIZE:
            return int(operator.inputs[0])
    return tensor


def _scales(layer: _Layer) -> NDArray[np.float64]:
    """Return the weight's scales in a shape that multiplies the weight: one a channel, or one for all."""
    scales = np.asarray(layer.weight.quantization.scale, dtype=np.float64)
    shape = [1] * layer.original.ndim
    shape[int(layer.weight.quantization.quantizedDimension)] = -1
    return scales.reshape(shape)


def _data(model: Model, tensor: Any, kind: Any) -> NDArray[Any]:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype=kind)


def _store(model: Model, tensor: Any, values: NDArray[Any]) -> None:
    model.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
