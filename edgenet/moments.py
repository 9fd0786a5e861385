"""What flows through a network, known from its batch norms alone: mean and variance of each layer's inputs.

A batch norm's output is taken for normal, with its shift as the mean and its scale as the standard deviation (Nagel et
al., arXiv 1906.04721, section 4.2.1); what an activation makes of that is integrated numerically.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenet.folding import fold
from edgenet.layers import Architecture, Block, Layer
from edgenet.variants import Activation
from edgenet.weights.record import Weights

Array = NDArray[np.float64]

_NODES = np.linspace(-6.0, 6.0, 241)  # standard deviations
_DENSITY = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel [C], over images and places."""

    means: Array
    variances: Array

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of a sum of two that know nothing of each other."""
        return Moments(self.means + other.means, self.variances + other.variances)

    def scaled(self, factors: Array) -> Moments:
        """Return the moments of each channel times a factor [C]."""
        return Moments(self.means * factors, self.variances * factors**2)


def input_moments(architecture: Architecture, weights: Weights) -> dict[str, Moments]:
    """Return the moments of what each layer reads, by the layer's name; the stem, which reads pixels, has none."""
    found: dict[str, Moments] = {}
    trunk = output_moments(architecture.stem, weights)
    for block in architecture.blocks:
        out = _through(block, trunk, weights, found)
        trunk = out + trunk if block.skip else out
    found[architecture.head.name] = trunk
    found[architecture.classifier.name] = output_moments(architecture.head, weights)
    return found


def _through(block: Block, entry: Moments, weights: Weights, found: dict[str, Moments]) -> Moments:
    """Note what each layer of a block reads, and return what the last one puts out."""
    x = entry
    for layer in block.before_squeeze:
        found[layer.name] = x
        x = output_moments(layer, weights)
    if block.squeeze:
        values = x
        for layer in block.squeeze:
            found[layer.name] = values
            means = _answer(layer, weights, values.means)
            values = Moments(means, np.ones_like(means))  # how much gates vary, no batch norm tells
        x = x.scaled(values.means)
    for layer in block.after_squeeze:
        found[layer.name] = x
        x = output_moments(layer, weights)
    return x


def output_moments(layer: Layer, weights: Weights) -> Moments:
    """Return the moments behind a layer's batch norm and activation."""
    scale, shift = (weights.tensors[f"{layer.batch_norm}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    values = ACTIVATIONS[layer.activation](shift[:, None] + np.abs(scale)[:, None] * _NODES)
    means = values @ _DENSITY
    return Moments(means, np.square(values - means[:, None]) @ _DENSITY)


def gate_means(squeeze: Sequence[Layer], weights: Weights, means: Array) -> Array:
    """Return what squeeze-and-excite multiplies channels [C] with where all are at their means; 1 without any."""
    if not squeeze:
        return np.ones_like(means)
    for layer in squeeze:
        means = _answer(layer, weights, means)
    return means


def _answer(layer: Layer, weights: Weights, values: Array) -> Array:
    folded = fold(layer, weights)
    kernel = folded.weight[:, :, 0, 0].astype(np.float64)
    return ACTIVATIONS[layer.activation](kernel @ values + folded.bias)


def _sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))


ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "swish": lambda values: values * _sigmoid(values),
    "relu6": lambda values: np.clip(values, 0, 6),
    "relu": lambda values: np.maximum(values, 0),
    "sigmoid": _sigmoid,
    "none": lambda values: values,
}
