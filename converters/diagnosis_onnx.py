"""The layers of a quantized .onnx file, each with its counterpart in the float network, which is a .tflite file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.diagnosis_graph import (
    LayerPair,
    RoundedWeights,
    Steps,
    Tensor,
    Type,
    filled,
    paired,
    units,
)
from converters.flatbuffer import Model
from converters.onnx_file.layers import OnnxLayer, OnnxLayers
from converters.patterns import Op, op_code
from converters.quantized_layers import WEIGHTED
from converters.verify import with_outputs

_FROM_NCHW = {Op.CONV_2D: (0, 2, 3, 1), Op.DEPTHWISE_CONV_2D: (1, 2, 3, 0), Op.FULLY_CONNECTED: (0, 1)}


def pair_onnx_layers(reference: bytes, content: bytes) -> list[LayerPair]:
    """Return the layers of a quantized .onnx file in the order of the graph, each with its float counterpart by name.

    Raise InputError for a file that rounds nothing, or that shares no names with the float file.
    """
    original, file = flatbuffer.read(reference), OnnxLayers(content)
    return paired(original, list(_shared_tensors(original, file)), _rounded_weights(original, file))


def _shared_tensors(original: Model, file: OnnxLayers) -> Iterator[Tensor]:
    for name, index in filled(original).items():
        value = file.value(name)
        if value is not None:
            steps = file.steps(value)
            values = math.prod(original.subgraphs[0].tensors[index].shape)
            yield Tensor(name, values, index, value, Steps(Type.INT8, *steps) if steps else None)


def _rounded_weights(original: Model, file: OnnxLayers) -> Iterator[RoundedWeights]:
    """Yield the int8 weights as real numbers; the first layer's are put into the units of the float network."""
    names = {index: name for name, index in filled(original).items()}
    for operator in original.subgraphs[0].operators:
        code, output = op_code(original, operator), int(operator.outputs[0])
        layer = file.layer(names[output]) if code in WEIGHTED and output in names else None
        if layer is None:
            continue
        weight, bias = layer.weight.transpose(_FROM_NCHW[code]), layer.bias
        if file.is_image(layer.reads) and bias is not None:
            weight, bias = _in_float_units(original, int(operator.inputs[0]), file, layer, weight)
        yield RoundedWeights(names[output], np.ascontiguousarray(weight), bias)


def _in_float_units(
    original: Model, float_input: int, file: OnnxLayers, layer: OnnxLayer, weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    factor, shift = units(file.runner([layer.reads]), with_outputs(original, [float_input]))
    bias = layer.bias - np.sum(weight * (shift / factor), axis=(1, 2, 3))
    return (weight / factor).astype(np.float32), bias.astype(np.float32)
