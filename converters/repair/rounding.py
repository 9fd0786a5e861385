"""The best int8 weights of one layer for what its samples say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.repair.gptq import round_correlated
from converters.repair.second_moments import Moments

# Shares of the mean variance of the inputs. All but the last were found by measurement on the distilled b0: less lets
# layers with few samples for their many inputs learn the samples instead of the task.
PULL = 0.1  # holds the weights near the float ones
PULL_SCARCE = 100.0  # the same, for each input a sample over SCARCE
DAMPING_SCARCE = 5.0  # of the covariance that the errors are spread over, likewise
DAMPING = 0.01
SCARCE = 0.02  # inputs a sample from which on the covariance is not to be trusted in full
NOTHING = 1e-9  # squared steps: the variance that a constant input is taken to have


def learn_steps(
    moments: Moments, wanted: NDArray[np.float64], old: NDArray[np.float64], scales: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weights [B, O, K] in whole steps that give the wanted outputs best.

    `wanted` are the float weights in steps, `old` the steps so far, which stay for each output where they are no worse
    on the samples; `scales` [B, O, 1] turn input step times weight step into real outputs.
    """
    inputs = moments.gram.shape[-1]
    scarcity = max(0.0, inputs / moments.count - SCARCE)
    mean = np.trace(moments.gram, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] / inputs + NOTHING
    cross = moments.cross / scales
    pull = (PULL + PULL_SCARCE * scarcity) * mean
    best = np.linalg.solve(_raised(moments.gram, pull), (cross + pull * wanted).transpose(0, 2, 1)).transpose(0, 2, 1)
    new = round_correlated(best, _raised(moments.gram, (DAMPING + DAMPING_SCARCE * scarcity) * mean))
    better = _cost(moments, cross, new) < _cost(moments, cross, old)
    return np.where(better[:, :, np.newaxis], new, old)


def _raised(gram: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a copy with `by` [B, 1, 1] added to the diagonals."""
    raised = gram.copy()
    diagonal = np.arange(gram.shape[-1])
    raised[:, diagonal, diagonal] += by[:, :, 0]
    return raised


def _cost(moments: Moments, cross: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squared error [B, O] of each output but for a constant; the bias is taken to be the best."""
    return np.asarray(((steps @ moments.gram - 2 * cross) * steps).sum(axis=2))
