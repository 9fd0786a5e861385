"""The lowest version of each operator that defines what a file asks of it.

A reader refuses an operator version that it does not know, and may misread one that is too low; so a file says the
lowest right one. Rules: TensorFlow's `lite/tools/versioning/op_version.cc`.
"""

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.flatbuffer import Model
from converters.patterns import op_code

Op, Type = schema.BuiltinOperator, schema.TensorType

# Operators whose version follows from the type of their first input alone; float32 and uint8 need version 1.
_BY_INPUT: dict[int, dict[int, int]] = {
    Op.ADD: {Type.INT8: 2, Type.INT16: 3},
    Op.SUB: {Type.INT8: 2, Type.INT16: 5},
    Op.LOGISTIC: {Type.INT8: 2, Type.INT16: 3},
    Op.TANH: {Type.INT8: 2, Type.INT16: 3},
    Op.MEAN: {Type.INT8: 2, Type.INT16: 3},
    Op.SOFTMAX: {Type.INT8: 2, Type.INT16: 3},
    Op.RELU6: {Type.INT8: 2, Type.INT16: 3},
    Op.RELU: {Type.INT8: 2, Type.UINT8: 2, Type.INT16: 3},
    Op.PAD: {Type.INT8: 2, Type.INT16: 3},
    Op.PADV2: {Type.INT8: 2, Type.INT16: 3},
    Op.CONCATENATION: {Type.INT8: 2, Type.INT16: 3},
    Op.AVERAGE_POOL_2D: {Type.INT8: 2, Type.INT16: 3},
    Op.MAX_POOL_2D: {Type.INT8: 2, Type.INT16: 3},
    Op.SUM: {Type.INT8: 2},
}


def set_op_versions(model: Model) -> None:
    """Set each operator code's version to the highest that one of its operators needs, at least 1.

    An operator that this table does not know keeps the version that the file's writer gave it.
    """
    needed: dict[int, int] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            version = _version(model, graph, operator)
            if version:
                needed[operator.opcodeIndex] = max(version, needed.get(operator.opcodeIndex, 1))
    for index, version in needed.items():
        model.operatorCodes[index].version = version


def _version(model: Model, graph: Any, operator: Any) -> int:
    """Return the version an operator needs; 0 = not in the table."""
    code = op_code(model, operator)
    types = [graph.tensors[tensor].type for tensor in operator.inputs if tensor >= 0]
    if code in _BY_INPUT:
        return _BY_INPUT[code].get(types[0], 1)
    if code in (Op.CONV_2D, Op.DEPTHWISE_CONV_2D):
        return _convolution(code, types, _per_channel(graph, operator.inputs[1]))
    if code == Op.FULLY_CONNECTED:
        return _fully_connected(operator, types, _per_channel(graph, operator.inputs[1]))
    if code == Op.MUL:
        return _multiply(graph, operator, types[0])
    if code == Op.DEQUANTIZE:
        return _dequantize(types[0], _per_channel(graph, operator.inputs[0]))
    if code == Op.QUANTIZE:
        return 2 if graph.tensors[operator.outputs[0]].type == Type.INT16 else 1
    return 0


def _per_channel(graph: Any, tensor: int) -> bool:
    quantization = graph.tensors[tensor].quantization
    return quantization is not None and quantization.scale is not None and len(quantization.scale) > 1


def _convolution(code: int, types: list[int], per_channel: bool) -> int:
    hybrid, hybrid_per_channel = (2, 5) if code == Op.CONV_2D else (4, 6)
    if types[:2] == [Type.FLOAT32, Type.INT8]:
        return hybrid_per_channel if per_channel else hybrid
    # int16 activations with int8 weights came with version 4 (CONV_2D) and 5 (DEPTHWISE_CONV_2D) of the kernels.
    if types[0] == Type.INT16:
        return 4 if code == Op.CONV_2D else 5
    return 3 if types[0] == Type.INT8 else 1


def _fully_connected(operator: Any, types: list[int], per_channel: bool) -> int:
    if types[:2] == [Type.FLOAT32, Type.INT8]:
        if per_channel:
            return 12
        return 9 if operator.builtinOptions.asymmetricQuantizeInputs else 3
    if types[0] == Type.INT16:
        return 7
    if len(types) == 2:
        return 6
    if operator.builtinOptions.keepNumDims:
        return 5
    return 4 if types[0] == Type.INT8 else 1


def _multiply(graph: Any, operator: Any, kind: int) -> int:
    if kind == Type.INT16:
        return 4
    scales = [_scale(graph, tensor) for tensor in (*operator.inputs, operator.outputs[0])]
    if all(scales) and scales[0] * scales[1] / scales[2] >= 1.0:
        return 3
    return 2 if kind == Type.INT8 else 1


def _scale(graph: Any, tensor: int) -> float:
    quantization = graph.tensors[tensor].quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return 0.0
    return float(quantization.scale[0])


def _dequantize(kind: int, per_channel: bool) -> int:
    if kind in (Type.INT16, Type.FLOAT16):
        return 3
    if kind == Type.INT8:
        return 5 if per_channel else 2
    return 1
