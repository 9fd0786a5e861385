"""Strides, kernels and pads of convolutions and pools: SAME padding spelled out, padding ops taken in."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.onnx_file.values import Values
from converters.patterns import Op, op_code

Edges = tuple[int, int, int, int]
"""Rows above, columns left, rows below, columns right, as ONNX orders pads."""
NO_EDGES: Edges = (0, 0, 0, 0)
CONVOLUTIONS = (Op.CONV_2D, Op.DEPTHWISE_CONV_2D)


def convolution_window(values: Values, operator: Any) -> dict[str, Any]:
    """Return the attributes of a Conv, with the pads of a PAD in front of it added to its own."""
    options = operator.builtinOptions
    height, width = values.shape(int(operator.inputs[1]))[1:3]
    dilations = int(options.dilationHFactor), int(options.dilationWFactor)
    reach = (height - 1) * dilations[0] + 1, (width - 1) * dilations[1] + 1
    added = unpadded(values, int(operator.inputs[0]))[1]
    pads = [own + more for own, more in zip(_pads(values, operator, reach), added, strict=True)]
    return {**_window(operator, (height, width), pads), "dilations": dilations}


def pool_window(values: Values, operator: Any) -> dict[str, Any]:
    """Return the attributes of an AveragePool or a MaxPool; neither counts what is padded, like TFLite's."""
    options = operator.builtinOptions
    kernel = int(options.filterHeight), int(options.filterWidth)
    return _window(operator, kernel, list(_pads(values, operator, kernel)))


def unpadded(values: Values, tensor: int) -> tuple[int, Edges]:
    """Return what a convolution reads, without the PAD that fills its input, and that one's edges."""
    maker = values.maker(tensor)
    if maker is None or op_code(values.model, maker) != Op.PAD:
        return tensor, NO_EDGES
    widths = values.data(int(maker.inputs[1]))
    if widths is None or widths.shape != (4, 2) or widths[[0, 3]].any():
        return tensor, NO_EDGES
    (top, bottom), (left, right) = widths[1].tolist(), widths[2].tolist()
    return int(maker.inputs[0]), (top, left, bottom, right)


def is_taken_in(values: Values, operator: Any) -> bool:
    """Return whether a PAD feeds convolutions alone, so that it need not be written."""
    output = int(operator.outputs[0])
    readers = values.readers(output)
    return (
        unpadded(values, output)[0] != output
        and output not in list(values.graph.outputs)
        and all(op_code(values.model, row) in CONVOLUTIONS for row in readers)
    )


def _window(operator: Any, kernel: tuple[int, int], pads: list[int]) -> dict[str, Any]:
    options = operator.builtinOptions
    return {"kernel_shape": kernel, "strides": (int(options.strideH), int(options.strideW)), "pads": pads}


def _pads(values: Values, operator: Any, reach: tuple[int, int]) -> Edges:
    """Return the pads of an op: those of SAME give ceil(size / stride) outputs, the odd one below and to the right."""
    options = operator.builtinOptions
    if options.padding == schema.Padding.VALID:
        return NO_EDGES
    sizes = values.shape(int(operator.inputs[0]))[1:3]
    totals = [
        max(0, (-(-size // stride) - 1) * stride + kernel - size)
        for size, stride, kernel in zip(sizes, (int(options.strideH), int(options.strideW)), reach, strict=True)
    ]
    (top, left), (bottom, right) = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return top, left, bottom, right
