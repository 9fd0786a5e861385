"""Write a dense op as the 1x1 convolution that it is, for readers that know steps for each channel only there.

The Edge TPU compiler is linked with a TFLite of 2021, whose dense op has one step for all of its weights. XNNPACK gives
the same bytes for both; TFLite's reference kernels differ by one step of 256 in a few values of ten thousand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.edit import add_constant, add_tensor, make_operator, text
from converters.flatbuffer import Model
from converters.op_versions import set_op_versions
from converters.patterns import op_code

Op = schema.BuiltinOperator
SUFFIX = "/image"  # of the tensor that has a height and a width of 1


def dense_as_convolution(model: Model) -> None:
    """Replace each dense op whose weights have a step for each channel, in place: [1, I] -> [1, 1, 1, I] -> [1, O]."""
    graph = model.subgraphs[0]
    rewritten: list[Any] = []
    for operator in graph.operators:
        if op_code(model, operator) == Op.FULLY_CONNECTED and _steps(graph.tensors[operator.inputs[1]]) > 1:
            rewritten += _convolution(model, operator)
        else:
            rewritten.append(operator)
    graph.operators = rewritten
    set_op_versions(model)


def _steps(tensor: Any) -> int:
    quantization = tensor.quantization
    return 0 if quantization is None or quantization.scale is None else len(quantization.scale)


def _convolution(model: Model, dense: Any) -> list[Any]:
    """Return the ops that compute what a dense op does."""
    tensors = model.subgraphs[0].tensors
    data, weight, output = int(dense.inputs[0]), int(dense.inputs[1]), int(dense.outputs[0])
    outputs, inputs = tensors[weight].shape
    tensors[weight].shape = [outputs, 1, 1, inputs]
    wide, made = _as_image(model, data, inputs), _as_image(model, output, outputs)
    options = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.VALID, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    options.fusedActivationFunction = dense.builtinOptions.fusedActivationFunction
    return [
        _reshape(model, data, wide),
        make_operator(model, Op.CONV_2D, [wide, weight, *map(int, dense.inputs[2:])], made, options),
        _reshape(model, made, output),
    ]


def _as_image(model: Model, tensor: int, channels: int) -> int:
    """Return a new tensor [1, 1, 1, channels] with the steps of another."""
    row = model.subgraphs[0].tensors[tensor]
    image = add_tensor(model, text(row.name) + SUFFIX, [1, 1, 1, channels], row.type)
    model.subgraphs[0].tensors[image].quantization = row.quantization
    return image


def _reshape(model: Model, before: int, after: int) -> Any:
    row = model.subgraphs[0].tensors[after]
    shape = np.array(row.shape, dtype=np.int32)
    options = schema.ReshapeOptionsT()
    options.newShape = shape
    return make_operator(
        model, Op.RESHAPE, [before, add_constant(model, f"{text(row.name)}/shape", shape)], after, options
    )
