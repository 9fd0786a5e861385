"""Give a quantized graph the input and output types that its user wants.

The ops are added at the graph's ends, so that the quantized part stays as it is.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.edit import add_constant, add_tensor, make_operator, make_steps, set_input, set_output, text
from converters.flatbuffer import Model
from converters.op_versions import set_op_versions
from converters.unused import drop_unused
from edgenet.precision import IoType

Op, Type = schema.BuiltinOperator, schema.TensorType
UINT8_SHIFT = 128  # uint8 q = int8 q + 128 for the same real number
# What is appended to a tensor's name where an end that was added behind it took the name: one of 8 bits, and one of
# more bits whose end is of 8 bits.
INNER_SUFFIXES = ("/quantized", "/unrounded")


def set_ends(model: Model, io: IoType, *, mean: float | None = None, std: float = 1.0) -> None:
    """Change the integer ends of a model to `io`, in place.

    `mean` is given where the graph takes (pixels - mean) / std and pixels reach it only as a zero point: float32 ends
    then need the subtraction and the division as ops of their own, while integer ends need none.
    """
    graph = model.subgraphs[0]
    inner_in, inner_out = int(graph.inputs[0]), int(graph.outputs[0])
    if io == "float32":
        inner_out = _unrounded(model, inner_out)
        _set_input_ops(model, inner_in, *_from_float(model, inner_in, mean, std))
        if graph.tensors[inner_out].type != Type.FLOAT32:
            _set_output_op(model, inner_out, _like(model, inner_out, Type.FLOAT32), Op.DEQUANTIZE)
    elif io == "uint8":
        outer = _like(model, inner_in, Type.UINT8)
        _set_input_ops(model, inner_in, outer, [_quantize(model, outer, inner_in)])
        _set_output_op(model, inner_out, _like(model, inner_out, Type.UINT8), Op.QUANTIZE)
    set_op_versions(model)


def plain_name(name: str) -> str:
    """Return the name that a tensor had before an end was added behind it."""
    return name.removesuffix(INNER_SUFFIXES[0]).removesuffix(INNER_SUFFIXES[1])


def round_output(model: Model, inner: int, end: int) -> None:
    """Let `end`, which a QUANTIZE fills with what `inner` holds, be the output in its place and under its name."""
    set_output(model, inner, end)
    _take_name(model, inner, end, INNER_SUFFIXES[1])


def _unrounded(model: Model, end: int) -> int:
    """Return the output after taking away the QUANTIZE that `round_output` was told of, if any."""
    graph = model.subgraphs[0]
    last = next((row for row in graph.operators if int(row.outputs[0]) == end), None)
    name = text(graph.tensors[end].name)
    if last is None or text(graph.tensors[last.inputs[0]].name) != name + INNER_SUFFIXES[1]:
        return end
    inner = int(last.inputs[0])
    graph.tensors[inner].name = name
    set_output(model, end, inner)
    graph.operators.remove(last)
    drop_unused(model)
    return int(graph.outputs[0])


def _from_float(model: Model, inner: int, mean: float | None, std: float) -> tuple[int, list[Any]]:
    """Return a float input and the ops that lead from it to the quantized one."""
    outer = _like(model, inner, Type.FLOAT32)
    if mean is None:
        return outer, [_quantize(model, outer, inner)]
    name, shape = text(model.subgraphs[0].tensors[inner].name), model.subgraphs[0].tensors[inner].shape
    centered, scaled = add_tensor(model, f"{name}/centered", shape), add_tensor(model, f"{name}/normalized", shape)
    subtrahend = add_constant(model, f"{name}/mean", np.asarray(mean, dtype=np.float32))
    factor = add_constant(model, f"{name}/factor", np.asarray(1 / std, dtype=np.float32))
    return outer, [
        make_operator(model, Op.SUB, [outer, subtrahend], centered, schema.SubOptionsT()),
        make_operator(model, Op.MUL, [centered, factor], scaled, schema.MulOptionsT()),
        _quantize(model, scaled, inner),
    ]


def _quantize(model: Model, real: int, quantized: int) -> Any:
    return make_operator(model, Op.QUANTIZE, [real], quantized, schema.QuantizeOptionsT())


def _set_input_ops(model: Model, inner: int, outer: int, operators: list[Any]) -> None:
    graph = model.subgraphs[0]
    graph.operators = [*operators, *graph.operators]
    set_input(model, inner, outer)
    _take_name(model, inner, outer)


def _set_output_op(model: Model, inner: int, outer: int, code: int) -> None:
    options = schema.DequantizeOptionsT() if code == Op.DEQUANTIZE else schema.QuantizeOptionsT()
    model.subgraphs[0].operators.append(make_operator(model, code, [inner], outer, options))
    set_output(model, inner, outer)
    _take_name(model, inner, outer)


def _take_name(model: Model, inner: int, outer: int, suffix: str = INNER_SUFFIXES[0]) -> None:
    """Let the new end carry the name that users and the signature know."""
    tensors = model.subgraphs[0].tensors
    tensors[outer].name = tensors[inner].name
    tensors[inner].name = text(tensors[inner].name) + suffix


def _like(model: Model, tensor: int, kind: int) -> int:
    """Add a tensor of the same shape and another type; uint8 keeps the scale with its zero point shifted."""
    source = model.subgraphs[0].tensors[tensor]
    copy = add_tensor(model, text(source.name), source.shape, kind)
    if kind == Type.UINT8:
        points = [int(point) + UINT8_SHIFT for point in source.quantization.zeroPoint]
        model.subgraphs[0].tensors[copy].quantization = make_steps(source.quantization.scale, points)
    return copy
