"""Give a quantized model the weights of quantization-aware training: the steps that the network was trained with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from converters.flatbuffer import Model
from converters.quantized_layers import Op, layers
from edgenet.trained_steps import TrainedWeight

# From PyTorch's axes to the file's: [O, I, kH, kW] -> [O, kH, kW, I], depthwise [C, 1, kH, kW] -> [1, kH, kW, C].
_ORDERS = {Op.CONV_2D: (0, 2, 3, 1), Op.DEPTHWISE_CONV_2D: (1, 2, 3, 0), Op.FULLY_CONNECTED: (0, 1)}


def set_weights(model: Model, original: Model, trained: Mapping[str, TrainedWeight]) -> None:
    """Replace the weights and scales of each layer of `model` by trained ones, by the name of its output, in place.

    A channel that folding made 0 keeps the scale that it has.
    """
    for layer in layers(model, original):
        found, old = trained[layer.output_name], layer.weight_scales.reshape(-1)
        new = np.where(found.scales > 0, found.scales, old).astype(np.float32)
        assert layer.bias is not None and layer.original_bias is not None  # every layer of a network has one
        layer.bias.quantization.scale = (layer.bias_scales / old * new).astype(np.float32)
        layer.weight.quantization.scale = new
        layer.store_weight(found.steps.transpose(_ORDERS[layer.code]))
        layer.store_bias(np.round(layer.original_bias / layer.bias_scales))
