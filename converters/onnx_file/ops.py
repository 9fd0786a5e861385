"""One TFLite operator after the other as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.onnx_file.result import Fused, give, refuse
from converters.onnx_file.values import TO_NCHW, Values
from converters.onnx_file.weights import bias, weight
from converters.onnx_file.windows import convolution_window, is_taken_in, pool_window, unpadded
from converters.patterns import Op, op_code

Writer = Callable[[Values, Any], None]


def write_op(values: Values, operator: Any) -> None:
    """Write one operator; raise InputError that names op and tensor where ONNX has no counterpart."""
    code = op_code(values.model, operator)
    if code not in _WRITERS:
        raise refuse(values, operator, "no counterpart is known here", ", ".join(sorted(_NAMES)))
    _WRITERS[code](values, operator)


def _convolution(values: Values, operator: Any) -> None:
    source, kernel = int(operator.inputs[0]), int(operator.inputs[1])
    channels, entry = values.shape(source)[3], values.real(unpadded(values, source)[0])
    if op_code(values.model, operator) == Op.CONV_2D:
        group, order = channels // values.shape(kernel)[3], (0, 3, 1, 2)  # [O, kH, kW, I]
    else:
        group, order = channels, (3, 0, 1, 2)  # [1, kH, kW, C * multiplier]
    inputs = [entry, weight(values, operator, order), *bias(values, operator)]
    give(values, operator, "Conv", inputs, group=group, **convolution_window(values, operator))


def _dense(values: Values, operator: Any) -> None:
    source, kernel, output = int(operator.inputs[0]), int(operator.inputs[1]), int(operator.outputs[0])
    rows, columns = values.shape(kernel)
    if math.prod(values.shape(source)) != columns or values.shape(source)[-1] != columns:
        raise refuse(values, operator, f"its input is {list(values.shape(source))}", f"[1, {columns}]")
    if values.shape(output) != (1, rows):
        raise refuse(values, operator, f"its output is {list(values.shape(output))}", f"[1, {rows}]")
    entry = values.real(source)
    if len(values.shape(source)) > 2:
        entry = values.node("Flatten", [entry], f"{values.name(output)}:entry", axis=1)
    give(values, operator, "Gemm", [entry, weight(values, operator, (0, 1)), *bias(values, operator)], transB=1)


def _binary(kind: str) -> Writer:
    def write(values: Values, operator: Any) -> None:
        give(values, operator, kind, [_operand(values, operator, int(row)) for row in operator.inputs])

    return write


def _operand(values: Values, operator: Any, tensor: int) -> str:
    """Return an input of an op that broadcasts; a constant gets the rank of the output, and its order of axes."""
    rank = len(values.shape(int(operator.outputs[0])))
    shape, data = values.shape(tensor), values.data(tensor)
    if data is None:
        if len(shape) != rank:
            raise refuse(values, operator, f"its input is {list(shape)}", f"rank {rank}, like its output")
        return values.real(tensor)
    data = _ordered(data, rank)
    if data.dtype == np.float32:
        return values.constant(values.name(tensor), data)
    if data.dtype == np.int16:  # beside int16 activations, which are float here
        return values.constant(values.name(tensor), (data * values.scales(tensor)).astype(np.float32))
    if values.steps(tensor) is None:
        raise refuse(values, operator, f"its constant {values.name(tensor)!r} is {data.dtype}", "float32, int8, int16")
    return values.stepped_constant(tensor, data)


def _subtract(values: Values, operator: Any) -> None:
    """Write a SUB; one of an 8-bit constant as the Add of its negative, which ONNX Runtime has a kernel for."""
    source, constant = (int(row) for row in operator.inputs)
    data = values.data(constant)
    if data is None or values.steps(constant) is None:
        _binary("Sub")(values, operator)
    else:
        rank = len(values.shape(int(operator.outputs[0])))
        give(values, operator, "Add", [values.real(source), values.negative(constant, _ordered(data, rank))])


def _ordered(data: NDArray[Any], rank: int) -> NDArray[Any]:
    """Return a constant that broadcasts to a tensor of a rank, in ONNX's order of axes."""
    return data.reshape((1,) * (4 - data.ndim) + data.shape).transpose(TO_NCHW) if rank == 4 and data.ndim else data


def _unary(kind: str, **attributes: int) -> Writer:
    return lambda values, row: give(values, row, kind, [values.real(int(row.inputs[0]))], **attributes)  # type: ignore[arg-type]  # none is `fused` or `flat`


