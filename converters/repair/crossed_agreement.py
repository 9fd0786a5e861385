"""How often a file would keep the float network's answers, told more steadily than by counting.

A probe of 20 photos counts in steps of 5 %: a file that keeps 95 % of all answers shows 20 of 20 one time in three. But
each image tells more than yes or no: by how much its first logit leads, and what error each of its logits has. Every
image's errors, taken by the rank of their logits, are laid on every image's logits, so 20 images make 400 cases.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RANKS = 10  # of an image's largest logits: none behind them takes the first place by rounding alone


def crossed_agreement(expected: Sequence[NDArray[np.float32]], got: Sequence[NDArray[np.float32]]) -> float:
    """Return the share of pairs (logits of one image, errors of another or itself) that keep the first place.

    `expected` and `got` are the logits [classes] of both networks for each image.
    """
    wanted, test = np.stack(expected).astype(np.float64), np.stack(got).astype(np.float64)
    order = np.argsort(-wanted, axis=1, kind="stable")[:, :RANKS]
    largest = np.take_along_axis(wanted, order, axis=1)
    errors = np.take_along_axis(test, order, axis=1) - largest
    kept = [np.count_nonzero(np.argmax(logits + errors, axis=1) == 0) for logits in largest]
    return float(sum(kept) / len(largest) ** 2)
