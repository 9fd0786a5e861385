"""Models as others would bring them: Keras' own networks and ONNX graphs with weights that a test knows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgenet.folding import fold
from edgenet.layers import Block, Layer, expand
from edgenet.preprocessing import Preprocessing
from edgenet.variants import VARIANTS
from edgenet.weights.namings import NAMINGS, TRANSPOSED
from edgenet.weights.random import random_weights
from edgenet.weights.record import Convention, Weights

SIDE_PX, CLASSES = 64, 5
HALF = (127.5,) * 3
KERAS = next(naming for naming in NAMINGS if naming.title == "Keras")
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def trained(variant: str, convention: Convention = Convention(), side_px: int = SIDE_PX) -> Weights:
    """Return seeded weights whose batch norms have statistics as after training, so that a mix-up would show."""
    weights = random_weights(VARIANTS[variant], 3, CLASSES)
    generator = np.random.default_rng(5)
    draws = {
        "weight": lambda size: generator.uniform(0.8, 1.2, size),
        "bias": lambda size: generator.normal(0, 0.1, size),
        "running_mean": lambda size: generator.normal(0, 0.1, size),
        "running_var": lambda size: generator.uniform(0.7, 1.4, size),
    }
    tensors = dict(weights.tensors)
    for layer in expand(weights.variant, CLASSES).layers:
        names = [f"{layer.batch_norm}.{part}" for part in BATCH_NORM] if layer.batch_norm else [f"{layer.name}.bias"]
        for name in names:
            tensors[name] = np.asarray(draws[name.rpartition(".")[2]](layer.out_channels), np.float32)
    record = Preprocessing(side_px, "crop_then_resize", 0.875, "bicubic", HALF, HALF)
    return replace(weights, tensors=tensors, preprocessing=record, convention=convention)


def into_keras(model: Any, weights: Weights, *, classifier: bool = True) -> Any:
    """Put `weights` into a model with the layer names of Keras' applications."""
    for place in KERAS.places(expand(weights.variant, CLASSES)):
        layer = place.layer
        if layer.kind == "dense" and not classifier:
            continue
        kernel = weights.tensors[f"{layer.name}.weight"].transpose(np.argsort(TRANSPOSED[layer.kind]))
        bias = [] if layer.batch_norm else [weights.tensors[f"{layer.name}.bias"]]
        model.get_layer(place.module).set_weights([kernel, *bias])
        if layer.batch_norm:
            parts = [weights.tensors[f"{layer.batch_norm}.{part}"] for part in BATCH_NORM]
            model.get_layer(place.batch_norm).set_weights(parts)
    return model


@dataclass(frozen=True)
class Style:
    """How an exporter writes a network."""

    folded: bool = True  # batch norms are folded into the convolutions
    nhwc: bool = False  # the image comes as [N, H, W, C], and a transpose follows
    softmax: bool = False
    normalized: bool = False  # (pixels - 127.5) / 127.5 is part of the graph
    open_sides: bool = False
    clip: bool = True  # relu6 as one Clip; else as Max and Min
    named: bool = True  # initializers have names that mean something


def write_onnx(path: Path, weights: Weights, style: Style = Style()) -> Path:
    """Write `weights` as an ONNX file in that style."""
    onnx.save(_OnnxWriter(weights, style).write(), str(path))
    return path


class _OnnxWriter:
    def __init__(self, weights: Weights, style: Style) -> None:
        self.weights, self.style = weights, style
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def write(self) -> Any:
        network = expand(self.weights.variant, CLASSES, self.weights.preprocessing.side_px)
        x = self._entry()
        x = self._layer(network.stem, x)
        for block in network.blocks:
            x = self._block(block, x)
        x = self._op("GlobalAveragePool", self._layer(network.head, x))
        x = self._op("Flatten", x)
        dense = fold(network.classifier, self.weights)
        x = self._op("Gemm", x, self._constant(dense.weight), self._constant(dense.bias), transB=1)
        x = self._op("Softmax", x, axis=1) if self.style.softmax else x
        self.nodes[-1].output[0] = "answer"
        side: Any = "side" if self.style.open_sides else self.weights.preprocessing.side_px
        shape = ["n", side, side, 3] if self.style.nhwc else ["n", 3, side, side]
        image = helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)
        answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", CLASSES])
        graph = helper.make_graph(self.nodes, "network", [image], [answer], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="test")

    def _entry(self) -> str:
        x = "picture"
        if self.style.normalized:
            x = self._op("Div", self._op("Sub", x, self._number(127.5)), self._number(127.5))
        return self._op("Transpose", x, perm=[0, 3, 1, 2]) if self.style.nhwc else x

    def _block(self, block: Block, entry: str) -> str:
        x = entry
        for layer in block.before_squeeze:
            x = self._layer(layer, x)
        if block.squeeze:
            gate = self._op("ReduceMean", x, axes=[2, 3], keepdims=1)
            for layer in block.squeeze:
                gate = self._layer(layer, gate)
            x = self._op("Mul", x, gate)
        for layer in block.after_squeeze:
            x = self._layer(layer, x)
        return self._op("Add", x, entry) if block.skip else x

    def _layer(self, layer: Layer, x: str) -> str:
        folded, norm = fold(layer, self.weights), layer.batch_norm and not self.style.folded
        weight = self.weights.tensors[f"{layer.name}.weight"] if norm else folded.weight
        constants = [self._constant(weight, f"{layer.name}.weight")] + ([] if norm else [self._constant(folded.bias)])
        edge = layer.kernel // 2
        pads: dict[str, Any] = {"auto_pad": "SAME_UPPER"}
        if self.weights.convention.padding == "symmetric":
            pads = {"pads": [edge] * 4}
        groups = layer.out_channels if layer.kind == "depthwise" else 1
        x = self._op("Conv", x, *constants, group=groups, strides=[layer.stride] * 2, **pads)
        if norm:
            parts = [self._constant(self.weights.tensors[f"{layer.batch_norm}.{part}"]) for part in BATCH_NORM]
            x = self._op("BatchNormalization", x, *parts, epsilon=self.weights.convention.batch_norm_epsilon)
        return self._activation(layer.activation, x)

    def _activation(self, activation: str, x: str) -> str:
        if activation == "swish":
            return self._op("Mul", x, self._op("Sigmoid", x))
        if activation == "relu6" and self.style.clip:
            return self._op("Clip", x, self._number(0.0), self._number(6.0))
        if activation == "relu6":
            return self._op("Min", self._op("Max", x, self._number(0.0)), self._number(6.0))
        return self._op({"relu": "Relu", "sigmoid": "Sigmoid"}[activation], x) if activation != "none" else x

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], name=f"{kind}_{len(self.nodes)}", **attributes)
        )
        return output

    def _number(self, value: float) -> str:
        return self._constant(np.asarray(value, np.float32))

    def _constant(self, values: NDArray[Any], name: str = "") -> str:
        known = name and self.style.named
        name = name if known else f"onnx::{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
