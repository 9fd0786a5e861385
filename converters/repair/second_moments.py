"""What least squares needs of a layer's samples: means, the covariance of its inputs, and that with its outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXACT = 1024  # products of int8 that float32 adds without rounding: 128 * 128 * 1024 = 2**24


@dataclass(frozen=True)
class Moments:
    """Of `count` samples: inputs in steps of 8 bits, outputs in real numbers."""

    count: int
    gram: NDArray[np.float64]  # covariance of the inputs [B, K, K]
    cross: NDArray[np.float64]  # covariance of outputs and inputs [B, O, K]
    input_mean: NDArray[np.float64]  # [B, K]
    output_mean: NDArray[np.float64]  # [B, O]


class MomentSums:
    """Sums over samples that come in portions; portions are collected until they are worth a multiplication."""

    def __init__(self, batches: int, outputs: int, inputs: int) -> None:
        self._count = self._waiting = 0
        self._portions: list[tuple[NDArray[np.int8], NDArray[np.float32]]] = []
        self._gram = np.zeros((batches, inputs, inputs))
        self._cross = np.zeros((batches, outputs, inputs))
        self._input = np.zeros((batches, inputs))
        self._output = np.zeros((batches, outputs))

    def add(self, inputs: NDArray[np.int8], outputs: NDArray[np.float32]) -> None:
        """Take in samples: inputs [B, P, K] and outputs [B, P, O]."""
        if self._waiting + inputs.shape[1] > EXACT:
            self._multiply()
        self._portions.append((inputs, outputs))
        self._waiting += inputs.shape[1]

    def _multiply(self) -> None:
        if not self._portions:
            return
        x = np.concatenate([row for row, _ in self._portions], axis=1).astype(np.float32)
        y = np.concatenate([row for _, row in self._portions], axis=1).astype(np.float64)
        self._count, self._waiting, self._portions = self._count + x.shape[1], 0, []
        self._gram += x.transpose(0, 2, 1) @ x
        self._cross += y.transpose(0, 2, 1) @ x.astype(np.float64)
        self._input += x.sum(axis=1, dtype=np.float64)
        self._output += y.sum(axis=1)

    def moments(self) -> Moments:
        """Return the moments of all samples."""
        self._multiply()
        x, y = self._input / self._count, self._output / self._count
        gram = self._gram / self._count - x[:, :, np.newaxis] * x[:, np.newaxis, :]
        cross = self._cross / self._count - y[:, :, np.newaxis] * x[:, np.newaxis, :]
        return Moments(self._count, gram, cross, x, y)
