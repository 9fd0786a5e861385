"""Round int8 weights anew to 7 bits, for x86 without VNNI.

Its one instruction for u8 * s8 adds two products in 16 bits and saturates: 255 * 127 * 2 does not fit, 255 * 64 * 2
does. The scales double, the weights are rounded from the float ones like those of 8 bits (`compensate.py`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.compensate import keep_kernel_sums, mean_effect
from converters.flatbuffer import Model
from converters.quantized_layers import Layer, layers


def round_to_seven_bits(model: Model, original: Model, means: dict[str, NDArray[np.float64]]) -> None:
    """Make the int8 weights of a full-integer model take -64 to 64 with twice the scale, in place.

    `original` is its float model and `means` holds E[x] of each channel [C] of the layers' inputs by name: what the new
    rounding does to the mean of each output is taken off its bias.
    """
    before = {layer.output_name: layer.weight_steps * layer.weight_scales for layer in layers(model, original)}
    for layer in layers(model, original):
        _double_scales(layer)
        layer.store_weight(np.round(layer.original / layer.weight_scales))
    keep_kernel_sums(model, original)
    for layer in layers(model, original):
        if layer.bias is not None and layer.input_name in means:
            change = layer.weight_steps * layer.weight_scales - before[layer.output_name]
            shift = mean_effect(layer.code, change, means[layer.input_name])
            layer.store_bias(layer.bias_steps - np.round(shift / layer.bias_scales))


def _double_scales(layer: Layer) -> None:
    layer.weight.quantization.scale = (2 * layer.weight_scales.reshape(-1)).astype(np.float32)
    if layer.bias is not None:
        steps = np.round(layer.bias_steps / 2)
        layer.bias.quantization.scale = (2 * layer.bias_scales).astype(np.float32)
        layer.store_bias(steps)