def _relu(fused: int) -> Writer:
    return lambda values, row: give(values, row, "", [values.real(int(row.inputs[0]))], fused=fused)


def _softmax(values: Values, operator: Any) -> None:
    if operator.builtinOptions.beta != 1.0:
        raise refuse(values, operator, f"its beta is {operator.builtinOptions.beta:g}", "1")
    _unary("Softmax", axis=1)(values, operator)  # over the channels, of rank 2 and 4 alike


def _mean(values: Values, operator: Any) -> None:
    source, axes = int(operator.inputs[0]), values.data(int(operator.inputs[1]))
    if axes is None or len(values.shape(source)) != 4 or sorted((axes.reshape(-1) % 4).tolist()) != [1, 2]:
        raise refuse(values, operator, "it does not run over height and width alone", "axes [1, 2] of rank 4")
    flat = len(values.shape(int(operator.outputs[0]))) == 2
    give(values, operator, "GlobalAveragePool", [values.real(source)], flat=flat)


def _pool(kind: str) -> Writer:
    return lambda values, row: give(
        values, row, kind, [values.real(int(row.inputs[0]))], **pool_window(values, row)
    )  # fmt: skip


def _pad(values: Values, operator: Any) -> None:
    if is_taken_in(values, operator):
        return
    widths = values.data(int(operator.inputs[1]))
    if widths is None or widths.shape != (4, 2):
        raise refuse(values, operator, "its widths are no constant of rank 4", "constant widths of [N, H, W, C]")
    pads = widths[list(TO_NCHW)].T.reshape(-1).astype(np.int64)
    name = values.constant(f"{values.name(int(operator.outputs[0]))}:widths", pads)
    give(values, operator, "Pad", [values.real(int(operator.inputs[0])), name])


def _reshape(values: Values, operator: Any) -> None:
    source, output = int(operator.inputs[0]), int(operator.outputs[0])
    for tensor in (source, output):
        shape = values.shape(tensor)
        if len(shape) == 4 and shape[1] * shape[2] > 1 and shape[3] > 1:
            allowed = "a tensor of one row and column, or of one channel"
            raise refuse(values, operator, f"it mixes positions and channels of {list(shape)}", allowed)
    shape_name = values.constant(f"{values.name(output)}:shape", np.asarray(values.nchw(output), dtype=np.int64))
    whole = values.whole(source)
    if whole is None or values.steps(source) != values.steps(output):
        give(values, operator, "Reshape", [values.real(source), shape_name])
    else:
        values.set_whole(output, values.node("Reshape", [whole, shape_name], values.name(output)))


def _quantize(values: Values, operator: Any) -> None:
    source, output = int(operator.inputs[0]), int(operator.outputs[0])
    steps, whole = values.steps(output), values.whole(source)
    if whole is not None and steps == values.steps(source):  # int8 and uint8 of TFLite are one type here
        values.set_whole(output, whole)
    elif steps is None:
        values.set_real(output, values.real(source))
    else:
        give(values, operator, "", [values.real(source)])


def _dequantize(values: Values, operator: Any) -> None:
    source, output = int(operator.inputs[0]), int(operator.outputs[0])
    if values.data(source) is not None:
        return  # weights: written with the op that reads them
    steps, whole = values.steps(source), values.whole(source)
    if steps is None or whole is None:
        values.set_real(output, values.real(source))
    else:
        values.set_real(output, values.dequantize(whole, values.name(source), steps, values.name(output)))


_WRITERS: dict[int, Writer] = {
    Op.CONV_2D: _convolution,
    Op.DEPTHWISE_CONV_2D: _convolution,
    Op.FULLY_CONNECTED: _dense,
    Op.ADD: _binary("Add"),
    Op.SUB: _subtract,
    Op.MUL: _binary("Mul"),
    Op.LOGISTIC: _unary("Sigmoid"),
    Op.TANH: _unary("Tanh"),
    Op.RELU: _relu(Fused.RELU),
    Op.RELU6: _relu(Fused.RELU6),
    Op.SOFTMAX: _softmax,
    Op.MEAN: _mean,
    Op.AVERAGE_POOL_2D: _pool("AveragePool"),
    Op.MAX_POOL_2D: _pool("MaxPool"),
    Op.PAD: _pad,
    Op.RESHAPE: _reshape,
    Op.SQUEEZE: _reshape,
    Op.QUANTIZE: _quantize,
    Op.DEQUANTIZE: _dequantize,
}
_NAMES = [name for name, code in vars(Op).items() if code in _WRITERS]
