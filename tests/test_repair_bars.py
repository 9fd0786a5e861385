"""What a repair has to keep of the float network's answers: the bars that users were promised, on 200 ImageNet photos.

The figures are those of `python -m benchmarks.peers.repair_bars`, which prints them.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers.repair_bars import BUILTIN_BARS, INTEGER, MIN_MAX, MIXED, PHOTO_BARS, measure, reached
from tests.test_photo_bars import PHOTOS, SWISH_WEIGHTS


@dataclass(frozen=True)
class Case:
    """A network, and where its calibration images are from."""

    id: str
    variant: str
    weights: str
    builtin: bool


CASES = [
    Case("b0 on photos", "b0", str(SWISH_WEIGHTS), False),
    Case("lite0 on procedural images", "lite0", "packaged", True),
    Case("lite1 on procedural images", "lite1", "packaged", True),
    Case("lite2 on procedural images", "lite2", "packaged", True),
]


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs real photos at ../shared/data/imagenet-sample")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_repaired_files_keep_the_answers(case: Case) -> None:
    given = argparse.Namespace(
        folder=Path(PHOTOS), variant=case.variant, weights=case.weights, builtin=case.builtin, folds=2
    )
    rows, _ = measure(given)
    bars = BUILTIN_BARS if case.builtin else PHOTO_BARS
    missed = [row.name for row in rows if not reached(row, bars)]
    assert not missed
    decibels = {row.name: row.comparison.result().sqnr_db for row in rows}
    assert decibels[MIN_MAX] < decibels[INTEGER] <= decibels[MIXED]
    assert all(share <= 0.15 for row in rows for share in row.shares)
