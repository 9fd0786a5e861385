"""The 8-bit steps of weights, as quantization-aware training and the file that follows from it have them.

A weight is rounded to whole steps of its channel's scale, symmetric around 0. Folding a batch norm multiplies a channel
by one number, so that its steps stay, but for a sign, and its scale takes the factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenet.folding import channel_factors
from edgenet.layers import Layer
from edgenet.weights.record import Weights

LARGEST_STEP = 127  # int8 weights are symmetric: -128 is not used


@dataclass(frozen=True)
class TrainedWeight:
    """A folded weight as whole `steps` [O, ...] of `scales` [O], 0 where folding leaves nothing of a channel."""

    steps: NDArray[np.int8]
    scales: NDArray[np.float64]


def weight_scales(weight: NDArray[np.float32], *, one_scale: bool = False) -> NDArray[np.float32]:
    """Return the scale of each channel [O] of a weight [O, ...]; with `one_scale` all have that of the largest."""
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    if one_scale:
        largest[:] = largest.max()
    return np.where(largest > 0, largest / np.float32(LARGEST_STEP), np.float32(1))


def trained_weight(
    layer: Layer, weights: Weights, *, one_scale: bool, input_std: tuple[float, ...] = ()
) -> TrainedWeight:
    """Return a layer's weight as training rounded it, its batch norm folded in.

    `input_std` is given for a stem that divides its input channels by it.
    """
    weight = weights.tensors[f"{layer.name}.weight"]
    if input_std:
        weight = weight / np.asarray(input_std, np.float32).reshape(1, -1, 1, 1)
    scales, factors = weight_scales(weight, one_scale=one_scale), channel_factors(layer, weights)
    along = (-1, *[1] * (weight.ndim - 1))
    # In float32, like the training: in other arithmetic a weight between two steps could fall to the other side.
    steps = np.rint(weight / scales.reshape(along)) * np.sign(factors).reshape(along)
    return TrainedWeight(steps.astype(np.int8), np.asarray(scales * np.abs(factors), np.float64))
