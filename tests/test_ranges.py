"""Histograms do not depend on order or threads; ranges cover what they promise and cost no more than what was seen."""

import itertools
import math
import os
import random
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator as Op
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.graph import GraphBuilder
from converters.histogram import BINS, Histogram
from converters.observe import Statistics, observe, swish
from converters.ranges import MARGIN, SIGMOID_RANGE, STEPS, Range, RangeMethod, choose_ranges
from edgenet.errors import InputError
from edgenet.layers import expand
from tests.networks import pictures, small_weights

# Whole multiples of 2**-12 from 2**-12 to 4096: exact in float32, and wide enough to make a histogram grow 24 times.
VALUES = st.integers(-(2**24), 2**24).map(lambda steps: steps / 2**12)
IMAGES = st.lists(st.lists(VALUES, min_size=1, max_size=20), min_size=1, max_size=6)


def _float32(values: list[float]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def _counted(images: list[list[float]]) -> Histogram:
    histogram = Histogram()
    for image in images:
        histogram.add(_float32(image), float(np.abs(image).max()))
    return histogram


def _state(histogram: Histogram) -> tuple[float, int, bytes]:
    return histogram.limit, histogram.zeros, histogram.counts.tobytes()


@given(IMAGES, st.randoms(use_true_random=False))
def test_a_histogram_does_not_depend_on_the_order(images: list[list[float]], source: random.Random) -> None:
    shuffled = source.sample(images, len(images))
    assert _state(_counted(images)) == _state(_counted(shuffled))


def test_a_value_just_under_a_power_of_two_may_come_first_or_last() -> None:
    images = [[np.nextafter(np.float32(2), np.float32(0)).item()], [1.2], [-1.9]]
    states = {_state(_counted(list(order))) for order in itertools.permutations(images)}
    assert len(states) == 1
    assert {_counted([[value]]).limit for value in (1.0, 1.2, images[0][0])} == {2.0}
    assert _counted([[2.0]]).limit == 4.0


@given(IMAGES, IMAGES)
def test_merging_is_counting_together(first: list[list[float]], second: list[list[float]]) -> None:
    merged, other = _counted(first), _counted(second)
    merged.merge(other)
    assert _state(merged) == _state(_counted([*first, *second]))


@given(IMAGES)
def test_growing_loses_no_value_and_moves_none_out_of_its_bin(images: list[list[float]]) -> None:
    histogram = _counted(images)
    values = np.concatenate([_float32(image) for image in images]).astype(np.float64)
    assert histogram.counts.sum() + histogram.zeros == values.size
    assert histogram.zeros == np.count_nonzero(values == 0)
    edges = np.arange(BINS + 1) * (2 * histogram.limit / BINS) - histogram.limit
    expected, _ = np.histogram(values[values != 0], bins=edges)
    np.testing.assert_array_equal(histogram.counts, expected)
    np.testing.assert_allclose(histogram.centers, (edges[1:] + edges[:-1]) / 2)


@given(st.lists(st.tuples(VALUES, st.integers(1, 1000)), min_size=1, max_size=20))
def test_weighted_values_count_as_often_as_they_say(rows: list[tuple[float, int]]) -> None:
    histogram = Histogram()
    histogram.add_weighted(np.asarray([value for value, _ in rows]), np.asarray([count for _, count in rows]))
    assert histogram.counts.sum() == sum(count for _, count in rows)


@given(IMAGES, st.randoms(use_true_random=False))
def test_statistics_do_not_depend_on_order_or_watchers(images: list[list[float]], source: random.Random) -> None:
    whole, shares = Statistics(feeds_swish=True), [Statistics(feeds_swish=True) for _ in range(3)]
    for image in images:
        whole.add(_tensor(image), 1)
    for image in source.sample(images, len(images)):
        source.choice(shares).add(_tensor(image), 1)
    for share in shares[1:]:
        shares[0].merge(share)
    assert _facts(shares[0]) == _facts(whole)
    assert whole.minimum == min(map(min, images))
    assert whole.maximum == max(map(max, images))


def _tensor(image: list[float]) -> NDArray[np.float32]:
    """Return values as a tensor of two channels."""
    return np.tile(_float32(image)[:, np.newaxis], (1, 2))


def _facts(row: Statistics) -> tuple[object, ...]:
    means = [row.mean, row.swish_mean] if row.feeds_swish else [row.mean]
    return row.minimum, row.maximum, *_state(row.histogram), *(mean.value.tobytes() for mean in means)


@pytest.fixture(scope="module")
def content() -> bytes:
    """Return a small swish network with gates, which takes pixels."""
    weights = small_weights("b")
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    return flatbuffer.write(build_float(architecture, weights, FLOAT_ENTRY))


def test_the_number_of_watchers_changes_nothing(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture[np.newaxis].astype(np.float32) for picture in pictures(7)]
    seen = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        seen.append({name: _facts(row) for name, row in observe(content, images).statistics.items()})
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) > 10


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_activation_that_is_not_finite_is_named(content: bytes, value: float) -> None:
    broken = np.full((1, 64, 64, 3), value, dtype=np.float32)
    images = [broken, pictures(1)[0][np.newaxis].astype(np.float32)]
    for order in (images, images[::-1]):
        with pytest.raises(InputError, match=r"tensor 'image' is not finite .* it has no int8 range"):
            observe(content, order)


