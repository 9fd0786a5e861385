"""The front and the choice, as tables: what beats what, which one is taken, and what is nearest where none fits."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from benchmarks.sweep_report.choice import Bounds, Candidate, Reading, choose, front, hold


def candidate(
    name: str, top1: float | None, latency: float | None, size: int | None = 1, spread: float = 0
) -> Candidate:
    def reading(value: float | None) -> Reading | None:
        return None if value is None else Reading(value, value - spread, value + spread)

    return Candidate(name, "", reading(top1), reading(latency), size)


@dataclass(frozen=True)
class Case:
    name: str
    candidates: tuple[Candidate, ...]
    expected: str


FRONTS = (
    Case("none", (), ""),
    Case("one", (candidate("a", 0.7, 1),), "a"),
    Case("beaten on all axes", (candidate("a", 0.7, 1), candidate("b", 0.6, 2, 2)), "a"),
    Case("beaten on one, equal on two", (candidate("a", 0.7, 1), candidate("b", 0.7, 2)), "a"),
    Case("a trade each", (candidate("a", 0.7, 1), candidate("b", 0.8, 2), candidate("c", 0.6, 1)), "ab"),
    Case("saved by its size alone", (candidate("a", 0.8, 1, 9), candidate("b", 0.7, 2, 8)), "ab"),
    Case("equal ones beat neither each other", (candidate("a", 0.7, 1), candidate("b", 0.7, 1)), "ab"),
    Case("no latency beside one that has it", (candidate("a", 0.7, 1), candidate("b", 0.9, None)), "a"),
    Case("no accuracy beside one that has it", (candidate("a", 0.7, 9), candidate("b", None, 1)), "a"),
    Case("nobody has a latency", (candidate("a", 0.7, None, 5), candidate("b", 0.8, None, 6)), "ab"),
    Case("nobody has an accuracy", (candidate("a", None, 1, 5), candidate("b", None, 2, 6)), "a"),
    Case("an accuracy of 0 is one", (candidate("a", 0.0, 1), candidate("b", 0.1, 1)), "b"),
)


@pytest.mark.parametrize("case", FRONTS, ids=lambda case: case.name)
def test_the_front(case: Case) -> None:
    assert "".join(row.name for row in front(case.candidates)) == case.expected


FAST = Bounds(max_s=1.0)
BOTH = Bounds(max_s=1.0, min_accuracy=0.75)
ALL = Bounds(max_s=1.0, min_accuracy=0.5, max_bytes=10)


@dataclass(frozen=True)
class Choosing:
    name: str
    bounds: Bounds
    candidates: tuple[Candidate, ...]
    pick: str | None = None
    runner_up: str | None = None
    nearest: str | None = None


CHOICES = (
    Choosing("nothing there", FAST, ()),
    Choosing("the most accurate that is fast enough", FAST,
             (candidate("slow", 0.9, 2), candidate("a", 0.7, 0.5), candidate("b", 0.8, 0.9)), "b", "a"),
    Choosing("a bound itself is allowed", BOTH, (candidate("a", 0.75, 1.0),), "a"),
    Choosing("equally accurate: the faster", FAST, (candidate("a", 0.8, 0.9), candidate("b", 0.8, 0.5)), "b", "a"),
    Choosing("equally fast, too: the smaller", FAST, (candidate("a", 0.8, 0.5, 9), candidate("b", 0.8, 0.5, 3)),
             "b", "a"),
    Choosing("equal in all: by name", FAST, (candidate("b", 0.8, 0.5), candidate("a", 0.8, 0.5)), "a", "b"),
    Choosing("an accuracy that is not known comes last", FAST, (candidate("a", None, 0.1), candidate("b", 0.1, 0.9)),
             "b", "a"),
    Choosing("no figure for a bound: neither picked nor near", FAST, (candidate("a", 0.9, None),)),
    Choosing("the size counts", ALL, (candidate("a", 0.9, 0.5, 11), candidate("b", 0.6, 0.5, 10)), "b"),
    Choosing("the least miss", BOTH, (candidate("a", 0.9, 1.5), candidate("b", 0.7, 0.5)), nearest="b"),
    Choosing("of two misses the worse one counts", BOTH, (candidate("a", 0.74, 1.9), candidate("b", 0.6, 0.5)),
             nearest="b"),
    Choosing("equally near: the more accurate", FAST, (candidate("a", 0.7, 2), candidate("b", 0.8, 2)), nearest="b"),
    Choosing("nothing is as fast as 0", Bounds(max_s=0.0), (candidate("a", 0.9, 1),), nearest="a"),
    Choosing("no top-1 is below 0 %", Bounds(min_accuracy=0.0), (candidate("a", 0.0, 1),), "a"),
)  # fmt: skip


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case.name)
def test_the_choice(case: Choosing) -> None:
    found = choose(case.candidates, case.bounds)
    names = [row and row.name for row in (found.pick, found.runner_up, found.nearest)]
    assert names == [case.pick, case.runner_up, case.nearest]


@pytest.mark.parametrize(
    ("top1", "latency", "spread", "misses", "doubts"),
    [
        (0.80, 0.5, 0.01, [0.0, 0.0], [False, False]),
        (0.76, 0.5, 0.02, [0.0, 0.0], [False, True]),  # meets, and the bound lies inside the interval
        (0.60, 1.5, 0.10, [0.5, 0.2], [False, False]),
        (0.74, 1.01, 0.02, [0.01, 0.01 / 0.75], [True, True]),  # missed, and perhaps not
        (0.75, 1.0, 0.0, [0.0, 0.0], [False, False]),  # no interval: nothing to doubt
    ],
)
def test_bounds_held_against_figures(
    top1: float, latency: float, spread: float, misses: list[float], doubts: list[bool]
) -> None:
    held = hold(candidate("a", top1, latency, spread=spread), BOTH)
    assert held is not None
    assert [row.kind for row in held] == ["latency", "accuracy"]
    assert [row.miss for row in held] == pytest.approx(misses)
    assert [row.doubtful for row in held] == doubts
