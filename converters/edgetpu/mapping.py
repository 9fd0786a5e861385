"""Which ops a compiled file leaves to the CPU, why by the compiler's own words, and where that was not predicted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from converters.check.compiled import CUSTOM_OP, Package
from converters.check.graph import Graph
from converters.check.judge import QUANTIZE, RECONVERT, STATIC
from converters.check.report import CheckReport, OperatorReport
from converters.check.target import read_target
from converters.check.verdict import Place
from converters.edgetpu.operation_log import Status

PARAMETER_ERROR = 0.05  # from which on a prediction of parameter bytes counts as wrong
MENDS = {
    "More than one subgraph is not supported": "mend the first op that is not mapped: those behind it follow",
    "Operation version not supported": RECONVERT,
    "Operation is working on an unsupported data type": QUANTIZE,
    "Tensor has unsupported rank (up to 3 innermost dimensions mapped)": STATIC,
}
UNTOLD = "the compiler does not say"


@dataclass(frozen=True)
class Left:
    """One op of the model that runs on the CPU."""

    operator: OperatorReport  # as it was predicted
    status: str  # the compiler's words; several where its log does not tell ops of one kind apart
    mend: str


@dataclass(frozen=True)
class Outcome:
    """A model as the compiler took it, beside what was predicted."""

    left: tuple[Left, ...]
    disagreements: tuple[str, ...]
    doubts: int  # ops of which nothing published says where they run; the compiler has decided


def judge_outcome(
    model: Graph,
    compiled: Sequence[Graph],
    packages: Sequence[Package],
    statuses: Sequence[Status],
    report: CheckReport,
) -> Outcome:
    """Hold compiled files (one, or a pipeline's segments) against the model, the compiler's log and the prediction."""
    left = left_on_cpu(model, compiled)
    rows = tuple(_left(report.operators[index], statuses) for index in sorted(left))
    wrong = [*_wrong_places(report, {row.operator.index: row for row in rows}), *_wrong_log(model, left, statuses)]
    return Outcome(rows, (*wrong, *_wrong_parameters(report, packages, predicted=not wrong)), len(report.uncertain))


def left_on_cpu(model: Graph, compiled: Sequence[Graph]) -> set[int]:
    """Return the ops of the model that compiled files still hold: the compiler keeps their kind and output's name."""
    waiting: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in model.operators:
        waiting[row.name, row.outputs[0].name].append(row.index)
    kept = [row for graph in compiled for row in graph.operators if row.name != CUSTOM_OP]
    found = (waiting[row.name, row.outputs[0].name] for row in kept)
    return {indexes.pop(0) for indexes in found if indexes}


def _left(operator: OperatorReport, statuses: Sequence[Status]) -> Left:
    words = [row.text for row in statuses if row.operator == operator.name and not row.mapped]
    mends = [operator.mend] if operator.mend else [_mend(operator.name, text) for text in words]
    return Left(operator, " or ".join(words) or UNTOLD, next(filter(None, mends), ""))


def _mend(operator: str, status: str) -> str:
    if status == "Operation not supported":
        mends = read_target("edgetpu").mends
        return mends.get(operator, mends["*"])
    return MENDS.get(status, "")


def _wrong_places(report: CheckReport, left: dict[int, Left]) -> Iterator[str]:
    for row in report.operators:
        what = f"op {row.index}, {row.name} ({row.layer.partition(';')[0]})"
        if row.place == Place.ACCELERATED and row.index in left:
            yield f"{what}: predicted on the chip, left to the CPU ({left[row.index].status})"
        elif row.place == Place.CPU and row.index not in left:
            yield f"{what}: predicted on the CPU ({row.reason}), and it is on the chip"


def _wrong_log(model: Graph, left: set[int], statuses: Sequence[Status]) -> Iterator[str]:
    """Yield where the operation log counts other ops than the file holds: the file is what runs."""
    there, told = len(model.operators) - len(left), sum(row.count for row in statuses if row.mapped)
    if statuses and there != told:
        yield f"the operation log counts {told} ops on the chip, the file leaves {there} of the model's to it"


def _wrong_parameters(report: CheckReport, packages: Sequence[Package], predicted: bool) -> Iterator[str]:
    if report.memory is None or not predicted:  # of other ops than were predicted the bytes are others too
        return
    there = sum(row.cached_parameter_bytes + row.streamed_parameter_bytes for row in packages)
    if abs(report.memory.parameter_bytes - there) > PARAMETER_ERROR * there:
        yield f"parameters: {report.memory.parameter_bytes:,} bytes predicted, {there:,} in the file"