# Ranges. One tensor of each role: other -> x -> x * sigmoid(x) = product -> gate; product * sigmoid(gate)
_builder = GraphBuilder("one tensor of each role")
_tensors = {name: _builder.tensor(name, (1, 4)) for name in ("other", "x", "s", "product", "gate", "g", "out")}
for _code, _inputs, _output in (
    (Op.ADD, ("other", "other"), "x"),
    (Op.LOGISTIC, ("x",), "s"),
    (Op.MUL, ("x", "s"), "product"),
    (Op.ADD, ("product", "product"), "gate"),
    (Op.LOGISTIC, ("gate",), "g"),
    (Op.MUL, ("product", "g"), "out"),
):
    _builder.op(_code, [_tensors[name] for name in _inputs], _tensors[_output])
ROLES = _builder.finish({"other": _tensors["other"]}, {"out": _tensors["out"]})
WATCHED = ("other", "x", "gate")


def _ranges(values: NDArray[np.float32], method: RangeMethod) -> dict[str, Range]:
    """Return the ranges that follow if each watched tensor holds `values`."""
    return choose_ranges(ROLES, dict.fromkeys(WATCHED, _statistics(values)), method)


def _statistics(values: NDArray[np.float32]) -> Statistics:
    row = Statistics()
    row.add(values.reshape(-1, 1), 1)
    return row


def _sample(kind: str, scale: float, shift: float, seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(2000) if kind == "normal" else generator.standard_t(2, 2000)
    return np.asarray(values * scale + shift, dtype=np.float32)


SAMPLES = st.builds(
    _sample,
    st.sampled_from(["normal", "heavy"]),
    st.floats(0.01, 30),
    st.floats(-20, 20),
    st.integers(0, 2**32),
)


EACH_SAMPLE = given(values=SAMPLES)
EACH_METHOD = pytest.mark.parametrize("method", ["minmax", "error", "margin"])
FEW = settings(max_examples=40, deadline=None)


@FEW
@EACH_SAMPLE
def test_minmax_covers_everything_that_was_seen_and_zero(values: NDArray[np.float32]) -> None:
    ranges = _ranges(values, "minmax")
    seen = Range(min(float(values.min()), 0.0), max(float(values.max()), 0.0))
    assert [ranges[name] for name in WATCHED] == [seen] * 3
    products = swish(values.astype(np.float64))
    assert ranges["product"].low <= products.min() + 1e-5
    assert ranges["product"].high >= products.max()


@FEW
@EACH_SAMPLE
def test_error_costs_no_more_than_minmax_on_what_was_seen(values: NDArray[np.float32]) -> None:
    wide, narrow = _ranges(values, "minmax"), _ranges(values, "error")
    histogram = _statistics(values).histogram
    weights = histogram.counts.astype(np.float64)
    for name, after in (("other", _same), ("x", swish)):
        assert wide[name].low <= narrow[name].low <= 0 <= narrow[name].high <= wide[name].high
        least = _cost(histogram.centers, weights, narrow[name], after)
        assert least <= _cost(histogram.centers, weights, wide[name], after) * (1 + 1e-9)
        # On the values themselves rather than on the middles of their bins it may miss by what a bin is wide.
        real, ones = values.astype(np.float64), np.ones(values.size)
        slack = values.size * (histogram.limit / BINS) ** 2
        assert _cost(real, ones, narrow[name], after) <= 1.05 * _cost(real, ones, wide[name], after) + slack


def _same(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values


def _cost(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    span: Range,
    after: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> float:
    """Return the squared error of rounding to the 256 steps of a range whose zero is exact."""
    step = (span.high - span.low) / STEPS
    zero_point = -round(span.low / step)
    rounded = np.clip(np.rint(values / step), -zero_point, STEPS - zero_point)
    return float(np.sum(weights * np.square(after(rounded * step) - after(values))))


@FEW
@EACH_SAMPLE
def test_a_gate_is_clipped_where_its_sigmoid_saturates(values: NDArray[np.float32]) -> None:
    seen = _ranges(values, "minmax")["gate"]
    clipped = Range(max(seen.low, -8.0), min(seen.high, 8.0))
    assert _ranges(values, "error")["gate"] == _ranges(values, "margin")["gate"] == clipped


@FEW
@EACH_SAMPLE
def test_margin_lies_between_error_and_what_was_seen(values: NDArray[np.float32]) -> None:
    seen, least, margin = (_ranges(values, method) for method in ("minmax", "error", "margin"))
    assert seen["other"].low <= margin["other"].low <= least["other"].low
    assert least["other"].high <= margin["other"].high <= seen["other"].high
    assert margin["other"].high == pytest.approx(min(seen["other"].high, MARGIN * least["other"].high))
    for name in ("x", "product"):
        assert margin[name] == least[name]


@pytest.mark.parametrize("scale", [8.0, 16.0])
def test_a_swish_input_spends_no_steps_far_below_zero(scale: float) -> None:
    values = np.minimum(_sample("normal", scale, 0.0, 3), 6.0)
    assert values.min() < -3 * scale
    ranges = _ranges(values, "error")
    assert -9.0 <= ranges["x"].low <= -2.0
    assert ranges["x"].high == pytest.approx(6.0, rel=0.1)
    assert ranges["other"].low < -12.0  # elsewhere they matter
    assert ranges["s"] == ranges["g"] == SIGMOID_RANGE


@EACH_METHOD
def test_a_tensor_that_is_always_zero_has_a_range(method: RangeMethod) -> None:
    for span in _ranges(np.zeros(100, dtype=np.float32), method).values():
        assert span.low <= 0 < span.high


@EACH_METHOD
def test_a_tensor_of_one_sign_starts_at_zero(method: RangeMethod) -> None:
    values = np.abs(_sample("normal", 1.0, 3.0, 1))
    assert _ranges(values, method)["other"].low == 0
    assert _ranges(-values, method)["other"].high == 0
