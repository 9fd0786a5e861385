"""Statistics of a verification against published examples, closed forms and counts by hand."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edgenet.agreement import Agreement, Comparison, in_top_k, paired_drop, proportion, sqnr_db, top1
from edgenet.errors import GateFailed, InputError


@dataclass(frozen=True)
class Score:
    """A count and its published interval."""

    hits: int
    images: int
    low: float
    high: float


# R. G. Newcombe, Statistics in Medicine 17, 1998, p. 857, table I, method 3 (score interval, no continuity correction).
SCORES = [
    Score(81, 263, 0.2553, 0.3662),
    Score(15, 148, 0.0624, 0.1605),
    Score(0, 20, 0.0, 0.1611),
    Score(1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize("case", SCORES, ids=lambda case: f"{case.hits}-of-{case.images}")
def test_the_interval_of_a_share_is_the_published_one(case: Score) -> None:
    share = proportion(case.hits, case.images)
    assert (share.low, share.high) == pytest.approx((case.low, case.high), abs=5e-5)
    assert share.fraction == case.hits / case.images
    opposite = proportion(case.images - case.hits, case.images)
    assert (1 - opposite.high, 1 - opposite.low) == pytest.approx((share.low, share.high), abs=1e-12)


@pytest.mark.parametrize("images", [1, 2, 16, 200, 50_000])
def test_the_interval_of_a_share_stays_between_0_and_1(images: int) -> None:
    for hits in {0, 1, images // 2, images - 1, images}:
        share = proportion(hits, images)
        assert 0 <= share.low <= share.fraction <= share.high <= 1
        assert (share.low == 0, share.high == 1) == (hits == 0, hits == images)


def test_the_interval_of_a_drop_is_the_published_one() -> None:
    # Cavo et al. (2012) in Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8:
    # estimate -0.0621, Newcombe's square-and-add interval -0.1186 to -0.0046.
    drop = paired_drop(both=59, only_reference=6, only_test=16, neither=80)
    assert (drop.points, drop.low_points, drop.high_points) == pytest.approx((-6.21, -11.86, -0.46), abs=5e-3)
    assert (drop.only_reference_right, drop.only_test_right) == (6, 16)


def test_the_interval_of_a_drop_on_many_images_is_the_textbook_one() -> None:
    both, only_reference, only_test, neither = 700_000, 60_000, 40_000, 200_000
    images = both + only_reference + only_test + neither
    drop = paired_drop(both, only_reference, only_test, neither)
    share = (only_reference - only_test) / images
    deviation = math.sqrt((only_reference + only_test) / images - share**2) / math.sqrt(images)
    assert drop.points == pytest.approx(100 * share)
    assert drop.low_points == pytest.approx(100 * (share - 1.96 * deviation), abs=1e-3)
    assert drop.high_points == pytest.approx(100 * (share + 1.96 * deviation), abs=1e-3)


def test_a_drop_of_nothing_is_not_certain() -> None:
    few, many = paired_drop(40, 0, 0, 10), paired_drop(4000, 0, 0, 1000)
    for drop in (few, many):
        assert drop.points == 0
        assert drop.low_points == pytest.approx(-drop.high_points)
    assert 0 < many.high_points < few.high_points / 5


@pytest.mark.parametrize(
    "table", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1), (16, 0, 0, 0), (0, 16, 0, 0), (0, 8, 8, 0), (8, 8, 0, 0)]
)
def test_the_interval_of_a_drop_stays_inside_100_points(table: tuple[int, int, int, int]) -> None:
    drop = paired_drop(*table)
    assert -100 <= drop.low_points <= drop.points <= drop.high_points <= 100
    assert drop.low_points < drop.high_points


def test_changing_sides_changes_the_sign_of_a_drop() -> None:
    one, other = paired_drop(50, 9, 4, 37), paired_drop(50, 4, 9, 37)
    assert one.points == pytest.approx(5)
    assert (one.low_points, one.high_points) == pytest.approx((-other.high_points, -other.low_points))
    assert (one.only_reference_right, other.only_reference_right) == (9, 4)


def test_pairs_that_go_together_give_a_narrower_interval() -> None:
    alike, unlike = paired_drop(75, 5, 0, 20), paired_drop(60, 20, 15, 5)
    assert alike.points == pytest.approx(unlike.points)
    assert alike.high_points - alike.low_points < (unlike.high_points - unlike.low_points) / 1.5


@dataclass(frozen=True)
class Ratio:
    """Energies and their ratio in decibels."""

    signal: float
    noise: float
    decibels: float


RATIOS = [
    Ratio(1.0, 1.0, 0.0),
    Ratio(100.0, 1.0, 20.0),
    Ratio(1.0, 1000.0, -30.0),
    Ratio(2.0, 1.0, 10 * math.log10(2)),
    Ratio(5.0, 0.0, math.inf),
    Ratio(0.0, 0.0, math.inf),  # both are zero: nothing differs
    Ratio(0.0, 3.0, -300.0),
    Ratio(1.0, math.inf, -300.0),
]


@pytest.mark.parametrize("case", RATIOS, ids=lambda case: f"{case.signal:g}-to-{case.noise:g}")
def test_decibels(case: Ratio) -> None:
    assert sqnr_db(case.signal, case.noise) == pytest.approx(case.decibels)


def test_top_1_of_equal_logits_is_the_first() -> None:
    logits = np.asarray([[3, 7, 7, 1], [5, 5, 5, 5], [-1, -2, -1, -3]], dtype=np.int8)
    assert top1(logits).tolist() == [1, 0, 0]
    assert top1(logits.astype(np.float32)).tolist() == [1, 0, 0]


def test_top_k_ranks_equal_logits_by_class() -> None:
    logits = np.asarray([[9, 5, 5, 5, 1]] * 5, dtype=np.int8)
    labels = np.arange(5)
    assert in_top_k(logits, labels, 1).tolist() == [True, False, False, False, False]
    assert in_top_k(logits, labels, 2).tolist() == [True, True, False, False, False]
    assert in_top_k(logits, labels, 3).tolist() == [True, True, True, False, False]
    assert in_top_k(logits, labels, 9).tolist() == [True] * 5  # more than there are classes


def test_top_1_and_the_first_of_top_k_agree_whatever_the_ties() -> None:
    logits = np.random.default_rng(0).integers(-4, 4, (500, 10)).astype(np.int8)
    for label in range(10):
        labels = np.full(500, label)
        np.testing.assert_array_equal(in_top_k(logits, labels, 1), top1(logits) == label)
        np.testing.assert_array_equal(
            in_top_k(logits, labels),
            (np.argsort(-logits.astype(int), axis=1, kind="stable")[:, :5] == label).any(axis=1),
        )


Logits = NDArray[np.float64]


def _networks(images: int = 60, classes: int = 8) -> tuple[Logits, Logits, NDArray[np.intp]]:
    draws = np.random.default_rng(1)
    reference = draws.normal(0, 3, (images, classes))
    test = reference + draws.normal(0, 1.5, reference.shape)
    labels = np.where(draws.random(images) < 0.7, reference.argmax(axis=1), draws.integers(0, classes, images))
    return reference, test, labels


def _compared(reference: Logits, test: Logits, labels: NDArray[np.intp] | None, batches: int) -> Agreement:
    comparison = Comparison()
    for index in np.array_split(np.arange(len(reference)), batches):
        comparison.add(reference[index], test[index], None if labels is None else labels[index])
    return comparison.result()


def test_a_comparison_counts_what_a_loop_counts() -> None:
    reference, test, labels = _networks()
    result = _compared(reference, test, labels, 1)
    pairs = [(int(np.argmax(first)), int(np.argmax(second))) for first, second in zip(reference, test, strict=True)]
    same = sum(first == second for first, second in pairs)
    assert 0 < same < 60
    assert (result.images, result.agreement) == (60, proportion(same, 60))
    assert result.sqnr_db == pytest.approx(10 * math.log10((reference**2).sum() / ((reference - test) ** 2).sum()))
    assert result.max_abs_error == pytest.approx(np.abs(reference - test).max())
    assert result.accuracy is not None
    right = [(first == label, second == label) for (first, second), label in zip(pairs, labels, strict=True)]
    assert result.accuracy.reference_top1 == proportion(sum(first for first, _ in right), 60)
    assert result.accuracy.test_top1 == proportion(sum(second for _, second in right), 60)
    table = [right.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
    assert min(table) > 0
    assert result.accuracy.drop == paired_drop(*table)
    top5 = sum(label in np.argsort(-row)[:5] for row, label in zip(test, labels, strict=True))
    assert result.accuracy.test_top5 == proportion(top5, 60)


@pytest.mark.parametrize("batches", [2, 7, 60])
def test_batches_do_not_matter(batches: int) -> None:
    reference, test, labels = _networks()
    whole, parts = (_compared(reference, test, labels, count) for count in (1, batches))
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db, rel=1e-12)
    assert (parts.agreement, parts.max_abs_error, parts.accuracy) == (
        whole.agreement,
        whole.max_abs_error,
        whole.accuracy,
    )


def test_a_network_agrees_with_itself() -> None:
    reference, _, labels = _networks()
    result = _compared(reference, reference, labels, 3)
    assert result.agreement.hits == 60
    assert (result.sqnr_db, result.max_abs_error) == (math.inf, 0)
    assert result.accuracy is not None
    assert result.accuracy.drop.points == 0
    assert result.accuracy.reference_top1 == result.accuracy.test_top1


def test_without_labels_there_is_no_accuracy() -> None:
    reference, test, _ = _networks()
    assert _compared(reference, test, None, 2).accuracy is None


def test_integer_logits_do_not_overflow() -> None:
    comparison = Comparison()
    comparison.add(np.asarray([[127, -128]], dtype=np.int8), np.asarray([[-128, 127]], dtype=np.int8))
    result = comparison.result()
    assert result.max_abs_error == 255
    assert result.sqnr_db == pytest.approx(10 * math.log10((127**2 + 128**2) / (2 * 255**2)))


ONES = np.ones((2, 3))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["reference", "test"])
def test_logits_that_are_not_finite_fail_the_verification(side: str, value: float) -> None:
    broken = ONES.copy()
    broken[1, 2] = value
    pair = (broken, ONES) if side == "reference" else (ONES, broken)
    with pytest.raises(GateFailed, match=f"the {side} network's logits hold NaN or infinity; its weights or its file"):
        Comparison().add(*pair)


@pytest.mark.parametrize(
    "shapes", [((2, 3), (2, 4)), ((2, 3), (1, 3)), ((3,), (3,)), ((2, 3, 1), (2, 3, 1)), ((2, 0),) * 2]
)
def test_logits_of_other_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match="logits of shapes"):
        Comparison().add(np.zeros(shapes[0]), np.zeros(shapes[1]))


@dataclass(frozen=True)
class BadLabels:
    """Labels that do not fit two images of three classes."""

    id: str
    labels: list[int]
    message: str


BAD_LABELS = [
    BadLabels("too-few", [0], r"labels of shape \(1,\) for 2 images"),
    BadLabels("too-many", [0, 1, 2], r"labels of shape \(3,\) for 2 images"),
    BadLabels("too-large", [0, 3], "labels from 0 to 3; allowed: 0 to 2"),
    BadLabels("negative", [-1, 2], "labels from -1 to 2; allowed: 0 to 2"),
]


@pytest.mark.parametrize("case", BAD_LABELS, ids=lambda case: case.id)
def test_labels_that_do_not_fit_are_refused(case: BadLabels) -> None:
    with pytest.raises(InputError, match=case.message):
        Comparison().add(ONES, ONES, np.asarray(case.labels))


def test_no_image_and_half_labelled_images_are_refused() -> None:
    with pytest.raises(InputError, match="no image to compare on; give photos that can be read"):
        Comparison().result()
    comparison = Comparison()
    comparison.add(ONES, ONES, np.asarray([0, 1]))
    comparison.add(ONES, ONES)
    with pytest.raises(InputError, match="2 of 4 images have a label; allowed: all of them or none"):
        comparison.result()


def test_an_empty_batch_changes_nothing() -> None:
    comparison = Comparison()
    comparison.add(np.zeros((0, 3)), np.zeros((0, 3)))
    comparison.add(ONES, ONES)
    assert comparison.result().images == 2
