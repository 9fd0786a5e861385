"""The climb: which file is kept, where it stops, what an interrupt leaves.

The bench is a double here, which gives each recipe the figures of a table: what is tested is what the ladder decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from converters.quantize import NO_DATA
from converters.repair import ladder
from converters.repair.bench import Made, Trial
from converters.repair.climb import Climb, Rung
from converters.repair.gate import Gate, parse_gate
from converters.repair.ladder import Outcome, climb_ladder
from converters.repair.recipe import Recipe
from edgenet.agreement import Agreement, proportion
from edgenet.errors import InputError


@dataclass(frozen=True)
class Figures:
    """What the file of one recipe is to show."""

    same: int  # of 100 images
    sqnr_db: float
    latency_ratio: float = 1.0
    full_integer: bool = True
    crossed: float = 1.0


@dataclass
class TableBench:
    """Stands for a bench: recipes are told apart by the first name in `equalize`."""

    table: dict[str, Figures]
    tried: list[str] = field(default_factory=list)
    interrupt_at: str = ""

    def try_out(self, recipe: Recipe) -> Trial:
        """Return the figures of the table."""
        name = recipe.equalize[0]
        if name == self.interrupt_at:
            raise KeyboardInterrupt
        self.tried.append(name)
        row = self.table[name]
        agreement = Agreement(100, proportion(row.same, 100), row.sqnr_db, 1.0, None)
        made = Made(recipe, name.encode(), b"", NO_DATA)
        return Trial(made, agreement, row.crossed, row.latency_ratio, row.full_integer, 0.0)


def _proposing(*names: str) -> Callable[[Climb], Iterator[Recipe]]:
    return lambda climb: iter([Recipe("error", equalize=(name,)) for name in names])


RUNGS = (
    Rung("first", _proposing("a"), free=True),
    Rung("second", _proposing("b"), free=True),
    Rung("third", _proposing("c", "d")),
    Rung("fourth", _proposing("e"), full_integer=False),
)
POOR = Figures(80, 6.0)
DEFAULT_GATE = Gate()


@dataclass(frozen=True)
class Case:
    """What the recipes show, and what the ladder has to make of it."""

    table: dict[str, Figures]
    tried: str
    best: str
    passed: bool
    gate: Gate = DEFAULT_GATE


CASES = {
    "free rungs are all climbed": Case({"a": Figures(99, 20), "b": Figures(99, 21)}, "ab", "b", True),
    "the first that passes ends it": Case(
        {"a": POOR, "b": Figures(90, 10), "c": Figures(98, 15), "d": Figures(99, 30)}, "abc", "c", True
    ),
    "worse is never kept": Case(
        {"a": Figures(90, 10), "b": POOR, "c": POOR, "d": POOR, "e": POOR}, "abcde", "a", False
    ),
    "the logits decide between two that miss the gate": Case(
        {"a": POOR, "b": Figures(95, 10), "c": Figures(94, 12), "d": POOR, "e": POOR}, "abcde", "c", False
    ),
    "one that passes is better than one with better logits": Case(
        {"a": POOR, "b": Figures(97, 20), "c": Figures(98, 19)}, "abc", "c", True
    ),
    "a lucky count alone passes nothing": Case(
        {"a": POOR, "b": Figures(100, 12, crossed=0.93), "c": Figures(98, 15, crossed=0.98), "d": POOR},
        "abc",
        "c",
        True,
    ),
    "too slow is not kept": Case(
        {"a": POOR, "b": POOR, "c": Figures(99, 30, 1.2), "d": Figures(98, 12, 1.15)}, "abcd", "d", True
    ),
    "an NPU's latency is not known here": Case(
        {"a": POOR, "b": POOR, "c": POOR, "d": POOR, "e": Figures(99, 30, 40.0, False)},
        "abcde",
        "e",
        True,
        Gate("npu"),
    ),
    "an Edge TPU gets integers only": Case(
        {"a": POOR, "b": POOR, "c": Figures(97, 12), "d": POOR, "e": Figures(100, 30)},
        "abcd",
        "c",
        False,
        Gate("edgetpu"),
    ),
    "and no float that a rung slips in": Case(
        {"a": POOR, "b": POOR, "c": Figures(99, 12, 1.0, False), "d": Figures(98, 11)}, "abcd", "d", True,
        Gate("edgetpu"),
    ),
    "another gate": Case({"a": POOR, "b": Figures(90, 10)}, "ab", "b", True, Gate(min_agree=0.9)),
}  # fmt: skip


def _climbed(monkeypatch: pytest.MonkeyPatch, bench: TableBench, gate: Gate) -> tuple[Outcome, list[Any]]:
    monkeypatch.setattr(ladder, "RUNGS", RUNGS)
    seen: list[Any] = []
    return climb_ladder(bench, gate, seen.append), seen  # type: ignore[arg-type]  # a double, see above


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_tried_and_what_is_kept(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = TableBench(case.table)
    outcome, seen = _climbed(monkeypatch, bench, case.gate)
    assert "".join(bench.tried) == case.tried
    assert outcome.best.made.content.decode() == case.best
    assert outcome.passed is case.passed
    assert not outcome.interrupted
    assert list(outcome.steps) == seen
    assert [step.trial for step in outcome.steps if step.kept][-1] == outcome.best


def test_an_interrupt_leaves_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = TableBench({"a": POOR, "b": Figures(90, 10), "c": POOR}, interrupt_at="d")
    outcome, seen = _climbed(monkeypatch, bench, Gate())
    assert outcome.interrupted
    assert outcome.best.made.content == b"b"
    assert len(seen) == 3


def test_an_interrupt_before_there_is_a_file_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        _climbed(monkeypatch, TableBench({}, interrupt_at="a"), Gate())


@pytest.mark.parametrize(
    ("target", "min_agree", "max_latency_cost", "named"),
    [
        ("gpu", 0.9, 1.1, "'gpu'"),
        ("cpu", 0.0, 1.1, "--min-agree"),
        ("cpu", 1.1, 1.1, "--min-agree"),
        ("cpu", float("nan"), 1.1, "--min-agree"),
        ("cpu", 0.9, 0.9, "--max-latency-cost"),
        ("cpu", 0.9, float("inf"), "--max-latency-cost"),
    ],
)
def test_a_gate_that_cannot_be_is_refused(target: str, min_agree: float, max_latency_cost: float, named: str) -> None:
    with pytest.raises(InputError, match=named):
        parse_gate(target, min_agree, max_latency_cost)


def test_the_ladder_goes_from_free_to_dear() -> None:
    free = [rung.free for rung in ladder.RUNGS]
    assert free == sorted(free, reverse=True)
    assert [rung.name for rung in ladder.RUNGS if not rung.full_integer] == ["worst layers"]
    assert len({rung.name for rung in ladder.RUNGS}) == len(ladder.RUNGS)
