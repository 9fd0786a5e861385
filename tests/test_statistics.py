"""Statistics of a measurement: known values, what must not change them, and how often the interval holds the truth."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bootstrap import likeness_factor, quantile, resampled_quantiles, resampling, turns
from benchmarks.result import BlockRecord, StatisticsRecord
from benchmarks.statistics import drift, median_interval, order_chance, outlying, statistics
from tests.results import Machine, interleaved, steady_blocks

latencies = st.lists(st.lists(st.floats(1e-4, 10.0), min_size=1, max_size=12), min_size=1, max_size=12)


def blocks(samples: Sequence[Sequence[float]], every_s: float = 0.5) -> list[BlockRecord]:
    return [
        BlockRecord(start_s=every_s * index, process=0, samples_s=tuple(part)) for index, part in enumerate(samples)
    ]


def test_known_values() -> None:
    # 1..100 ms: nearest ranks are the values themselves, the median lies between two.
    found = statistics(blocks(np.arange(0.001, 0.1005, 0.001).reshape(10, 10).tolist()))
    assert found.count == 100
    assert (found.p90_s, found.p95_s, found.p99_s) == pytest.approx((0.090, 0.095, 0.099))
    assert (found.min_s, found.median_s, found.max_s) == pytest.approx((0.001, 0.0505, 0.1))
    assert found.mean_s == pytest.approx(0.0505)
    assert found.std_s == pytest.approx(0.029011491975882)  # sqrt(100 x 101 / 12) ms
    assert found.outliers == 0


def test_one_sample_is_all_there_is() -> None:
    found = statistics(blocks([[0.25]]))
    assert found.median_low_s == found.median_s == found.median_high_s == found.p99_s == 0.25
    assert (found.count, found.std_s, found.outliers, found.drift) == (1, 0.0, 0, None)


def test_five_samples_give_their_whole_range() -> None:
    found = statistics(blocks([[0.3, 0.1, 0.2, 0.5, 0.4]]))
    assert (found.median_low_s, found.median_high_s) == (0.1, 0.5)


@dataclass(frozen=True)
class Outlying:
    id: str
    samples: tuple[float, ...]
    found: tuple[bool, ...]


OUTLYING = [
    # median 3, MAD 1: 0.6745 x 97 is far over 3.5, 0.6745 x 2 is not
    Outlying("one far off", (1.0, 2.0, 3.0, 4.0, 100.0), (False, False, False, False, True)),
    Outlying("just within: 0.6745 x 5.18 = 3.494", (1.0, 2.0, 3.0, 4.0, 8.18), (False,) * 5),
    Outlying("just beyond: 0.6745 x 5.20 = 3.507", (1.0, 2.0, 3.0, 4.0, 8.20), (False, False, False, False, True)),
    Outlying("MAD 0, one off: mean deviation 0.9", (1.0,) * 9 + (10.0,), (False,) * 9 + (True,)),
    Outlying("all equal", (2.0,) * 4, (False,) * 4),
]


@pytest.mark.parametrize("case", OUTLYING, ids=lambda case: case.id)
def test_outliers(case: Outlying) -> None:
    assert tuple(outlying(np.array(case.samples))) == case.found


@given(latencies, st.sampled_from([1e-3, 0.5, 3.0, 1e3]))
@settings(max_examples=40, deadline=None)
def test_another_unit_changes_nothing_else(samples: list[list[float]], scale: float) -> None:
    plain = statistics(blocks(samples))
    scaled = statistics(blocks([[scale * value for value in part] for part in samples]))
    for name in StatisticsRecord.model_fields:
        if name.endswith("_s"):
            assert getattr(scaled, name) == pytest.approx(scale * getattr(plain, name), rel=1e-6, abs=scale * 1e-12)


@given(latencies)
@settings(max_examples=40, deadline=None)
def test_order_within_a_block_says_nothing(samples: list[list[float]]) -> None:
    several = samples * 8  # enough blocks: none is cut in pieces
    mixed = [sorted(part) for part in several]
    left, right = statistics(blocks(several)).model_dump(), statistics(blocks(mixed)).model_dump()
    for name in set(left) - {"drift"}:
        assert left[name] == pytest.approx(right[name], rel=1e-9, abs=1e-12)


@given(latencies)
@settings(max_examples=60, deadline=None)
def test_figures_are_in_order(samples: list[list[float]]) -> None:
    found = statistics(blocks(samples))
    assert 0 < found.min_s <= found.median_s <= found.p90_s <= found.p95_s <= found.p99_s <= found.max_s
    assert 0 < found.median_low_s <= found.median_s <= found.median_high_s
    assert 0 <= found.outliers <= found.count


def test_the_same_samples_give_the_same_interval() -> None:
    ours, _ = interleaved(Machine(), 1)
    assert statistics(ours) == statistics(ours)


def test_processes_side_by_side_are_one_turn() -> None:
    rows = [
        BlockRecord(start_s=turn + 0.001 * process, process=process, samples_s=(0.1 * turn + process + 0.1,))
        for turn in range(3)
        for process in range(2)
    ]
    assert np.array(turns(rows[::-1])) == pytest.approx(np.array([[0.1, 1.1], [0.2, 1.2], [0.3, 1.3]]))


def test_a_quantile_of_resamples_is_that_of_the_samples_drawn() -> None:
    random = np.random.default_rng(0)
    parts = [random.lognormal(size=size) for size in (3, 8, 1, 5, 7)]
    drawn = resampling(len(parts), 5)[:50]
    for share in (0.1, 0.5):
        found = resampled_quantiles(parts, drawn, share)
        for counts, value in zip(drawn.astype(int), found, strict=True):
            pooled = np.concatenate([np.tile(part, times) for part, times in zip(parts, counts, strict=True)])
            assert value == pytest.approx(quantile(pooled, share))


@dataclass(frozen=True)
class Coverage:
    id: str
    machine: Machine
    turns: int
    at_least: float  # of 95 % asked for: noise that lasts longer than the run is in no interval of that run


COVERAGE = [
    Coverage("standard protocol", Machine(load_bias=0), 40, 0.85),
    Coverage("quick protocol", Machine(load_bias=0), 8, 0.75),
    Coverage("other work now and then", Machine(load_bias=0, other_work=0.2), 40, 0.90),
]


@pytest.mark.parametrize("case", COVERAGE, ids=lambda case: case.id)
def test_the_interval_holds_the_median(case: Coverage) -> None:
    long_run = np.concatenate([turns(interleaved(case.machine, 1000 + seed, turns=200)[0]) for seed in range(5)])
    truth_s = float(np.median(long_run))
    intervals = [median_interval(turns(interleaved(case.machine, seed, turns=case.turns)[0])) for seed in range(100)]
    assert np.mean([low <= truth_s <= high for low, high in intervals]) >= case.at_least


def test_single_samples_would_give_far_too_short_an_interval() -> None:
    parts = turns(interleaved(Machine(), 3)[0])
    low, high = median_interval(parts)
    samples = np.concatenate(parts)
    singly = np.ptp([np.median(np.random.default_rng(seed).choice(samples, len(samples))) for seed in range(40)])
    assert high - low > 2 * singly


def test_neighbours_that_are_alike_lengthen_the_interval() -> None:
    random = np.random.default_rng(0)
    apart = [np.array([value]) for value in random.lognormal(0, 0.01, 400)]
    alike = [np.array([value]) for value in np.exp(np.cumsum(random.normal(0, 0.01, 400)))]
    assert likeness_factor(apart) == pytest.approx(1.0, abs=0.15)
    assert likeness_factor(alike) == pytest.approx(3.0)  # the largest
    assert likeness_factor(alike[:4]) == likeness_factor([np.ones(2)] * 9) == 1.0


@pytest.mark.parametrize(("factor", "sign"), [(1.1, 1), (1 / 1.1, -1)])
def test_a_trend_is_drift(factor: float, sign: int) -> None:
    rows = [steady_blocks(0.005 * factor ** (index / 40), 1)[0].samples_s for index in range(40)]
    found = drift(blocks(rows))
    assert found is not None
    assert found.p_value < 0.001
    assert sign * found.relative_change == pytest.approx(0.0872, abs=0.005)  # between the parts' middles


def test_noise_is_no_drift() -> None:
    found = [drift(interleaved(Machine(other_work=0.2), seed)[0]) for seed in range(60)]
    assert sum(row is not None and row.p_value < 0.01 for row in found) <= 4


def test_the_chance_of_an_order_is_counted_over_all_orders() -> None:
    """Against the definition: every order of six values, and how many are as strict or stricter."""
    orders = [np.array(order) for order in itertools.permutations(range(6))]
    first, second = np.triu_indices(6, 1)
    strictness = [abs(int(np.sign(order[second] - order[first]).sum())) for order in orders]
    for order, own in zip(orders[::37], strictness[::37], strict=True):
        expected = sum(other >= own for other in strictness) / len(orders)
        assert order_chance(order.astype(float)) == pytest.approx(expected)


def test_ties_speak_for_chance() -> None:
    strict = order_chance(np.arange(8.0))
    assert strict == pytest.approx(2 / math.factorial(8))
    assert order_chance(np.array([0.0, 0, 2, 3, 4, 5, 6, 7])) > strict
    assert order_chance(np.zeros(8)) == 1.0


def test_drift_needs_six_parts() -> None:
    assert drift(steady_blocks(blocks=5)) is None
    even = drift(steady_blocks(blocks=6))
    assert even is not None
    assert (even.relative_change, even.p_value) == (0.0, 1.0)


def test_100_000_samples_take_under_a_second() -> None:
    random = np.random.default_rng(0)
    rows = blocks((0.005 * random.lognormal(0, 0.02, (240, 420))).tolist(), 0.25)
    statistics(rows[:9])  # what is imported on first use
    started = time.process_time()
    assert statistics(rows).count == 100_800
    assert time.process_time() - started < 1.0
