"""TFLite's GPU delegate: float arithmetic, also for 8-bit files, and by default one part of the graph."""

from __future__ import annotations

from collections.abc import Sequence

from converters.check.accelerator import Accelerator, refuse_nothing
from converters.check.graph import Graph, Operator
from converters.check.judge import Rule, constant_weights, static_shape
from converters.check.partition import every_part, find_parts
from converters.check.verdict import Finding, Place, Verdict, cpu


def one_image(operator: Operator) -> Finding | None:
    """The delegate's tensors are [B, H, W, C] with a batch of 1 in what is published."""
    batches = [tensor.shape[0] for tensor in operator.activations if len(tensor.shape) == 4 and tensor.shape[0] > 1]
    return cpu(f"a batch of {batches[0]}", "convert with edgenet (a static batch of 1)") if batches else None


def largest_part(graph: Graph, findings: Sequence[Finding | None]) -> list[Verdict]:
    """Return where each op runs when the delegate takes its largest part only, which is its default."""
    verdicts = every_part(graph, findings)
    parts = sorted(find_parts(graph, verdicts), key=len, reverse=True)
    doubt = any(row.place == Place.UNCERTAIN for row in verdicts)
    for index in (index for part in parts[1:] for index in part):
        place = Place.UNCERTAIN if doubt else Place.CPU
        verdicts[index] = Verdict(place, "not in the largest part, and one is taken by default", own=False)
    return verdicts


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (one_image, static_shape, constant_weights)}
ACCELERATOR = Accelerator(RULES, largest_part, refuse_nothing)
