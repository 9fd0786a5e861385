"""Write a network as a float32 .tflite graph, straight from its rows and arrays.

No framework traces, freezes or optimizes anything here: each row of the architecture becomes the ops that it is. That
gives static shapes, the network's own names on every tensor, no helper op (SHAPE, PACK, STRIDED_SLICE, RESHAPE) and the
same bytes each time; that the ops compute the network is checked against the tf_keras network (`network_check.py`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.edit import shared_or_each
from converters.entry import CENTERED_NAME, INPUT_NAME, OUTPUT_NAME, Entry
from converters.flatbuffer import Model
from converters.graph import GraphBuilder
from edgenet.folding import FoldedLayer, fold
from edgenet.layers import Architecture, Block, Layer
from edgenet.variants import Activation
from edgenet.weights.record import Weights

Op = schema.BuiltinOperator
_FUSED = {
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def build_float(network: Architecture, weights: Weights, entry: Entry) -> Model:
    """Return the float32 graph, [1, side, side, 3] -> logits [1, classes], with the input that `entry` describes."""
    return _Writer(network, weights, entry).write()


class _Writer:
    def __init__(self, network: Architecture, weights: Weights, entry: Entry) -> None:
        self.network, self.weights, self.entry = network, weights, entry
        marked = ", RANDOM WEIGHTS" if weights.source == "random" else ""  # in the file itself: names get lost
        self.graph = GraphBuilder(f"{network.variant.name}{marked}, written by edgenet")

    def write(self) -> Model:
        side = self.network.side_px
        image = self.graph.tensor(INPUT_NAME, (1, side, side, 3))
        x = self._subtract_mean(image) if self.entry.folding == "subtracted" else image
        x = self._layer(self.network.stem, x, self._stem())
        for block in self.network.blocks:
            x = self._block(block, x)
        x = self._layer(self.network.head, x)
        x = self._mean("pool", x, keep_dims=False)
        logits = self._dense(self.network.classifier, x)
        return self.graph.finish({INPUT_NAME: image}, {OUTPUT_NAME: logits})

    def _subtract_mean(self, image: int) -> int:
        constant = self.graph.constant(f"{INPUT_NAME}/mean", shared_or_each(self.weights.preprocessing.mean))
        out = self.graph.tensor(CENTERED_NAME, self.graph.shape(image))
        return self.graph.op(Op.SUB, (image, constant), out, schema.SubOptionsT())

    def _stem(self) -> FoldedLayer:
        """Return the stem with what the entry leaves to it: 1 / std, or the rest of the mean."""
        folded, record = fold(self.network.stem, self.weights), self.weights.preprocessing
        weight = folded.weight.astype(np.float64)
        if self.entry.folding == "subtracted":
            weight = weight / np.asarray(record.std).reshape(1, 3, 1, 1)
            return FoldedLayer(weight.astype(np.float32), folded.bias)
        shift = (self.entry.zero_point - record.mean[0]) / record.std[0]
        bias = folded.bias + shift * weight.sum(axis=(1, 2, 3))
        return FoldedLayer(folded.weight, bias.astype(np.float32))

    def _block(self, block: Block, entry: int) -> int:
        x = entry
        for layer in block.before_squeeze:
            x = self._layer(layer, x)
        if block.squeeze:
            gate = self._mean(f"{block.name}.se.pool", x, keep_dims=True)
            for layer in block.squeeze:
                gate = self._layer(layer, gate)
            x = self._multiply(f"{block.name}.se/scaled", x, gate)
        for layer in block.after_squeeze:
            x = self._layer(layer, x)
        if block.skip:
            out = self.graph.tensor(f"{block.name}/sum", self.graph.shape(x))
            x = self.graph.op(Op.ADD, (x, entry), out, schema.AddOptionsT())
        return x

    def _layer(self, layer: Layer, x: int, folded: FoldedLayer | None = None) -> int:
        folded = folded or fold(layer, self.weights)
        symmetric = self.weights.convention.padding == "symmetric" and layer.stride > 1 and layer.kernel > 1
        if symmetric:
            x = self._pad(layer, x)
        x = _CONVOLUTIONS[layer.kind](self, layer, x, folded, symmetric)
        return self._activation(layer.name, layer.activation, x)

    def _pad(self, layer: Layer, x: int) -> int:
        edge = layer.kernel // 2
        _, height, width, channels = self.graph.shape(x)
        widths = np.asarray([[0, 0], [edge, edge], [edge, edge], [0, 0]], dtype=np.int32)
        constant = self.graph.constant(f"{layer.name}/padding", widths)
        out = self.graph.tensor(f"{layer.name}/padded", (1, height + 2 * edge, width + 2 * edge, channels))
        return self.graph.op(Op.PAD, (x, constant), out, schema.PadOptionsT())

    def _parameters(self, layer: Layer, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> tuple[int, int]:
        return self.graph.constant(f"{layer.name}/weight", weight), self.graph.constant(f"{layer.name}/bias", bias)

    def _conv(self, layer: Layer, x: int, folded: FoldedLayer, valid: bool) -> int:
        weight = folded.weight.transpose(0, 2, 3, 1)  # [O, I, kH, kW] -> [O, kH, kW, I]
        options = schema.Conv2DOptionsT()
        options.dilationWFactor = options.dilationHFactor = 1
        return self._convolve(Op.CONV_2D, options, layer, x, weight, folded.bias, valid)

    def _depthwise(self, layer: Layer, x: int, folded: FoldedLayer, valid: bool) -> int:
        weight = folded.weight.transpose(1, 2, 3, 0)  # [C, 1, kH, kW] -> [1, kH, kW, C]
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = options.dilationWFactor = options.dilationHFactor = 1
        return self._convolve(Op.DEPTHWISE_CONV_2D, options, layer, x, weight, folded.bias, valid)

    def _convolve(
        self, code: int, options: Any, layer: Layer, x: int, weight: NDArray[np.float32], bias: NDArray[np.float32],
        valid: bool,
    ) -> int:  # fmt: skip
        options.padding = schema.Padding.VALID if valid else schema.Padding.SAME
        options.strideH = options.strideW = layer.stride
        options.fusedActivationFunction = _FUSED.get(layer.activation, schema.ActivationFunctionType.NONE)
        out = self.graph.tensor(layer.name, (1, layer.out_side, layer.out_side, layer.out_channels))
        return self.graph.op(code, (x, *self._parameters(layer, weight, bias)), out, options)

    def _dense(self, layer: Layer, x: int) -> int:
        folded = fold(layer, self.weights)
        out = self.graph.tensor(OUTPUT_NAME, (1, layer.out_channels))
        parameters = self._parameters(layer, folded.weight, folded.bias)
        return self.graph.op(Op.FULLY_CONNECTED, (x, *parameters), out, schema.FullyConnectedOptionsT())

    def _activation(self, name: str, activation: Activation, x: int) -> int:
        if activation not in ("swish", "sigmoid"):
            return x  # relu and relu6 are fused into the convolution
        sigmoid = self.graph.tensor(f"{name}/sigmoid", self.graph.shape(x))
        self.graph.op(Op.LOGISTIC, (x,), sigmoid)
        return sigmoid if activation == "sigmoid" else self._multiply(f"{name}/swish", x, sigmoid)

    def _multiply(self, name: str, x: int, factor: int) -> int:
        out = self.graph.tensor(name, self.graph.shape(x))
        return self.graph.op(Op.MUL, (x, factor), out, schema.MulOptionsT())

    def _mean(self, name: str, x: int, *, keep_dims: bool) -> int:
        channels = self.graph.shape(x)[3]
        axes = self.graph.constant(f"{name}/axes", np.asarray([1, 2], dtype=np.int32))
        out = self.graph.tensor(name, (1, 1, 1, channels) if keep_dims else (1, channels))
        options = schema.ReducerOptionsT()
        options.keepDims = keep_dims
        return self.graph.op(Op.MEAN, (x, axes), out, options)


_CONVOLUTIONS: dict[str, Callable[[_Writer, Layer, int, FoldedLayer, bool], int]] = {
    "conv": _Writer._conv,
    "depthwise": _Writer._depthwise,
}
