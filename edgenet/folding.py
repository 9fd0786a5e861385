"""Batch norm folded into the convolution before it: the form in which a network is deployed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenet.layers import Layer
from edgenet.weights.record import Weights


@dataclass(frozen=True)
class FoldedLayer:
    """A layer's weight in PyTorch's layout ([O, I, kH, kW], dense [O, I]) and its bias [O], float32."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def fold(layer: Layer, weights: Weights) -> FoldedLayer:
    """Return the weight and bias of `layer` with its batch norm folded in (computed in float64, rounded once).

    y = gamma * (conv(x) - mean) / sqrt(variance + epsilon) + beta, arXiv 1502.03167, algorithm 2.
    """
    tensors = weights.tensors
    weight = tensors[f"{layer.name}.weight"]
    if not layer.batch_norm:
        return FoldedLayer(weight, tensors[f"{layer.name}.bias"])
    beta, mean = (tensors[f"{layer.batch_norm}.{part}"].astype(np.float64) for part in ("bias", "running_mean"))
    factor = channel_factors(layer, weights)
    scaled = weight * factor.reshape(-1, *([1] * (weight.ndim - 1)))
    return FoldedLayer(scaled.astype(np.float32), (beta - mean * factor).astype(np.float32))


def channel_factors(layer: Layer, weights: Weights) -> NDArray[np.float64]:
    """Return what folding multiplies each output channel [O] of a layer's weight by; ones without a batch norm."""
    if not layer.batch_norm:
        return np.ones(layer.out_channels)
    gamma, variance = (
        weights.tensors[f"{layer.batch_norm}.{part}"].astype(np.float64) for part in ("weight", "running_var")
    )
    return np.asarray(gamma / np.sqrt(variance + weights.convention.batch_norm_epsilon))
