"""Round weights to whole steps so that their errors cancel on what the layer sees, not each by itself."""

import numpy as np
from numpy.typing import NDArray

from converters.compensate import LARGEST

_BLOCK = 64  # columns whose errors are handed on together, by one multiplication


def round_correlated(weights: NDArray[np.float64], gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return whole steps [B, O, K] near `weights` (in steps) with a small (steps - w) gram (steps - w)^T.

    `gram` [B, K, K] must be positive definite. Column by column, from the one with the largest diagonal on, each is
    rounded where the errors of those before it have moved its best value (GPTQ: Frantar et al., arXiv 2210.17323;
    here in the form of nearest planes, which needs a Cholesky factor but no inverse: Chen et al., arXiv 2507.18553).
    """
    order = np.argsort(np.diagonal(gram, axis1=1, axis2=2), axis=1, kind="stable")[:, :, np.newaxis]
    wanted = np.take_along_axis(weights.transpose(0, 2, 1), order, axis=1)  # [B, K, O], gone through backwards
    steps = _nearest_planes(wanted, _pull(gram, order))
    result = np.empty_like(steps)
    np.put_along_axis(result, np.broadcast_to(order, steps.shape), steps, axis=1)
    return result.transpose(0, 2, 1)


def _pull(gram: NDArray[np.float64], order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how far an error of column j moves the best value of column k < j: [B, k, j].

    With gram = L L^T the cost is |L^T error|^2; row k of that is zero where the errors of the columns j > k, times
    L[j, k] / L[k, k], make up for that of column k.
    """
    rows = np.take_along_axis(gram, order, axis=1)
    lower = np.linalg.cholesky(np.take_along_axis(rows, order.transpose(0, 2, 1), axis=2))
    lower /= np.diagonal(lower, axis1=1, axis2=2)[:, np.newaxis, :].copy()
    return np.asarray(lower.transpose(0, 2, 1))


def _nearest_planes(wanted: NDArray[np.float64], pull: NDArray[np.float64]) -> NDArray[np.float64]:
    steps, error = np.zeros_like(wanted), np.zeros_like(wanted)
    for end in range(wanted.shape[1], 0, -_BLOCK):
        begin = max(0, end - _BLOCK)
        moved = wanted[:, begin:end] + pull[:, begin:end, end:] @ error[:, end:]
        for column in range(end - 1, begin - 1, -1):
            near = pull[:, column, np.newaxis, column + 1 : end] @ error[:, column + 1 : end]
            steps[:, column] = np.clip(np.round(moved[:, column - begin] + near[:, 0]), -LARGEST, LARGEST)
            error[:, column] = wanted[:, column] - steps[:, column]
    return steps
