"""The constants of weighted ops: stored in the type that the TFLite file has them in, widened by the op behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.onnx_file.values import Values
from converters.patterns import Op, op_code
from edgenet.errors import InputError

SAME_SCALE = 1e-4  # by how much a bias scale may be off the product of its two: float32 products differ by 1e-7


def stored(values: Values, tensor: int) -> int:
    """Return the constant behind a tensor: itself, or what the DEQUANTIZE reads that fills it."""
    maker = values.maker(tensor)
    if maker is not None and op_code(values.model, maker) == Op.DEQUANTIZE:
        return int(maker.inputs[0])
    return tensor


def weight(values: Values, operator: Any, order: tuple[int, ...]) -> str:
    """Return the weights of an op as real numbers with their axes in another order."""
    source = stored(values, int(operator.inputs[1]))
    data, name = values.data(source), values.name(source)
    if data is None:
        raise InputError(f"the weights {name!r} are no constant", allowed="weights that the file holds")
    ordered, output = data.transpose(order), f"{name}:real"
    if data.dtype == np.float32:
        return values.constant(name, ordered)
    if values.has(name):  # several ops may share it
        return output
    if data.dtype != np.int8:
        return _cast(values, name, ordered, output)
    scales, axis = values.scales(source), order.index(int(values.graph.tensors[source].quantization.quantizedDimension))
    if _is_integer(values, operator):
        return _dequantized(values, name, ordered, scales, axis, output)
    # ONNX Runtime leaves a DequantizeLinear to every run, but folds Cast and Mul when it loads the file: a lite0 with
    # int8 weights and float arithmetic takes 9.5 ms instead of 22.
    shape = [1] * data.ndim
    shape[axis] = -1
    whole = _cast(values, name, ordered, f"{name}:float")
    return values.node("Mul", [whole, values.constant(f"{name}:scale", scales.reshape(shape))], output)


def bias(values: Values, operator: Any) -> list[str]:
    """Return the bias of a weighted op as real numbers; none where it has none."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return []
    source = stored(values, int(operator.inputs[2]))
    data, name = values.data(source), values.name(source)
    if data is None:
        raise InputError(f"the bias {name!r} is no constant", allowed="a bias that the file holds")
    output = f"{name}:real"
    if data.dtype == np.float32:
        return [values.constant(name, data)]
    if values.has(name):
        return [output]
    if data.dtype not in (np.int32, np.int64):
        return [_cast(values, name, data, output)]
    if not _is_integer(values, operator):  # an int16 layer
        return [values.constant(name, (data * values.scales(source)).astype(np.float32))]
    weights = stored(values, int(operator.inputs[1]))
    product = values.scales(int(operator.inputs[0])) * values.scales(weights)  # what kernels take its scales to be
    if not np.allclose(values.scales(source), product, rtol=SAME_SCALE, atol=0):
        data = np.round(data * (values.scales(source).astype(np.float64) / product))
    return [_dequantized(values, name, data.astype(np.int32), np.broadcast_to(product, data.shape), 0, output)]


def _is_integer(values: Values, operator: Any) -> bool:
    """Return whether an op reads and gives 8-bit activations."""
    return all(values.steps(int(row)) is not None for row in (operator.inputs[0], operator.outputs[0]))


def _cast(values: Values, name: str, data: NDArray[Any], output: str) -> str:
    from onnx import TensorProto

    if data.dtype not in (np.float16, np.int8):
        raise InputError(f"the constant {name!r} is {data.dtype}", allowed="float32, float16, int8, int32 biases")
    return values.node("Cast", [values.constant(name, data)], output, to=TensorProto.FLOAT)


def _dequantized(
    values: Values, name: str, data: NDArray[Any], scales: NDArray[np.float32], axis: int, output: str
) -> str:
    shared = scales.size == 1
    constants = [
        values.constant(name, data),
        values.constant(f"{name}:scale", scales.reshape(()) if shared else scales),
        values.constant(f"{name}:zero_point", np.zeros(() if shared else scales.shape, dtype=data.dtype)),
    ]
    return values.node("DequantizeLinear", constants, output, **({} if shared else {"axis": axis}))
