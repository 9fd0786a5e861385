"""Answer a photo through exactly the file that is deployed: crop, run, name the best classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.loaded import LoadedModel

BEST = 5


@dataclass(frozen=True)
class Answer:
    """One class: its logit, and its softmax share among all classes."""

    index: int
    label: str
    logit: float
    probability: float


def class_names(labels: Sequence[str], num_classes: int) -> tuple[str, ...]:
    """Return the labels, or `class 0`, `class 1`, ... where there are none."""
    return tuple(labels) or tuple(f"class {index}" for index in range(num_classes))


def best_answers(logits: NDArray[np.float32], labels: Sequence[str]) -> tuple[Answer, ...]:
    """Return the five best classes, the best first; of equal ones the lower index is."""
    order = np.argsort(-logits, kind="stable")[:BEST]
    shares = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares /= shares.sum()
    return tuple(Answer(int(index), labels[index], float(logits[index]), float(shares[index])) for index in order)


def classify(runner: LoadedModel, pixels: NDArray[np.uint8], labels: Sequence[str]) -> tuple[Answer, ...]:
    """Run a file on raw pixels [side, side, 3] and return its five best classes."""
    return best_answers(runner.logits(pixels), labels)
