"""What a target is to `edgenet check`: its data file, and a module with what data cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from converters.check.graph import Graph
from converters.check.judge import Rule
from converters.check.verdict import Finding, Verdict


@dataclass(frozen=True)
class Accelerator:
    """A target's module: the rules that its data names, and how single findings make parts of the graph."""

    rules: Mapping[str, Rule]
    place: Callable[[Graph, Sequence[Finding | None]], list[Verdict]]
    refuse: Callable[[Graph], None]  # raises InputError for a file that can never run there


def refuse_nothing(graph: Graph) -> None:
    """Take every file: what is not taken of it runs on the CPU."""
