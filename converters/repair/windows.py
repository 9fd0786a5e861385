"""What a layer sees: the window of its input behind one place of its output, and the places that are sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.calibration_source import stretches
from converters.quantized_layers import Op

Pair = tuple[int, int]  # rows, columns


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution; a dense layer is one over [rows, 1, K] with a kernel of 1 x 1."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair  # rows above and columns left of the input that padding adds
    places: Pair  # of the output

    def draw(self, wanted: int, layer: int, image: int) -> NDArray[np.intp]:
        """Return up to `wanted` places of the output [P], spread evenly and drawn by the two numbers."""
        count = math.prod(self.places)
        return np.asarray([row.first for row in stretches(count, wanted, layer * 2**32 + image)], dtype=np.intp)

    def patches(self, values: NDArray[Any], places: NDArray[np.intp], padding: int) -> NDArray[Any]:
        """Return what is seen of `values` [H, W, C] from each place: [P, kH * kW, C]."""
        rows, inside_rows = self._along(0, places // self.places[1], values.shape[0])
        columns, inside_columns = self._along(1, places % self.places[1], values.shape[1])
        seen = values[rows[:, :, np.newaxis], columns[:, np.newaxis, :]]
        seen[~(inside_rows[:, :, np.newaxis] & inside_columns[:, np.newaxis, :])] = padding
        return np.asarray(seen.reshape(len(places), -1, values.shape[2]))

    def _along(self, axis: int, places: NDArray[np.intp], size: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the indices [P, k] that are seen along an axis of `size`, and which of them lie inside."""
        steps = np.arange(self.kernel[axis]) * self.dilation[axis]
        index = places[:, np.newaxis] * self.stride[axis] - self.before[axis] + steps
        return np.clip(index, 0, size - 1), (index >= 0) & (index < size)


def window_of(code: int, operator: Any, source: list[int], weight: tuple[int, ...], output: list[int]) -> Window:
    """Return the window of a weighted op from the shapes of its input, its weights and its output."""
    if code == Op.FULLY_CONNECTED:
        return Window((1, 1), (1, 1), (1, 1), (0, 0), (math.prod(source) // weight[1], 1))
    options = operator.builtinOptions
    kernel, places = (weight[1], weight[2]), (output[1], output[2])
    stride = (int(options.strideH), int(options.strideW))
    dilation = (int(options.dilationHFactor or 1), int(options.dilationWFactor or 1))
    if options.padding == schema.Padding.VALID:
        return Window(kernel, stride, dilation, (0, 0), places)
    high, wide = (
        max((places[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - source[1 + axis], 0) // 2
        for axis in (0, 1)
    )
    return Window(kernel, stride, dilation, (high, wide), places)
