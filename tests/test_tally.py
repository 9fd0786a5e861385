"""The counts of an evaluation against sums done by hand, and parts against the whole."""

import numpy as np
import pytest

from benchmarks.accuracy.figures import calibration_error, class_records, share
from benchmarks.accuracy.tally import Tally, tally
from edgenet.errors import GateFailed


def _logits(*shares: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return logits whose softmax are these shares."""
    return np.log(np.array(shares, np.float32))


# The confidences are 0.9 (right), 0.5 (wrong), 0.8 (right) and 0.6 (wrong).
SHARES = ([0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6])
LABELS = np.array([0, 2, 1, 1])


def test_counts_and_calibration_error_by_hand() -> None:
    found = tally("a.tflite", _logits(*SHARES), LABELS, softmax=False, reference=None)
    assert (found.images, found.top1, found.top5) == (4, 2, 4)
    assert found.answers == {(0, 0): 1, (2, 0): 1, (1, 1): 1, (1, 2): 1}
    # One image a bin: (|1 - 0.9| + |0 - 0.5| + |1 - 0.8| + |0 - 0.6|) / 4
    assert calibration_error(found).expected == pytest.approx(1.4 / 4, abs=1e-6)


def test_a_bin_takes_the_difference_of_its_means() -> None:
    found = tally("a.tflite", _logits([0.62, 0.38], [0.66, 0.34]), np.array([0, 1]), softmax=False, reference=None)
    bins = [row for row in calibration_error(found).bins if row.images]
    assert [(row.images, row.accuracy) for row in bins] == [(2, 0.5)]  # both within (9/15, 10/15]
    assert bins[0].mean_confidence == pytest.approx(0.64)
    assert calibration_error(found).expected == pytest.approx(0.14)


@pytest.mark.parametrize(("confidence", "place"), [(1.0, 14), (0.5, 7), (2 / 15 + 1e-6, 2), (2 / 15 - 1e-6, 1)])
def test_bins_are_open_below_and_closed_above(confidence: float, place: int) -> None:
    found = tally("a.tflite", np.array([[confidence, 0.0]], np.float32), np.array([0]), softmax=True, reference=None)
    assert found.bin_images.tolist().index(1) == place


def test_the_bins_of_an_independent_count() -> None:
    """The same as a plain loop over images and bins."""
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 3, (400, 7)).astype(np.float32)
    labels = generator.integers(0, 7, 400)
    chances = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (chances.max(axis=1) > low) & (chances.max(axis=1) <= low + 1 / 15)
        if inside.any():
            right = (chances.argmax(axis=1) == labels)[inside].mean()
            expected += inside.mean() * abs(right - chances.max(axis=1)[inside].mean())
    found = tally("a.tflite", logits, labels, softmax=False, reference=None)
    assert calibration_error(found).expected == pytest.approx(expected, rel=1e-9)


def test_a_softmax_is_not_taken_twice() -> None:
    shares = np.array(SHARES, np.float32)
    once = tally("a.tflite", shares, LABELS, softmax=True, reference=None)
    again = tally("a.tflite", _logits(*SHARES), LABELS, softmax=False, reference=None)
    assert calibration_error(once).expected == pytest.approx(calibration_error(again).expected, abs=1e-6)


def test_parts_in_order_are_the_whole() -> None:
    generator = np.random.default_rng(3)
    logits, labels = generator.normal(0, 2, (90, 6)).astype(np.float32), generator.integers(0, 6, 90)
    reference = logits + generator.normal(0, 0.5, logits.shape).astype(np.float32)
    whole = tally("a.tflite", logits, labels, softmax=False, reference=reference)
    parts = Tally()
    for begin in range(0, 90, 7):
        part = slice(begin, begin + 7)
        parts.merge(tally("a.tflite", logits[part], labels[part], softmax=False, reference=reference[part]))
    assert (parts.images, parts.top1, parts.top5, parts.answers) == (
        whole.images, whole.top1, whole.top5, whole.answers,
    )  # fmt: skip
    assert parts.bin_images.tolist() == whole.bin_images.tolist()
    assert parts.bin_confidence == pytest.approx(whole.bin_confidence)
    assert parts.comparison is not None
    assert whole.comparison is not None
    ours, theirs = parts.comparison.result(), whole.comparison.result()
    assert (ours.agreement, ours.accuracy, ours.max_abs_error) == (
        theirs.agreement, theirs.accuracy, theirs.max_abs_error,
    )  # fmt: skip
    assert ours.sqnr_db == pytest.approx(theirs.sqnr_db)


def test_classes_have_recall_and_precision() -> None:
    rows = class_records({(0, 0): 3, (0, 1): 1, (2, 1): 2}, {0: "cat", 1: "dog"})
    assert [(row.label, row.answers, row.precision) for row in rows] == [
        ("cat", 3, 1.0),
        ("dog", 3, 0.0),
        ("2", 0, None),
    ]
    assert [row.recall and (row.recall.hits, row.recall.images) for row in rows] == [(3, 4), None, (0, 2)]


def test_shares_have_wilson_intervals() -> None:
    # From the formula: (0.8 + z²/20 ± z √(0.016 + z²/400)) / (1 + z²/10) with z = 1.96.
    found = share(8, 10)
    assert (round(found.low, 4), round(found.high, 4)) == (0.4902, 0.9433)


def test_answers_that_are_no_numbers_fail() -> None:
    with pytest.raises(GateFailed, match=r"a\.tflite answers with NaN"):
        tally("a.tflite", np.array([[np.nan, 1]], np.float32), np.array([0]), softmax=False, reference=None)
