"""The weighted layers of a quantized model, each beside its float original."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.dense_as_convolution import SUFFIX
from converters.edit import text
from converters.ends import plain_name
from converters.flatbuffer import Model
from converters.patterns import op_code

Op, Type = schema.BuiltinOperator, schema.TensorType
WEIGHTED = (Op.CONV_2D, Op.DEPTHWISE_CONV_2D, Op.FULLY_CONNECTED)
_BIAS_TYPES = {Type.INT32: np.int32, Type.INT64: np.int64}
_READ = (Type.FLOAT32, *_BIAS_TYPES)


@dataclass(frozen=True)
class Layer:
    """A weighted op of the quantized model with its float original; its tensors are edited in place."""

    model: Model
    code: int
    input_name: str  # in the float model, like the next
    output_name: str
    original: NDArray[np.float32]  # weights
    original_bias: NDArray[np.float32] | None
    weight: Any  # int8 tensor of the quantized model
    bias: Any | None  # its int32 or int64 tensor; None where the bias stays float or there is none
    real_bias: NDArray[np.float32] | None  # what the file adds

    @property
    def weight_steps(self) -> NDArray[np.int8]:
        """Return the quantized weights in their own shape."""
        return _data(self.model, self.weight, np.int8).reshape(self.original.shape)

    @property
    def weight_scales(self) -> NDArray[np.float64]:
        """Return the weight's scales in a shape that multiplies the weight: one a channel, or one for all."""
        scales = np.asarray(self.weight.quantization.scale, dtype=np.float64)
        shape = [1] * self.original.ndim
        shape[int(self.weight.quantization.quantizedDimension)] = -1
        return scales.reshape(shape)

    @property
    def bias_steps(self) -> NDArray[Any]:
        """Return the quantized bias [O]; only where there is one."""
        assert self.bias is not None
        return _data(self.model, self.bias, _BIAS_TYPES[self.bias.type])

    @property
    def bias_scales(self) -> NDArray[np.float64]:
        """Return the scales of the quantized bias, [O] or [1]; only where there is one."""
        assert self.bias is not None
        return np.asarray(self.bias.quantization.scale, dtype=np.float64)

    def store_weight(self, steps: NDArray[Any]) -> None:
        """Replace the quantized weights."""
        _store(self.model, self.weight, steps.astype(np.int8))

    def store_bias(self, steps: NDArray[Any]) -> None:
        """Replace the quantized bias; what 32 bits cannot hold is cut off."""
        assert self.bias is not None
        limits = np.iinfo(np.int32)
        kept = np.clip(steps, limits.min, limits.max)
        _store(self.model, self.bias, kept.astype(_BIAS_TYPES[self.bias.type]))


def layers(model: Model, original: Model) -> Iterator[Layer]:
    """Yield the weighted ops that both models have, matched by the name of their output."""
    floats = {_output_name(original, row): row for row in _weighted(original)}
    for row in _weighted(model):
        source = floats.get(_output_name(model, row))
        weight = model.subgraphs[0].tensors[_behind_dequantize(model, int(row.inputs[1]))]
        if source is None or weight.type != Type.INT8:
            continue
        tensors = original.subgraphs[0].tensors
        yield Layer(
            model=model,
            code=op_code(model, row),
            input_name=text(tensors[source.inputs[0]].name),
            output_name=text(tensors[source.outputs[0]].name),
            original=real_values(original, int(source.inputs[1])),
            original_bias=_real_bias(original, source),
            weight=weight,
            bias=_quantized_bias(model, row),
            real_bias=_real_bias(model, row),
        )


def real_values(model: Model, tensor: int) -> NDArray[np.float32]:
    """Return a constant, float or a quantized bias, as real numbers."""
    row = model.subgraphs[0].tensors[tensor]
    if row.type not in _BIAS_TYPES:
        return _data(model, row, np.float32).reshape(row.shape)
    scales = np.asarray(row.quantization.scale, dtype=np.float64)
    return np.asarray(_data(model, row, _BIAS_TYPES[row.type]).reshape(row.shape) * scales, dtype=np.float32)


def _real_bias(model: Model, operator: Any) -> NDArray[np.float32] | None:
    if not _has_bias(operator) or model.subgraphs[0].tensors[operator.inputs[2]].type not in _READ:
        return None
    return real_values(model, int(operator.inputs[2]))


def _has_bias(operator: Any) -> bool:
    return len(operator.inputs) > 2 and operator.inputs[2] >= 0


def _quantized_bias(model: Model, operator: Any) -> Any | None:
    tensor = model.subgraphs[0].tensors[operator.inputs[2]] if _has_bias(operator) else None
    return tensor if tensor is not None and tensor.type in _BIAS_TYPES else None


def _weighted(model: Model) -> list[Any]:
    return [row for row in model.subgraphs[0].operators if op_code(model, row) in WEIGHTED]


def _output_name(model: Model, operator: Any) -> str:
    """Return the name of what an op fills; a dense op that became a convolution has that of the dense op."""
    name = text(model.subgraphs[0].tensors[operator.outputs[0]].name)
    return plain_name(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else name


def _behind_dequantize(model: Model, tensor: int) -> int:
    """Return the int8 weight behind the DEQUANTIZE of a weight-only file, else the tensor itself."""
    for operator in model.subgraphs[0].operators:
        if int(operator.outputs[0]) == tensor and op_code(model, operator) == Op.DEQUANTIZE:
            return int(operator.inputs[0])
    return tensor


def _data(model: Model, tensor: Any, kind: Any) -> NDArray[Any]:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype=kind)


def _store(model: Model, tensor: Any, values: NDArray[Any]) -> None:
    model.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
