"""Tell whether a file ends in a softmax, so that it gives probabilities instead of logits."""

from __future__ import annotations

from converters import flatbuffer
from converters.onnx_file.document import is_onnx, parse
from converters.patterns import Op, op_code

# What may stand behind a softmax without changing what its numbers mean.
_PASSED_TFLITE = {Op.QUANTIZE, Op.DEQUANTIZE, Op.RESHAPE, Op.CAST}
_PASSED_ONNX = {"QuantizeLinear", "DequantizeLinear", "Reshape", "Squeeze", "Flatten", "Cast", "Identity"}


def gives_probabilities(content: bytes) -> bool:
    """Return whether the first output of a .tflite or .onnx file comes from a softmax."""
    return _onnx_ends_in_softmax(content) if is_onnx(content) else _tflite_ends_in_softmax(content)


def _tflite_ends_in_softmax(content: bytes) -> bool:
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    makers = {int(tensor): row for row in graph.operators for tensor in row.outputs}
    row = makers.get(int(graph.outputs[0]))
    while row is not None and op_code(model, row) in _PASSED_TFLITE:
        row = makers.get(int(row.inputs[0]))
    return row is not None and op_code(model, row) == Op.SOFTMAX


def _onnx_ends_in_softmax(content: bytes) -> bool:
    graph = parse(content).graph
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(graph.output[0].name)
    while node is not None and node.op_type in _PASSED_ONNX:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Softmax"
