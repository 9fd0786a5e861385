"""A TFLite graph as an ONNX graph: the same tensors under the same names, the same steps, the same constants.

The user's input stays [1, H, W, C]; one Transpose stands behind it, and everything after it is [N, C, H, W], as ONNX
has it. Scales, zero points and whole-number weights are those of the TFLite file, so that the answers agree to a step.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from ai_edge_litert import schema_py_generated as schema

from converters.edit import text
from converters.flatbuffer import Model
from converters.onnx_file.ops import write_op
from converters.onnx_file.options import OnnxOptions
from converters.onnx_file.values import TO_NCHW, Steps, Values
from converters.patterns import Op, op_code
from edgenet.errors import InputError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

Type = schema.TensorType


def translate(model: Model, options: OnnxOptions) -> ModelProto:
    """Return a TFLite model of one input and one output as an ONNX message; the model stays as it is.

    Raise InputError, which names op and tensor, for what has no counterpart.
    """
    graph = model.subgraphs[0]
    if len(model.subgraphs) > 1 or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        ends = f"{len(model.subgraphs)} subgraphs, {len(graph.inputs)} inputs, {len(graph.outputs)} outputs"
        raise InputError(f"the model has {ends}", allowed="one of each")
    values = Values(model, options.activations)
    name = values.name(int(graph.outputs[0]))
    _name_result(values, int(graph.outputs[0]))
    entry = _read_input(values, int(graph.inputs[0]))
    for operator in graph.operators:
        write_op(values, operator)
    result = _write_output(values, int(graph.outputs[0]), name)
    return _message(values, entry, result, options)


def _read_input(values: Values, tensor: int) -> ValueInfoProto:
    """Write the input [1, H, W, C] and what brings it into the order, and the type, of the graph."""
    name, own, inner = values.name(tensor), values.own_steps(tensor), values.steps(tensor)
    value = name
    if len(values.shape(tensor)) == 4:
        value = values.node("Transpose", [name], f"{name}:nchw", perm=TO_NCHW)
    if own is None or inner is None:
        values.set_real(tensor, value)
    elif own == inner:
        values.set_whole(tensor, value)
    else:
        real = values.dequantize(value, name, own, f"{name}:real")
        values.set_whole(tensor, values.quantize(real, name, inner, f"{name}:{inner.dtype}"))
    return _end(name, own, values.shape(tensor))


def _name_result(values: Values, tensor: int) -> None:
    """Give the op that makes the output its name, where TFLite turns int8 into uint8 behind it and ONNX need not."""
    maker, name = values.maker(tensor), values.name(tensor)
    if values.own_steps(tensor) != values.steps(tensor):
        values.rename(tensor, f"{name}:{values.activations}")
    if maker is not None and op_code(values.model, maker) == Op.QUANTIZE:
        source = int(maker.inputs[0])
        if values.steps(source) == values.steps(tensor):
            values.rename(source, values.name(tensor))


def _write_output(values: Values, tensor: int, name: str) -> ValueInfoProto:
    """Write what leads to an output of another type than the graph has inside."""
    own, value = values.own_steps(tensor), values.whole(tensor) or values.real(tensor)
    if own is not None and own != values.steps(tensor):
        values.quantize(values.real(tensor), name, own, name)
    elif value != name:
        values.node("Identity", [value], name)
    return _end(name, own, values.nchw(tensor))


def _end(name: str, steps: Steps | None, shape: tuple[int, ...]) -> ValueInfoProto:
    from onnx import TensorProto, helper

    kinds = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
    return helper.make_tensor_value_info(name, kinds[steps.dtype.name] if steps else TensorProto.FLOAT, shape)


def _message(values: Values, entry: ValueInfoProto, result: ValueInfoProto, options: OnnxOptions) -> ModelProto:
    from onnx import helper

    description = text(values.model.description or "")
    graph = helper.make_graph(values.nodes, description or "main", [entry], [result], list(values.constants.values()))
    opset = helper.make_opsetid("", options.opset)
    return helper.make_model(
        graph,
        producer_name="edgenet",
        producer_version=version("edgenet"),
        doc_string=description,
        opset_imports=[opset],
        # The lowest that knows the opset: older runtimes read it.
        ir_version=helper.find_min_ir_version_for([opset], ignore_unknown=True),
    )
