"""The scale of each weight's 8-bit steps, as quantization-aware training and the file that follows from it have it.

A weight is rounded to whole steps of its channel's scale, symmetric around 0. Folding a batch norm multiplies a channel
by one number, so that the steps stay and the scale takes the factor: the file holds the steps of the training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgenet.folding import channel_factors
from edgenet.layers import Layer
from edgenet.weights.record import Weights

LARGEST_STEP = 127  # int8 weights are symmetric: -128 is not used


def weight_scales(weight: NDArray[np.float32], *, one_scale: bool = False) -> NDArray[np.float64]:
    """Return the scale of each channel [O] of a weight [O, ...]; with `one_scale` all have that of the largest."""
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1).astype(np.float64)
    if one_scale:
        largest[:] = largest.max()
    return np.asarray(largest / LARGEST_STEP)


def folded_scales(
    layer: Layer, weights: Weights, *, one_scale: bool, input_std: tuple[float, ...] = ()
) -> NDArray[np.float64]:
    """Return the scales [O] of a layer's weights as a file holds them, its batch norm folded in.

    `input_std` is given for a stem that divides its input channels by it.
    """
    weight = weights.tensors[f"{layer.name}.weight"]
    if input_std:
        weight = weight / np.asarray(input_std, np.float32).reshape(1, -1, 1, 1)
    return weight_scales(weight, one_scale=one_scale) * np.abs(channel_factors(layer, weights))
