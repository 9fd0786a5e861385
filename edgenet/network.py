"""The tf_keras network of an architecture: to train, to extract features, and to check written files against."""

from typing import Any, Literal, get_args

import numpy as np
import tf_keras
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.layers import Architecture, Block, Layer
from edgenet.weights.record import Convention, Weights

Form = Literal["training", "deploy"]
Tensor = Any  # a symbolic tensor; tf_keras exports no name for its type

# tensorflow/tpu efficientnet_model.py: convolutions normal with std sqrt(2 / fan_out), dense uniform +-1 / sqrt(out).
_CONV_INITIALIZER = {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"}
_DENSE_INITIALIZER = {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"}

_ORDERS = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "dense": (1, 0)}  # from PyTorch's axes to Keras'
_PARTS = ("weight", "bias", "running_mean", "running_var")  # of a batch norm, in Keras' order


def build_network(
    architecture: Architecture,
    *,
    form: Form = "training",
    convention: Convention = Convention(),
    features: bool = False,
) -> tf_keras.Model:
    """Build the network that takes NORMALIZED images [N, side, side, 3] and gives logits [N, classes].

    The training form has any batch size, dropout and stochastic depth. The deploy form has batch 1 and neither, so that
    TFLiteConverter gives one XNNPACK partition without a shape-computing op. With `features` the outputs are the last
    feature maps at strides 2, 4, 8, 16 and 32 instead, [N, side / stride, side / stride, C]. Raise InputError for
    another form.
    """
    if form not in get_args(Form):
        raise InputError(f"unknown form {form!r}", allowed=", ".join(get_args(Form)))
    return _Builder(architecture, form, convention).build(features)


def load_weights_into(
    model: tf_keras.Model, architecture: Architecture, weights: Weights, *, features: bool = False
) -> None:
    """Put `weights` into a network of the same architecture; a network of `features` has no head and no classifier."""
    for layer in architecture.layers[:-2] if features else architecture.layers:
        model.get_layer(layer.name).set_weights(_keras_arrays(layer, weights))
        if layer.batch_norm:
            arrays = [weights.tensors[f"{layer.batch_norm}.{part}"] for part in _PARTS]
            model.get_layer(layer.batch_norm).set_weights(arrays)


def weights_from(model: tf_keras.Model, architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a network under timm's names, in PyTorch's layouts: what `load_weights_into` takes."""
    tensors = {}
    for layer in architecture.layers:
        weight, *bias = model.get_layer(layer.name).get_weights()
        tensors[f"{layer.name}.weight"] = np.ascontiguousarray(weight.transpose(np.argsort(_ORDERS[layer.kind])))
        tensors |= {f"{layer.name}.bias": array for array in bias}
        if layer.batch_norm:
            arrays = model.get_layer(layer.batch_norm).get_weights()
            tensors |= {f"{layer.batch_norm}.{part}": array for part, array in zip(_PARTS, arrays, strict=True)}
    return tensors


def _keras_arrays(layer: Layer, weights: Weights) -> list[NDArray[np.float32]]:
    """Return a layer's arrays in Keras' layouts: [kH, kW, I, O], depthwise [kH, kW, C, 1], dense [I, O]."""
    weight = weights.tensors[f"{layer.name}.weight"]
    arrays = [weight.transpose(_ORDERS[layer.kind])]
    return arrays if layer.batch_norm else [*arrays, weights.tensors[f"{layer.name}.bias"]]


class _Builder:
    def __init__(self, architecture: Architecture, form: Form, convention: Convention) -> None:
        self.architecture, self.form, self.convention = architecture, form, convention

    def build(self, features: bool) -> tf_keras.Model:
        side, name = self.architecture.side_px, self.architecture.variant.name
        image = tf_keras.Input((side, side, 3), batch_size=1 if self.form == "deploy" else None, name="image")
        x = self._layer(self.architecture.stem, image)
        maps: dict[int, Tensor] = {}
        for block in self.architecture.blocks:
            x = self._block(block, x)
            maps[block.out_side] = x  # the last map of each size wins
        if features:
            return tf_keras.Model(image, list(maps.values()), name=f"{name}-features")
        return tf_keras.Model(image, self._classifier(self._layer(self.architecture.head, x)), name=name)

    def _classifier(self, x: Tensor) -> Tensor:
        x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
        if self.form == "training":
            x = tf_keras.layers.Dropout(self.architecture.variant.dropout, name="dropout")(x)
        initializer = tf_keras.initializers.VarianceScaling(**_DENSE_INITIALIZER)
        layer = self.architecture.classifier
        return tf_keras.layers.Dense(layer.out_channels, kernel_initializer=initializer, name=layer.name)(x)

    def _block(self, block: Block, entry: Tensor) -> Tensor:
        x = entry
        for layer in block.before_squeeze:
            x = self._layer(layer, x)
        if block.squeeze:
            gate = tf_keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{block.name}.se.pool")(x)
            for layer in block.squeeze:
                gate = self._layer(layer, gate)
            x = tf_keras.layers.Multiply(name=f"{block.name}.se.scaled")([x, gate])
        for layer in block.after_squeeze:
            x = self._layer(layer, x)
        return self._skip(block, x, entry) if block.skip else x

    def _skip(self, block: Block, x: Tensor, entry: Tensor) -> Tensor:
        if self.form == "training" and block.drop_rate:
            # Stochastic depth (arXiv 1603.09382): one draw a sample drops the whole branch.
            noise = (None, 1, 1, 1)
            x = tf_keras.layers.Dropout(block.drop_rate, noise_shape=noise, name=f"{block.name}.drop")(x)
        return tf_keras.layers.Add(name=f"{block.name}.sum")([x, entry])

    def _layer(self, layer: Layer, x: Tensor) -> Tensor:
        padding = "same"
        if self.convention.padding == "symmetric" and layer.stride > 1 and layer.kernel > 1:
            x = tf_keras.layers.ZeroPadding2D(layer.kernel // 2, name=f"{layer.name}.padding")(x)
            padding = "valid"
        x = self._convolution(layer, padding)(x)
        if layer.batch_norm:
            momentum = self.architecture.variant.rules.batch_norm_momentum
            epsilon = self.convention.batch_norm_epsilon
            x = tf_keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=layer.batch_norm)(x)
        if layer.activation == "none":
            return x
        name = f"{layer.name}.{layer.activation}"
        if layer.activation == "relu6":
            return tf_keras.layers.ReLU(max_value=6.0, name=name)(x)
        return tf_keras.layers.Activation(layer.activation, name=name)(x)

    def _convolution(self, layer: Layer, padding: str) -> tf_keras.layers.Layer:
        initializer = tf_keras.initializers.VarianceScaling(**_CONV_INITIALIZER)
        common = {"strides": layer.stride, "padding": padding, "use_bias": not layer.batch_norm, "name": layer.name}
        if layer.kind == "depthwise":
            return tf_keras.layers.DepthwiseConv2D(layer.kernel, depthwise_initializer=initializer, **common)
        return tf_keras.layers.Conv2D(layer.out_channels, layer.kernel, kernel_initializer=initializer, **common)
