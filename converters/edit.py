"""The small edits that graphs are built and changed with: a tensor, a constant, an operator, a named end."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.flatbuffer import Model

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}


def text(name: str | bytes) -> str:
    """Return a name as text; the schema gives bytes for what it parsed."""
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else name


def add_tensor(model: Model, name: str, shape: Sequence[int], kind: int = schema.TensorType.FLOAT32) -> int:
    """Add a tensor that an op fills, and return its index."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
    tensor.hasRank = True
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def add_constant(model: Model, name: str, values: NDArray[Any]) -> int:
    """Add a float32, int16, int32 or int64 constant, and return its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
    model.buffers.append(buffer)
    tensor = add_tensor(model, name, values.shape, _TYPES[values.dtype])
    model.subgraphs[0].tensors[tensor].buffer = len(model.buffers) - 1
    return tensor


def make_steps(scales: Sequence[float], zero_points: Sequence[int] | None = None) -> Any:
    """Return a tensor's quantization: one step, or one for each channel along the first axis; zero points of 0."""
    quantization = schema.QuantizationParametersT()
    quantization.scale = list(scales)
    quantization.zeroPoint = [0] * len(scales) if zero_points is None else list(zero_points)
    return quantization


def make_operator(model: Model, code: int, inputs: Sequence[int], output: int, options: Any = None) -> Any:
    """Return an operator with one output, not yet placed; `options` is the schema's options object."""
    operator = schema.OperatorT()
    operator.opcodeIndex = _code_index(model, code)
    operator.inputs, operator.outputs = list(inputs), [output]
    if options is not None:
        name = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = options
    return operator


def _code_index(model: Model, code: int) -> int:
    for index, row in enumerate(model.operatorCodes):
        if row.builtinCode == code:
            return index
    row = schema.OperatorCodeT()
    # Readers older than schema 3a look at the 8-bit field only; 127 there means "see builtinCode".
    row.builtinCode, row.deprecatedBuiltinCode, row.version = code, min(code, 127), 1
    model.operatorCodes.append(row)
    return len(model.operatorCodes) - 1


def shared_or_each(values: Sequence[float]) -> NDArray[np.float32]:
    """Return three equal values as one scalar [], which runs faster, and others as they are [3]."""
    array = np.asarray(values, dtype=np.float32)
    return array[:1].reshape(()) if len(set(array.tolist())) == 1 else array


def set_input(model: Model, old: int, new: int) -> None:
    """Let `new` be the input where `old` was, in the graph and in its signatures."""
    model.subgraphs[0].inputs = [new]
    _redirect(model, old, new)


def set_output(model: Model, old: int, new: int) -> None:
    """Let `new` be an output where `old` was, in the graph and in its signatures."""
    graph = model.subgraphs[0]
    graph.outputs = [new if int(tensor) == old else int(tensor) for tensor in graph.outputs]
    _redirect(model, old, new)


def _redirect(model: Model, old: int, new: int) -> None:
    for signature in model.signatureDefs or ():
        for row in (*(signature.inputs or ()), *(signature.outputs or ())):
            row.tensorIndex = new if row.tensorIndex == old else row.tensorIndex
