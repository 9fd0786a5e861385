"""Make the rounding of int8 weights hurt less, at no cost in the file: no op, no byte more.

Rounding each weight to the nearest step leaves errors that add up. Two closed-form remedies take most of them away:

1. Kernel sums are kept. What a k x k kernel sees of a photo is mostly smooth, so the SUM of its rounding errors counts
   far more than each one. Where the sum is off by more than half a step, the weights that were closest to the other
   side are rounded the other way (`keep_kernel_sums`). This needs no data.
2. Biases are corrected. What the remaining error does to the mean of each output channel, (Wq - W) * E[x], is taken
   off the bias (`correct_biases`; Nagel et al., arXiv 1906.04721, section 4.2, with E[x] measured in calibration).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from converters.flatbuffer import Model
from converters.quantized_layers import Op, layers

LARGEST = 127  # int8 weights are symmetric: -128 is not used


def every_layer(output_name: str) -> bool:
    """Choose every layer."""
    del output_name
    return True


def keep_kernel_sums(model: Model, original: Model, chosen: Callable[[str], bool] = every_layer) -> None:
    """Round the weights of each k x k kernel of `model` so that their sum stays within half a step, in place.

    `chosen` tells by the name of its output whether a layer's are.
    """
    for layer in layers(model, original):
        if not chosen(layer.output_name):
            continue
        if layer.code == Op.FULLY_CONNECTED or layer.original.shape[1:3] == (1, 1):
            continue
        steps = layer.original / layer.weight_scales  # [O, kH, kW, I] or [1, kH, kW, C]
        outer, high, wide, inner = steps.shape
        kernels = steps.transpose(0, 3, 1, 2).reshape(-1, high * wide)
        rounded = _round_keeping_sums(kernels).reshape(outer, inner, high, wide).transpose(0, 2, 3, 1)
        layer.store_weight(rounded)


def _round_keeping_sums(kernels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round real steps [N, K] to whole ones, each row's sum within half a step of its own."""
    rounded = np.round(kernels)
    error = rounded - kernels
    excess = np.round(error.sum(axis=1))
    direction = np.sign(excess)
    # The weights whose error points most in the direction of the excess are those closest to rounding the other way.
    order = np.argsort(-error * direction[:, None], axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    flipped = rounded - np.where(rank < np.abs(excess)[:, None], direction[:, None], 0)
    return np.clip(flipped, -LARGEST, LARGEST)


def correct_biases(model: Model, original: Model, means: dict[str, NDArray[np.float64]]) -> None:
    """Take the mean effect of the weights' rounding off each quantized bias of `model`, in place.

    `means` holds E[x] of each channel [C] of the layers' inputs by their name in the float model.
    """
    for layer in layers(model, original):
        if layer.bias is None or layer.input_name not in means:
            continue
        error = layer.weight_steps * layer.weight_scales - layer.original
        shift = mean_effect(layer.code, error, means[layer.input_name])
        layer.store_bias(layer.bias_steps - np.round(shift / layer.bias_scales))


def mean_effect(code: int, error: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a weight error does to the mean of each output channel [O]."""
    if code == Op.DEPTHWISE_CONV_2D:
        multiplier = error.shape[3] // len(mean)
        return np.asarray(error.sum(axis=(0, 1, 2)) * np.repeat(mean, multiplier))
    if code == Op.CONV_2D:
        return np.asarray(error.sum(axis=(1, 2)) @ mean)
    return np.asarray(error @ np.tile(mean, error.shape[1] // len(mean)))  # a dense layer flattens what it reads
