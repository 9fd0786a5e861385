"""Edit what happens to the pixels at the front of a float graph."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.edit import add_constant, add_tensor, make_operator, set_input, shared_or_each, text
from converters.flatbuffer import Model
from converters.patterns import consumers, is_constant, op_code

Op, Type = schema.BuiltinOperator, schema.TensorType


def prepend_normalization(model: Model, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Make (pixels - mean) / std the graph's first two ops, in place: the graph then takes raw pixels 0–255."""
    graph = model.subgraphs[0]
    inner = int(graph.inputs[0])
    name, shape = text(graph.tensors[inner].name), graph.tensors[inner].shape
    outer, centered = add_tensor(model, name, shape), add_tensor(model, f"{name}/centered", shape)
    graph.tensors[inner].name = f"{name}/normalized"
    subtrahend = add_constant(model, f"{name}/mean", shared_or_each(mean))
    factor = add_constant(model, f"{name}/factor", shared_or_each([1 / value for value in std]))
    graph.operators = [
        make_operator(model, Op.SUB, [outer, subtrahend], centered, schema.SubOptionsT()),
        make_operator(model, Op.MUL, [centered, factor], inner, schema.MulOptionsT()),
        *graph.operators,
    ]
    set_input(model, inner, outer)


def strip_subtraction(model: Model) -> int | None:
    """Take away a first op that subtracts one whole number from all pixels, in place, and return that number.

    As a zero point it costs nothing in an integer file. Return None, and change nothing, for any other first op.
    """
    graph = model.subgraphs[0]
    image, first = int(graph.inputs[0]), graph.operators[0]
    if op_code(model, first) != Op.SUB or int(first.inputs[0]) != image or len(consumers(model)[image]) != 1:
        return None
    value = _scalar(model, int(first.inputs[1]))
    if value is None or not value.is_integer() or not 0 <= value <= 255 or first.builtinOptions.fusedActivationFunction:
        return None
    graph.operators = graph.operators[1:]
    centered = int(first.outputs[0])
    name = text(graph.tensors[image].name)
    graph.tensors[centered].name, graph.tensors[image].name = name, f"{name}/pixels"
    set_input(model, image, centered)
    return int(value)


def _scalar(model: Model, tensor: int) -> float | None:
    row = model.subgraphs[0].tensors[tensor]
    if not is_constant(model, tensor) or row.type != Type.FLOAT32:
        return None
    values = np.frombuffer(bytes(model.buffers[row.buffer].data), dtype=np.float32)
    return float(values[0]) if len(set(values.tolist())) == 1 else None
