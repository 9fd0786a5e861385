"""Every kind of layer as batches of dense ones: B inputs sets of K values, each with O outputs of its own.

A convolution is one batch, a depthwise one has a batch for each channel of its input. So one solver serves all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.quantized_layers import Op


@dataclass(frozen=True)
class Batched:
    """How a layer's own shapes become batches and back; `shape` is that of its weights."""

    code: int
    shape: tuple[int, ...]
    channels: int  # of the input of a depthwise layer, else of no use

    @property
    def inputs(self) -> int:
        """Return K, the number of values that one output is made of."""
        size = int(np.prod(self.shape))
        return size // self.shape[3 if self.code == Op.DEPTHWISE_CONV_2D else 0]

    def weights(self, own: NDArray[Any]) -> NDArray[Any]:
        """Return weights in the layer's own shape as [B, O, K]."""
        if self.code == Op.DEPTHWISE_CONV_2D:
            return own.reshape(self.inputs, self.channels, -1).transpose(1, 2, 0)
        return own.reshape(1, own.shape[0], -1)

    def own(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Return weights [B, O, K] in the layer's own shape."""
        if self.code == Op.DEPTHWISE_CONV_2D:
            return weights.transpose(2, 0, 1).reshape(self.shape)
        return weights.reshape(self.shape)

    def seen(self, patches: NDArray[Any]) -> NDArray[Any]:
        """Return patches [P, kH * kW, C] as [B, P, K]."""
        if self.code == Op.DEPTHWISE_CONV_2D:
            return patches.transpose(2, 0, 1)
        return patches.reshape(1, len(patches), -1)

    def outputs(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return outputs [P, channels] as [B, P, O]."""
        if self.code == Op.DEPTHWISE_CONV_2D:
            return values.reshape(len(values), self.channels, -1).transpose(1, 0, 2)
        return values[np.newaxis]
