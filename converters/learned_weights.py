"""Give a quantized model the weights of quantization-aware training: the steps that the network was trained with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.flatbuffer import Model
from converters.quantized_layers import layers
from edgenet.trained_steps import LARGEST_STEP


def set_weight_scales(model: Model, original: Model, scales: dict[str, NDArray[np.float64]]) -> None:
    """Round the weights of each layer of `model` to the nearest steps of given scales [O], in place.

    A channel that folding made 0 keeps the scale that it has.
    """
    for layer in layers(model, original):
        old = layer.weight_scales.reshape(-1)
        wanted = scales[layer.output_name]
        new = np.where(wanted > 0, wanted, old).astype(np.float32).astype(np.float64)
        assert layer.bias is not None and layer.original_bias is not None  # every layer of a network has one
        bias_scales = layer.bias_scales / old * new
        layer.weight.quantization.scale = new.astype(np.float32)
        layer.bias.quantization.scale = bias_scales.astype(np.float32)
        layer.store_weight(np.clip(np.round(layer.original / layer.weight_scales), -LARGEST_STEP, LARGEST_STEP))
        layer.store_bias(np.round(layer.original_bias / layer.bias_scales))
