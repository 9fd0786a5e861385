"""Each op of a TFLite graph as ONNX nodes: the same answers in float and 8 bits; what has no counterpart is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import flatbuffer
from converters.flatbuffer import Model
from converters.graph import GraphBuilder
from converters.onnx_file.options import FIRST_OPSET, LAST_OPSET, OnnxCpu, OnnxOptions
from converters.onnx_file.translate import translate
from converters.patterns import activation_tensors
from converters.quantize import ActivationData, quantize_model
from converters.ranges import SIGMOID_RANGE, Range
from converters.runtime import load_runner
from edgenet.errors import InputError
from tests.processors import needs_vnni

Op, Fused, Padding = schema.BuiltinOperator, schema.ActivationFunctionType, schema.Padding
SIDE_PX, CHANNELS = 9, 4
Add = Callable[[GraphBuilder, int], int]
"""Adds ops behind a tensor [1, 9, 9, 4] and returns the last one's output."""


def _values(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32)


def _convolution(
    code: int, kernel: int, stride: int, padding: int, fused: int = Fused.NONE, dilation: int = 1, outputs: int = 6
) -> Add:
    def add(graph: GraphBuilder, x: int) -> int:
        _, height, width, channels = graph.shape(x)
        depthwise = code == Op.DEPTHWISE_CONV_2D
        weight = _values(1, kernel, kernel, outputs) if depthwise else _values(outputs, kernel, kernel, channels)
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = dilation
        options.padding, options.fusedActivationFunction = padding, fused
        if isinstance(options, schema.DepthwiseConv2DOptionsT):
            options.depthMultiplier = outputs // channels
        reach = (kernel - 1) * dilation
        sizes = [-(-(size - (reach if padding == Padding.VALID else 0)) // stride) for size in (height, width)]
        parameters = graph.constant("weight", weight), graph.constant("bias", _values(outputs, seed=2))
        return graph.op(code, (x, *parameters), graph.tensor("convolved", (1, *sizes, outputs)), options)

    return add


def _binary(code: int, options: Any, constant: NDArray[np.float32], fused: int = Fused.NONE) -> Add:
    def add(graph: GraphBuilder, x: int) -> int:
        options.fusedActivationFunction = fused
        return graph.op(code, (x, graph.constant("operand", constant)), graph.tensor("out", graph.shape(x)), options)

    return add


def _alone(code: int, options: Any = None) -> Add:
    return lambda graph, x: graph.op(code, (x,), graph.tensor("out", graph.shape(x)), options)


def _pool(code: int, size: int, stride: int, padding: int) -> Add:
    def add(graph: GraphBuilder, x: int) -> int:
        options = schema.Pool2DOptionsT()
        options.filterHeight = options.filterWidth = size
        options.strideH = options.strideW = stride
        options.padding = padding
        side = -(-(SIDE_PX - (size - 1 if padding == Padding.VALID else 0)) // stride)
        return graph.op(code, (x,), graph.tensor("out", (1, side, side, CHANNELS)), options)

    return add


def _mean(keep: bool) -> Add:
    def add(graph: GraphBuilder, x: int) -> int:
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        out = graph.tensor("out", (1, 1, 1, CHANNELS) if keep else (1, CHANNELS))
        return graph.op(Op.MEAN, (x, graph.constant("axes", np.asarray([1, 2], dtype=np.int32))), out, options)

    return add


def _padded(graph: GraphBuilder, x: int) -> int:
    widths = graph.constant("widths", np.asarray([[0, 0], [1, 2], [0, 1], [0, 0]], dtype=np.int32))
    _, height, width, channels = graph.shape(x)
    out = graph.tensor("padded", (1, height + 3, width + 1, channels))
    return graph.op(Op.PAD, (x, widths), out, schema.PadOptionsT())


def _dense(graph: GraphBuilder, x: int) -> int:
    pooled = _mean(True)(graph, x)
    parameters = graph.constant("weight", _values(5, CHANNELS)), graph.constant("bias", _values(5, seed=2))
    options = schema.FullyConnectedOptionsT()
    return graph.op(Op.FULLY_CONNECTED, (pooled, *parameters), graph.tensor("dense", (1, 5)), options)


def _softmax(graph: GraphBuilder, x: int) -> int:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return graph.op(Op.SOFTMAX, (_mean(False)(graph, x),), graph.tensor("softmax", (1, CHANNELS)), options)


def _reshaped(graph: GraphBuilder, x: int) -> int:
    shape = graph.constant("shape", np.asarray([1, CHANNELS], dtype=np.int32))
    return graph.op(Op.RESHAPE, (_mean(True)(graph, x), shape), graph.tensor("flat", (1, CHANNELS)))


def _squeezed(graph: GraphBuilder, x: int) -> int:
    """Squeeze-and-excite: the gate [1, 1, 1, C] times [1, H, W, C]."""
    gate = graph.op(Op.LOGISTIC, (_mean(True)(graph, x),), graph.tensor("gate", (1, 1, 1, CHANNELS)))
    return graph.op(Op.MUL, (x, gate), graph.tensor("scaled", graph.shape(x)), schema.MulOptionsT())


def _then(first: Add, second: Add) -> Add:
    return lambda graph, x: second(graph, first(graph, x))


CONV, DEPTHWISE = Op.CONV_2D, Op.DEPTHWISE_CONV_2D
OPS: dict[str, Add] = {
    "conv, same, stride 1": _convolution(CONV, 3, 1, Padding.SAME),
    "conv, same, stride 2, odd side": _convolution(CONV, 3, 2, Padding.SAME),
    "conv, same, stride 2, even kernel": _convolution(CONV, 2, 2, Padding.SAME),
    "conv, valid": _convolution(CONV, 3, 2, Padding.VALID),
    "conv, dilated": _convolution(CONV, 3, 1, Padding.SAME, dilation=2),
    "conv, relu": _convolution(CONV, 3, 1, Padding.SAME, Fused.RELU),
    "conv, relu6": _convolution(CONV, 1, 1, Padding.SAME, Fused.RELU6),
    "depthwise": _convolution(DEPTHWISE, 5, 2, Padding.SAME, Fused.RELU6, outputs=CHANNELS),
    "depthwise, multiplier 2": _convolution(DEPTHWISE, 3, 1, Padding.SAME, outputs=2 * CHANNELS),
    "padded conv": _then(_padded, _convolution(CONV, 3, 2, Padding.VALID)),
    "padded pool": _then(_padded, _alone(Op.LOGISTIC)),
    "dense of rank 4": _dense,
    "add a channel": _binary(Op.ADD, schema.AddOptionsT(), _values(CHANNELS), Fused.RELU),
    "subtract a number": _binary(Op.SUB, schema.SubOptionsT(), np.asarray(0.5, dtype=np.float32)),
    "subtract a channel": _binary(Op.SUB, schema.SubOptionsT(), _values(CHANNELS)),
    "multiply": _binary(Op.MUL, schema.MulOptionsT(), _values(1, 1, 1, CHANNELS)),
    "gate": _squeezed,
    "sigmoid": _alone(Op.LOGISTIC),
    "tanh": _alone(Op.TANH),
    "relu": _alone(Op.RELU),
    "relu6": _alone(Op.RELU6),
    "mean": _mean(True),
    "mean, flat": _mean(False),
    "softmax": _softmax,
    "average pool": _pool(Op.AVERAGE_POOL_2D, 3, 2, Padding.SAME),
    "max pool": _pool(Op.MAX_POOL_2D, 2, 2, Padding.VALID),
    "reshape": _reshaped,
}
FIXED = {"gate": SIGMOID_RANGE, "softmax": SIGMOID_RANGE}


def _graph(add: Add) -> Model:
    graph = GraphBuilder("an op")
    image = graph.tensor("image", (1, SIDE_PX, SIDE_PX, CHANNELS))
    return graph.finish({"image": image}, {"out": add(graph, image)})


def _image() -> NDArray[np.float32]:
    return np.random.default_rng(3).uniform(-2, 8, (1, SIDE_PX, SIDE_PX, CHANNELS)).astype(np.float32)


def _bytes(model: Model, options: OnnxOptions) -> bytes:
    message = translate(model, options)
    onnx.checker.check_model(message, full_check=True)
    return bytes(message.SerializeToString())


def _eight_bits(name: str, model: Model) -> Model:
    """Return a float graph with 8-bit activations, of ranges that each fused activation has to clip."""
    content = flatbuffer.write(model)
    sigmoids = {"sigmoid", "padded pool", "tanh"}
    last = Range(-1.0, 127 / 128) if name == "tanh" else SIGMOID_RANGE
    names = [model.subgraphs[0].tensors[tensor].name for tensor in activation_tensors(model)]
    ranges = {name: FIXED.get(name, Range(-3.0, 8.0)) for name in names}
    return quantize_model(content, "w8a8", ActivationData(ranges | ({"out": last} if name in sigmoids else {}), {}))


@pytest.mark.parametrize("name", OPS)
def test_a_float_op_gives_the_same_answer(name: str) -> None:
    model = _graph(OPS[name])
    ours, theirs = load_runner(flatbuffer.write(model)), load_runner(_bytes(model, OnnxOptions()))
    wanted, got = ours.real_output(_image()), theirs.real_output(_image())
    if wanted.ndim == 4:
        got = got.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    assert np.ptp(wanted) > 0


@pytest.mark.parametrize("cpu", [pytest.param("x86-vnni", marks=needs_vnni), "arm"])
@pytest.mark.parametrize("name", OPS)
def test_an_8_bit_op_gives_the_same_answer_to_a_step(name: str, cpu: OnnxCpu) -> None:
    model = _eight_bits(name, _graph(OPS[name]))
    ours, theirs = load_runner(flatbuffer.write(model)), load_runner(_bytes(model, OnnxOptions(cpu=cpu)))
    wanted, got = ours.real_output(_image()), theirs.real_output(_image())
    if wanted.ndim == 4:
        got = got.transpose(0, 2, 3, 1)
    assert np.abs(got - wanted).max() <= 1.01 * ours.outputs[0].scale
    assert np.ptp(wanted) > 2 * ours.outputs[0].scale


@pytest.mark.parametrize("opset", range(FIRST_OPSET, LAST_OPSET + 1))
def test_every_opset_passes_the_checker_and_gives_one_answer(opset: int) -> None:
    for name in ("depthwise", "dense of rank 4", "gate", "padded pool"):
        model = _eight_bits(name, _graph(OPS[name]))
        message = translate(model, OnnxOptions(opset))
        onnx.checker.check_model(message, full_check=True)
        assert message.opset_import[0].version == opset
        default = load_runner(_bytes(model, OnnxOptions())).real_output(_image())
        np.testing.assert_array_equal(load_runner(message.SerializeToString()).real_output(_image()), default)


@pytest.mark.parametrize("name", OPS)
def test_one_transpose_stands_behind_the_input(name: str) -> None:
    for model in (_graph(OPS[name]), _eight_bits(name, _graph(OPS[name]))):
        nodes = translate(model, OnnxOptions()).graph.node
        assert [row.input[0] for row in nodes if row.op_type == "Transpose"] == ["image"]


# What has no counterpart


def _mixing(graph: GraphBuilder, x: int) -> int:
    shape = graph.constant("shape", np.asarray([1, SIDE_PX * SIDE_PX * CHANNELS], dtype=np.int32))
    return graph.op(Op.RESHAPE, (x, shape), graph.tensor("mixed", (1, SIDE_PX * SIDE_PX * CHANNELS)))


def _mean_of_channels(graph: GraphBuilder, x: int) -> int:
    options = schema.ReducerOptionsT()
    options.keepDims = True
    axes = graph.constant("axes", np.asarray([3], dtype=np.int32))
    return graph.op(Op.MEAN, (x, axes), graph.tensor("grey", (1, SIDE_PX, SIDE_PX, 1)), options)


def _hot_softmax(graph: GraphBuilder, x: int) -> int:
    options = schema.SoftmaxOptionsT()
    options.beta = 2.0
    return graph.op(Op.SOFTMAX, (x,), graph.tensor("hot", graph.shape(x)), options)


@dataclass(frozen=True)
class Refused:
    id: str
    add: Add
    says: str


REFUSED = [
    Refused("unknown op", _alone(Op.EXP), "EXP 'out' cannot be written as ONNX: no counterpart is known here; allowed"),
    Refused("mixing reshape", _mixing, "RESHAPE 'mixed' cannot be written as ONNX: it mixes positions and channels"),
    Refused("mean over channels", _mean_of_channels, "MEAN 'grey' cannot be written as ONNX: it does not run over"),
    Refused("softmax with beta", _hot_softmax, "SOFTMAX 'hot' cannot be written as ONNX: its beta is 2; allowed: 1"),
    Refused(
        "fused tanh",
        _convolution(CONV, 1, 1, Padding.SAME, Fused.TANH),
        "CONV_2D 'convolved' cannot be written as ONNX: its fused activation has code 4",
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_has_no_counterpart_is_named(case: Refused) -> None:
    with pytest.raises(InputError) as error:
        translate(_graph(case.add), OnnxOptions())
    assert str(error.value).startswith(case.says)
    assert error.value.allowed
