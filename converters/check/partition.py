"""From what each op is alone to where it will run: one unfit op decides over those behind it.

`first_part` is the Edge TPU compiler's way: one part of the graph is mapped, up to the first op that is not taken.
`every_part` is that of TFLite's delegates: whatever is taken forms parts, and each change of place costs a copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from converters.check.graph import Graph, Operator
from converters.check.verdict import TAKEN, Finding, Place, Verdict

BEHIND_MEND = "mend that op first"


def first_part(graph: Graph, findings: Sequence[Finding | None]) -> list[Verdict]:
    """Return where each op runs when only the first contiguous part is mapped.

    Ops that do not hang on an unfit one but stand behind it in the file are in doubt: nothing published says whether
    the compiler goes by the file's order or by the tensors. So are those behind an unfit op with which a file begins.
    """
    verdicts: list[Verdict] = []
    spoilt: dict[int, Verdict] = {}  # what each tensor says of the ops that read it
    beside: Verdict | None = None
    anything = False  # is on the chip so far
    for operator, finding in zip(graph.operators, findings, strict=True):
        before = [spoilt[tensor.index] for tensor in operator.activations if tensor.index in spoilt]
        verdict = _worst([_own(finding), *before, *([beside] if beside else [])])
        verdicts.append(verdict)
        if verdict.place == Place.ACCELERATED or _is_entry(graph, operator):
            anything |= verdict.place == Place.ACCELERATED
            continue
        follows = _follows(operator, verdict, verdict.place if anything else Place.UNCERTAIN)
        spoilt |= {tensor.index: follows for tensor in operator.outputs}
        beside = beside or _follows(operator, verdict, Place.UNCERTAIN)
    return verdicts


def every_part(graph: Graph, findings: Sequence[Finding | None]) -> list[Verdict]:
    """Return where each op runs when whatever is taken is mapped."""
    return [_own(finding) for _, finding in zip(graph.operators, findings, strict=True)]


def find_parts(graph: Graph, verdicts: Sequence[Verdict]) -> list[list[int]]:
    """Return the parts that the accelerated ops form, as TFLite forms them.

    It takes all ops of one place whose inputs are there, then all of the other place, and so on.
    """
    waits = _Waiting(graph)
    queues = {True: deque[int](), False: deque[int]()}
    parts: list[list[int]] = []
    accelerated = True
    for index in waits.ready():
        queues[verdicts[index].place == Place.ACCELERATED].append(index)
    while queues[True] or queues[False]:
        queue, taken = queues[accelerated], []
        while queue:
            taken.append(queue.popleft())
            for index in waits.done(taken[-1]):
                queues[verdicts[index].place == Place.ACCELERATED].append(index)
        if taken and accelerated:
            parts.append(sorted(taken))
        accelerated = not accelerated
    return parts


class _Waiting:
    """How many inputs each op still waits for; an op of a damaged file may wait for ever."""

    def __init__(self, graph: Graph) -> None:
        self._operators = graph.operators
        filled = {tensor.index for row in graph.operators for tensor in row.outputs}
        self._missing = [{tensor.index for tensor in row.inputs if tensor} & filled for row in graph.operators]
        self._readers: dict[int, list[int]] = {}
        for index, missing in enumerate(self._missing):
            for tensor in missing:
                self._readers.setdefault(tensor, []).append(index)

    def ready(self) -> list[int]:
        """Return the ops that wait for nothing."""
        return [index for index, missing in enumerate(self._missing) if not missing]

    def done(self, operator: int) -> list[int]:
        """Fill an op's outputs, and return the ops that waited for nothing else."""
        free = []
        for tensor in {tensor.index for tensor in self._operators[operator].outputs}:
            for index in self._readers.pop(tensor, ()):
                self._missing[index].discard(tensor)
                free += [] if self._missing[index] else [index]
        return free


def _own(finding: Finding | None) -> Verdict:
    return Verdict(finding.place, finding.reason, finding.mend) if finding else TAKEN


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst verdict; the op's own, which is the first, where others are equal."""
    return max(verdicts, key=lambda row: row.place)


def _is_entry(graph: Graph, operator: Operator) -> bool:
    """Return whether an op rounds a float input of the graph: the compiler leaves it out and maps what follows."""
    ends = {tensor.index for tensor in graph.inputs}
    return operator.name == "QUANTIZE" and all(tensor and tensor.index in ends for tensor in operator.inputs)


def _follows(operator: Operator, verdict: Verdict, place: Place) -> Verdict:
    """Return the verdict of the ops behind an unfit one; they name the op that began it."""
    if not verdict.own:
        return verdict if verdict.place == place else Verdict(place, verdict.reason, verdict.mend, own=False)
    stays = "runs on the CPU" if verdict.place == Place.CPU else "may run on the CPU"
    return Verdict(place, f"behind op {operator.index}, {operator.name}, which {stays}", BEHIND_MEND, own=False)
