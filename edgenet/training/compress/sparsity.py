"""Which weights become zero: the smallest of a kernel, or two of every four along its inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP, GROUP_ZEROS = 4, 2  # 2:4


def magnitude_mask(kernel: NDArray[np.float32], sparsity: float) -> NDArray[np.float32]:
    """Return 0 for that share of a kernel's weights which are the smallest, 1 for the others, in its shape.

    Zeros are the smallest of all: a weight that was masked stays so while the share does not fall.
    """
    mask = np.ones(kernel.size, np.float32)
    zeros = round(sparsity * kernel.size)
    if zeros:
        mask[np.argpartition(np.abs(kernel).ravel(), zeros - 1)[:zeros]] = 0
    return mask.reshape(kernel.shape)


def grouped_mask(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 2:4 mask of a Keras kernel [kH, kW, I, O] or [I, O]: 0 for the two smallest of four inputs.

    A last group of fewer than four inputs keeps two of them.
    """
    inputs, outputs = kernel.shape[-2:]
    rows = np.abs(kernel).reshape(-1, inputs, outputs)
    padded = np.pad(rows, ((0, 0), (0, -inputs % GROUP), (0, 0)), constant_values=-1)  # is masked first
    groups = padded.reshape(len(rows), -1, GROUP, outputs)
    rank = np.argsort(np.argsort(groups, axis=2, kind="stable"), axis=2, kind="stable")
    mask = (rank >= GROUP_ZEROS).astype(np.float32)
    return mask.reshape(len(rows), -1, outputs)[:, :inputs].reshape(kernel.shape)


def zero_share(arrays: list[NDArray[np.float32]]) -> float:
    """Return the share of zeros in all arrays together."""
    return float(sum(int((array == 0).sum()) for array in arrays) / sum(array.size for array in arrays))
