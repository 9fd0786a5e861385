"""From the finding of each op to the parts of a graph: the first part alone, or every part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from converters.check.graph import Graph
from converters.check.layers import layer_names
from converters.check.partition import every_part, find_parts, first_part
from converters.check.verdict import Finding, Place, cpu, uncertain
from tests.check.graphs import chain, constant, op, tensor

SHAPE = (1, 4, 4, 8)
FINDINGS = {"x": cpu("it is not taken"), "?": uncertain("nobody knows")}
WORDS = {Place.ACCELERATED: "+", Place.UNCERTAIN: "?", Place.CPU: "x"}


def line(count: int) -> Graph:
    """Return ops one behind the other."""
    tensors = [tensor(SHAPE) for _ in range(count + 1)]
    return chain(*(op("ADD", [tensors[index]], tensors[index + 1]) for index in range(count)))


def fork() -> Graph:
    """Return a first op, two branches of two ops each, written one after the other, and their sum."""
    image, start, *ends = [tensor(SHAPE) for _ in range(7)]
    one, two, three, four, last = ends
    return chain(
        op("ADD", [image], start),
        op("ADD", [start], one),
        op("ADD", [one], two),
        op("ADD", [start], three),
        op("ADD", [three], four),
        op("ADD", [two, four], last),
    )


def found(text: str) -> list[Finding | None]:
    return [FINDINGS.get(letter) for letter in text]


@dataclass(frozen=True)
class Case:
    """What each op is alone, and what it is in the graph: + mapped, ? may be unmapped, x on the CPU."""

    alone: str
    first: str
    parts: int
    forked: bool = False


CASES = {
    "all taken": Case("++++", "++++", 1),
    "the end is not": Case("+++x", "+++x", 1),
    "what is behind is not either": Case("++x+", "++xx", 2),
    "a doubt is handed on": Case("+?++", "+???", 2),
    "certainty behind a doubt": Case("+?+x", "+??x", 2),
    "what is behind both": Case("+x?+", "+xxx", 2),
    "a first op that is not taken": Case("x+++", "x???", 1),
    "nothing taken": Case("xxxx", "xxxx", 0),
    "two branches": Case("++++++", "++++++", 1, forked=True),
    "one branch ends": Case("+x++++", "+xx??x", 2, forked=True),
    "the later branch ends": Case("+++x++", "+++xxx", 2, forked=True),
}


def _graph(case: Case) -> Graph:
    return fork() if case.forked else line(len(case.alone))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_first_part_alone(case: Case) -> None:
    verdicts = first_part(_graph(case), found(case.alone))
    assert "".join(WORDS[row.place] for row in verdicts) == case.first


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_part(case: Case) -> None:
    graph = _graph(case)
    verdicts = every_part(graph, found(case.alone))
    assert "".join(WORDS[row.place] for row in verdicts) == case.alone
    parts = find_parts(graph, verdicts)
    assert len(parts) == case.parts
    taken = [index for index, letter in enumerate(case.alone) if letter == "+"]
    assert sorted(index for part in parts for index in part) == taken


def test_an_op_says_which_op_decides() -> None:
    verdicts = first_part(line(4), found("+x++"))
    assert [row.reason for row in verdicts[1:]] == ["it is not taken", *["behind op 1, ADD, which runs on the CPU"] * 2]
    assert [row.own for row in verdicts] == [True, True, False, False]


def test_a_quantize_at_a_float_input_decides_nothing() -> None:
    image, inner, end = tensor(SHAPE, "float32"), tensor(SHAPE), tensor(SHAPE)
    graph = chain(op("QUANTIZE", [image], inner), op("ADD", [inner], end))
    assert [row.place for row in first_part(graph, found("x+"))] == [Place.CPU, Place.ACCELERATED]


def test_ops_that_wait_for_each_other_make_no_part() -> None:
    one, two = tensor(SHAPE), tensor(SHAPE)
    graph = chain(op("ADD", [one], two), op("ADD", [two], one))
    assert find_parts(graph, every_part(graph, [None, None])) == []


def _layered(names: Sequence[str]) -> Graph:
    start, wide, swish, end, total = [tensor(SHAPE) for _ in range(5)]
    weights = [replace(constant((8, 1, 1, 8)), name=name) for name in names]
    return chain(
        op("CONV_2D", [start, weights[0]], wide),
        op("LOGISTIC", [wide], swish),
        op("CONV_2D", [swish, weights[1]], end),
        op("ADD", [wide, end], total),
    )


def test_an_op_belongs_to_the_last_layer_before_it() -> None:
    graph = _layered(["stem/weight", "head/weight"])
    assert layer_names(graph) == ["stem", "stem", "head", "head"]
    plain = _layered(["w0", "w1"])
    assert layer_names(plain) == [plain.operators[index].outputs[0].name for index in (0, 0, 2, 2)]
