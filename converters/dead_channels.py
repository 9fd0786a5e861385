"""Give channels whose weights are all but zero a scale that their bias fits.

Training with weight decay leaves channels that give a constant, their bias: weights of 1e-9 beside a bias of 1. At the
scale of such weights the bias is far beyond 32 bits. It would be cut off, or, by a processor's cast, change its sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.flatbuffer import Model
from converters.quantized_layers import Layer, layers

LARGEST_BIAS = 2.0**30  # in steps; half of what 32 bits hold, so that what is corrected later fits as well


def widen_tiny_scales(model: Model, original: Model) -> None:
    """Raise each weight scale under which a bias of `model` takes more than 2**30 steps, in place.

    The weights of such a channel are rounded anew, nearly all to 0: they are what the bias is not, negligible.
    """
    for layer in layers(model, original):
        if layer.bias is None or layer.original_bias is None:
            continue
        factor = np.abs(layer.original_bias) / layer.bias_scales / LARGEST_BIAS
        if factor.max() > 1:
            _rescale(layer, layer.original_bias, np.maximum(factor, 1.0))


def _rescale(layer: Layer, bias: NDArray[np.float32], factor: NDArray[np.float64]) -> None:
    assert layer.bias is not None
    if layer.weight_scales.size == 1:  # one scale for all channels
        factor = factor.max(keepdims=True)
    widened = factor > 1
    layer.weight.quantization.scale = (layer.weight_scales.reshape(-1) * factor).astype(np.float32)
    layer.bias.quantization.scale = (layer.bias_scales * factor).astype(np.float32)
    along = np.broadcast_to(widened.reshape(layer.weight_scales.shape), layer.original.shape)
    layer.store_weight(np.where(along, np.round(layer.original / layer.weight_scales), layer.weight_steps))
    layer.store_bias(np.where(widened, np.round(bias / layer.bias_scales), layer.bias_steps))
