"""Check the float graph that we wrote against an independent implementation: the tf_keras network."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from converters.runtime import Runner
from edgenet.errors import GateFailed
from edgenet.layers import Architecture
from edgenet.native_noise import quiet_native_stderr
from edgenet.preprocessing import normalize
from edgenet.weights.record import Weights

MAX_RELATIVE_ERROR = 1e-4  # float32 sums in another order differ by about 1e-6; a wrong network by about 1


def network_error(
    content: bytes, architecture: Architecture, weights: Weights, images: Sequence[NDArray[np.uint8]]
) -> float:
    """Return max |file - network| / max |network| over the logits of raw pixels [side, side, 3].

    Raise GateFailed above 1e-4: the file does not compute the network.
    """
    runner = Runner(content, os.cpu_count() or 1)
    worst = largest = 0.0
    for pixels, expected in zip(images, _network_logits(architecture, weights, images), strict=True):
        worst = max(worst, float(np.abs(runner.logits(pixels) - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
    error = worst / largest if largest else worst
    if not error <= MAX_RELATIVE_ERROR:
        raise GateFailed(
            f"the float file differs from its network by {error:.2g} of the largest logit",
            allowed=f"at most {MAX_RELATIVE_ERROR:g}",
            mend="the weights may hold NaN or overflow; with healthy weights this is a bug in edgenet",
        )
    return error


def _network_logits(
    architecture: Architecture, weights: Weights, images: Sequence[NDArray[np.uint8]]
) -> list[NDArray[np.float32]]:
    with quiet_native_stderr():
        from edgenet.network import build_network, load_weights_into

        network = build_network(architecture, form="deploy", convention=weights.convention)
        load_weights_into(network, architecture, weights)
        inputs = [normalize(pixels, weights.preprocessing)[np.newaxis] for pixels in images]
        return [network(values, training=False).numpy()[0] for values in inputs]
