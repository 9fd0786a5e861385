"""Crossed agreement: every image's errors, by rank, on every image's logits."""

from dataclasses import dataclass

import numpy as np
import pytest

from converters.repair.crossed_agreement import RANKS, crossed_agreement


@dataclass(frozen=True)
class Case:
    """Logits of the float network and of a file [images, classes], and the share of the crossed cases that are kept."""

    expected: list[list[float]]
    got: list[list[float]]
    share: float


CASES = {
    "equal": Case([[3, 1, 0], [0, 5, 1]], [[3, 1, 0], [0, 5, 1]], 1.0),
    # The first image's runner-up gains 3. It leads by 2 there and by 4 in the other: one of four cases is lost.
    "a flip that another image would stand": Case([[3, 1, 0], [0, 5, 1]], [[3, 4, 0], [0, 5, 1]], 3 / 4),
    # The same error on the image that leads by 4 flips none there, but would flip the other: counting shows 2 of 2.
    "no flip, but one that others would not stand": Case([[3, 1, 0], [0, 5, 1]], [[3, 1, 0], [0, 5, 4]], 3 / 4),
    "classes do not matter, ranks do": Case([[3, 1, 0], [1, 0, 3]], [[0, 1, 0], [1, 0, 0]], 0.0),
    "what all logits have in common changes nothing": Case([[3, 1], [0, 5]], [[13, 11], [7, 12]], 1.0),
    "one image": Case([[2, 1]], [[1, 2]], 0.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_share_of_crossed_cases_that_keep_the_first_place(case: Case) -> None:
    expected, got = (list(np.asarray(rows, dtype=np.float32)) for rows in (case.expected, case.got))
    assert crossed_agreement(expected, got) == case.share


def test_it_tells_the_true_share_more_closely_than_counting() -> None:
    """Of 200 draws of 20 images, the spread around the share that 100 000 images show."""
    random = np.random.default_rng(3)

    def draw(images: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        logits = random.normal(0, 2, (images, 2 * RANKS))
        return list(logits), list(logits + random.normal(0, 0.1, logits.shape))

    def counted(expected: list[np.ndarray], got: list[np.ndarray]) -> float:
        return float(np.mean([one.argmax() == other.argmax() for one, other in zip(expected, got, strict=True)]))

    truth = counted(*draw(100_000))
    draws = [draw(20) for _ in range(200)]
    by_counting, by_crossing = (
        np.sqrt(np.mean([(tell(*row) - truth) ** 2 for row in draws])) for tell in (counted, crossed_agreement)
    )
    assert by_crossing < 0.8 * by_counting
