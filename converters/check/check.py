"""Hold a .tflite file against what a target's makers published: `edgenet check` and its Python face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from converters.check import edgetpu, gpu, xnnpack
from converters.check.accelerator import Accelerator
from converters.check.compiled import CUSTOM_OP, read_packages
from converters.check.estimate import Estimate, estimate, load
from converters.check.graph import Graph, Operator, read_graph
from converters.check.judge import judge
from converters.check.layers import layer_names
from converters.check.memory import MemoryPlan, plan
from converters.check.partition import find_parts
from converters.check.report import CheckReport, OperatorReport
from converters.check.target import Target, read_target
from converters.check.verdict import Finding, Place, Verdict
from converters.check.work import cpu_work
from converters.model_file import read_model_file
from edgenet.errors import InputError

ACCELERATORS: dict[str, Accelerator] = {
    "edgetpu": edgetpu.ACCELERATOR,
    "xnnpack": xnnpack.ACCELERATOR,
    "gpu": gpu.ACCELERATOR,
}
LARGE_ACTIVATIONS = (
    "the activations alone exceed the chip's memory: the compiler may give up (large activation tensors)"
)


def check(path: Path, target: str = "edgetpu") -> CheckReport:
    """Return which ops of a .tflite file a target will take, and why not the others; nothing is compiled or run.

    Raise InputError for a target that is unknown, or a file that is damaged or can never run there.
    """
    known = find_accelerator(target)
    content = read_model_file(path, "a .tflite")
    with naming(path):
        graph = read_graph(content)
        known.refuse(graph)
        return check_graph(graph, target, path.name)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a file's name before what is wrong in it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path.name}: {error.what}", allowed=error.allowed, mend=error.mend) from error


def find_accelerator(target: str) -> Accelerator:
    """Return a target's module; raise InputError for an unknown name."""
    if target not in ACCELERATORS:
        close = get_close_matches(target, ACCELERATORS, n=1)
        mend = f"did you mean {close[0]}?" if close else ""
        raise InputError(f"unknown target {target!r}", allowed=", ".join(ACCELERATORS), mend=mend)
    return ACCELERATORS[target]


def check_graph(graph: Graph, target: str, file: str) -> CheckReport:
    """Return what a target takes of a graph."""
    known, data = ACCELERATORS[target], read_target(target)
    packages = read_packages(graph) if target == "edgetpu" else []
    findings = _findings(graph, data, known, compiled=bool(packages))
    refusals = _refusals(graph, findings)
    verdicts = known.place(graph, findings)
    if refusals:
        verdicts = [_refused(finding, refusals[0]) for finding in findings]
    memory = plan([graph.operators[index] for index in _taken(verdicts)], data.memory) if data.memory else None
    names = layer_names(graph)
    return CheckReport(
        file=file,
        target=target,
        title=data.title,
        accelerator=data.accelerator,
        operators=tuple(
            _operator(row, layer, said) for row, layer, said in zip(graph.operators, names, verdicts, strict=True)
        ),
        parts=len(find_parts(graph, verdicts)),
        refusals=tuple(refusals),
        warnings=tuple(_warnings(graph, data, memory)),
        memory=None if packages else memory,
        estimates=() if packages or refusals else tuple(_estimates(graph, verdicts, memory, data)),
        packages=tuple(packages),
    )


def _operator(row: Operator, layer: str, said: Verdict) -> OperatorReport:
    return OperatorReport(
        row.index, row.name, row.version, layer, said.place, said.reason, said.mend, said.own, cpu_work(row)
    )


def _findings(graph: Graph, data: Target, known: Accelerator, compiled: bool) -> list[Finding | None]:
    """Return what is found of each op; of a compiled file the compiler has decided already."""
    if not compiled:
        return judge(graph, data, known.rules)
    left = Finding(Place.CPU, "the compiler left it to the CPU", "check the file that was compiled, for the reasons")
    return [None if row.name == CUSTOM_OP else left for row in graph.operators]


def _refusals(graph: Graph, findings: Sequence[Finding | None]) -> list[str]:
    found = [
        f"op {row.index}, {row.name}: {finding.reason}"
        for row, finding in zip(graph.operators, findings, strict=True)
        if finding and finding.whole_file
    ]
    return list(dict.fromkeys(found))


def _refused(finding: Finding | None, refusal: str) -> Verdict:
    if finding and finding.whole_file:
        return Verdict(Place.CPU, finding.reason, finding.mend)
    return Verdict(Place.CPU, f"the whole file is refused: {refusal}", own=False)


def _taken(verdicts: Sequence[Verdict]) -> list[int]:
    return [index for index, row in enumerate(verdicts) if row.place == Place.ACCELERATED]


def _warnings(graph: Graph, data: Target, memory: MemoryPlan | None) -> list[str]:
    large = memory is not None and memory.peak_activation_bytes > memory.on_chip_bytes
    counts = Counter(row.name for row in graph.operators)
    notes = [f"{counts[name]} {name}: {note}" for name, note in data.notes.items() if counts[name]]
    several = f"the file has {graph.subgraphs} subgraphs, and only the first was looked at"
    return [*([LARGE_ACTIVATIONS] if large else []), *([several] if graph.subgraphs > 1 else []), *notes]


def _estimates(graph: Graph, verdicts: Sequence[Verdict], memory: MemoryPlan | None, data: Target) -> list[Estimate]:
    """Return the estimated latency on each bus, with the ops in doubt on the CPU; none where nothing is taken."""
    taken = set(_taken(verdicts))
    if memory is None or data.estimate is None or not taken:
        return []
    chip = [row for row in graph.operators if row.index in taken]
    return estimate(load(chip, [row for row in graph.operators if row.index not in taken], memory), data.estimate)
