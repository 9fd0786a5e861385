"""Wrap the layers of a network so that they compute with compressed kernels and rounded outputs.

tensorflow-model-optimization's `quantize_model` knows no Multiply (squeeze-and-excite), no swish, and no depthwise
kernel with a scale for each channel. Its wrapper takes a `QuantizeConfig`, and this one says for every layer what the
8-bit file will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tf_keras

from edgenet.training.compress.library import tfmot
from edgenet.training.compress.quantizers import (
    ActivationQuantizer,
    KernelQuantizer,
    KernelRules,
    rounded_sigmoid,
    rounded_swish,
)

Wrapper = tfmot.quantization.keras.QuantizeWrapperV2
ROUNDED_ACTIVATIONS = {"swish": rounded_swish, "sigmoid": rounded_sigmoid}


class LayerConfig(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]  # the library has no types
    """What happens to one layer's kernel and output."""

    def __init__(self, kernel: KernelRules | None, output: ActivationQuantizer | None) -> None:
        self._kernel, self._output = kernel, output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, KernelQuantizer]]:
        """Return the kernel, if it is compressed; it is asked for once, when the layer is built."""
        if self._kernel is None:
            return []
        self._kernel.kernel = getattr(layer, self._kernel.attribute)
        return [(self._kernel.kernel, KernelQuantizer(self._kernel))]

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Return nothing: activations are layers of their own here."""
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Sequence[Any]) -> None:
        """Let the layer compute with what the quantizer made of its kernel."""
        if self._kernel is not None:
            setattr(layer, self._kernel.attribute, quantize_weights[0])

    def set_quantize_activations(self, layer: Any, quantize_activations: Sequence[Any]) -> None:
        """Change nothing."""
        del layer, quantize_activations

    def get_output_quantizers(self, layer: Any) -> list[ActivationQuantizer]:
        """Return the output's quantizer, if the file has a tensor there."""
        return [] if self._output is None else [self._output]

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a run keeps its recipe, from which the layer is built again."""
        return {}


def wrapped(layer: Any, kernel: KernelRules | None, output: ActivationQuantizer | None) -> Any:
    """Return a fresh layer with what is to be done to it, under its own name; as it is where that is nothing."""
    if kernel is None and output is None:
        return layer
    return Wrapper(layer, LayerConfig(kernel, output), name=layer.name)


def with_rounded_sigmoid(layer: Any) -> Any:
    """Return a layer whose activation, if it is a swish or a sigmoid, is computed as the 8-bit ops do."""
    for name, function in ROUNDED_ACTIVATIONS.items():
        if isinstance(layer, tf_keras.layers.Activation) and layer.activation is tf_keras.activations.get(name):
            return tf_keras.layers.Activation(function, name=layer.name)
    return layer


def own_weights(model: tf_keras.Model) -> list[Any]:
    """Return the weights of a network without what wrapping added, in the order of the network without wrappers."""
    return [
        weight
        for layer in model.layers
        for weight in (
            [*layer.trainable_weights, *layer.layer.non_trainable_weights]
            if isinstance(layer, Wrapper)
            else layer.weights
        )
    ]
