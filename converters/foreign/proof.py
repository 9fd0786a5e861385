"""Hold our network against the model that it was read from, on the same images."""

import os

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.runtime import Runner
from edgenet.errors import GateFailed
from edgenet.weights.record import Weights

MAX_RELATIVE_ERROR = 1e-4  # float32 sums in another order differ by about 1e-6; a wrong layer by about 1
SMALLEST_SHARE = 1e-30  # a float32 holds no smaller one with all its digits
SHARE_ERROR = 5e-7  # a softmax in float32 leaves so much of a logit open, whatever its size


def prove(weights: Weights, pixels: NDArray[np.uint8], answers: NDArray[np.float32], softmax: bool) -> str:
    """Return a note of how near our logits [N, classes] of raw pixels [N, side, side, 3] come to the model's `answers`.

    Raise GateFailed above 1e-4 of the largest logit. Behind a softmax the logits are compared up to a constant, which
    is all that it leaves of them.
    """
    runner = Runner(flatbuffer.write(build_float(weights.architecture(), weights, FLOAT_ENTRY)), os.cpu_count() or 1)
    ours = np.stack([runner.logits(row) for row in pixels]).astype(np.float64)
    theirs = answers.astype(np.float64).reshape(ours.shape)
    if softmax:
        ours, theirs = _behind_softmax(ours, theirs, weights.origin)
    largest = float(np.abs(theirs).max())
    if softmax and largest * MAX_RELATIVE_ERROR < SHARE_ERROR:
        raise GateFailed(
            f"{weights.origin} answers nearly the same for every class: its logits are within {2 * largest:.1e}, which "
            "its softmax rounds away",
            allowed=f"{SHARE_ERROR / MAX_RELATIVE_ERROR:g} or more from their mean",
            mend="was it trained, and on pixels like these? Without its softmax it can be held against ours",
        )
    error = float(np.abs(ours - theirs).max()) / (largest or 1.0)
    if not error <= MAX_RELATIVE_ERROR:
        raise GateFailed(
            f"{weights.origin} looks like {weights.variant.name}, but that network with its weights answers otherwise: "
            f"{error:.2g} of the largest logit",
            allowed=f"at most {MAX_RELATIVE_ERROR:g}",
            mend="something between its layers is another; does it compute in float16, or was its graph changed?",
        )
    return f"proved against the model itself on {len(pixels)} images: logits equal within {error:.1e} of the largest"


def _behind_softmax(
    logits: NDArray[np.float64], shares: NDArray[np.float64], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as logits less their mean over the classes of an image that have a share at all, flat.

    Raise GateFailed where no image leaves two such classes: answers of nothing but 0 and 1 would prove nothing.
    """
    pairs = [
        (row[kept] - row[kept].mean(), np.log(share[kept]) - np.log(share[kept]).mean())
        for row, share in zip(logits, shares, strict=True)
        if (kept := share > SMALLEST_SHARE).sum() > 1
    ]
    if not pairs:
        raise GateFailed(
            f"{name} answers with nothing but 0 and 1, which proves nothing",
            mend="save the model without its softmax: it should give logits",
        )
    return np.concatenate([ours for ours, _ in pairs]), np.concatenate([theirs for _, theirs in pairs])
