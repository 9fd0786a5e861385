"""What TFLite's benchmark_model prints, as a record: versions from 2.3 to LiteRT 1.x and 2.x, whose lines differ.

    until 2.4   no INFO: before lines, a [start] column in tables, "Peak memory footprint (MB)"
    2.5 on      INFO: before lines, "Memory footprint delta", which nodes a delegate took
    LiteRT      p5, median and p95 behind each count

It prints no single samples, only what it counted of each phase; so few runs a process are the way to samples.
Facts from tensorflow/lite/tools/benchmark/benchmark_model.cc, xla/tsl/util/stats_calculator.h and outputs of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from edgenet.errors import InputError

US = 1e-6
MIB = 1 << 20  # what the tool calls MB is KiB / 1024


@dataclass(frozen=True)
class Phase:
    """What one phase's `count=` line says, in seconds (the tool rounds to microseconds).

    Percentiles are None before LiteRT. Of an even number of runs its median is the upper one of the middle two.
    """

    count: int
    first_s: float
    last_s: float
    min_s: float
    max_s: float
    mean_s: float
    std_s: float  # of the population
    p5_s: float | None = None
    median_s: float | None = None
    p95_s: float | None = None

    @property
    def samples_s(self) -> tuple[float, ...]:
        """Every sample in order where the line tells them all (up to two, or three with a median), else none."""
        if self.min_s == self.max_s:
            return (self.first_s,) * self.count
        if self.count == 2:
            return (self.first_s, self.last_s)
        if self.count == 3 and self.median_s is not None:
            others = [self.min_s, self.median_s, self.max_s]
            with suppress(ValueError):  # a line that contradicts itself tells no samples
                others.remove(self.first_s)
                others.remove(self.last_s)
                return (self.first_s, others[0], self.last_s)
        return ()


@dataclass(frozen=True)
class Replaced:
    """Nodes that a delegate took of a subgraph's, as the runtime says; `nodes` is None where it does not tell."""

    delegate: str  # TfLiteXNNPackDelegate
    delegated_nodes: int
    nodes: int | None
    partitions: int


@dataclass(frozen=True)
class BinaryMemory:
    """What the tool says of its own memory in bytes, growth since its start; None is what it does not tell.

    `peak_bytes` is the footprint itself, sampled by a thread of its own: only asked for apart from timings.
    """

    after_load_bytes: int
    overall_bytes: int
    peak_bytes: int | None


@dataclass(frozen=True)
class BinaryOp:
    """One row of the profile in run order: `mean_s` is of all its calls in one inference."""

    name: str
    kind: str
    mean_s: float
    share: float


@dataclass(frozen=True)
class BinaryReport:
    """All that one process of benchmark_model printed."""

    init_s: float
    first_inference_s: float | None  # None: no warm-up was asked for, so it was timed with the others
    warmup: Phase | None
    inference: Phase
    explicit: Literal["completely", "partially", "not", ""]  # the delegate that was asked for by a flag; "" none was
    replaced: tuple[Replaced, ...]
    memory: BinaryMemory | None
    ops: tuple[BinaryOp, ...]


NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
SUMMARY = re.compile(
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, "
    rf"Warmup \(avg\): (?:{NUMBER}|-?nan), Inference \(avg\): {NUMBER}"
)
PHASE_BEGINS = "Running benchmark for at least"
SAME = {"count", "curr"}  # all that it prints of equal samples
SPREAD = SAME | {"first", "min", "max", "avg", "std"}
VALUE = re.compile(rf"\b(count|first|curr|min|max|avg|std|p5|median|p95)={NUMBER}")
REPLACED = re.compile(r"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \((\w+)\) node, yielding (\d+) parti")
EXPLICIT = re.compile(r"[Aa]pplied (?:\S+) delegate, and the model graph will be (completely|partially)")
NOT_EXECUTED = re.compile(r"delegate is explicitly applied, the model graph will not be")
MEMORY = re.compile(rf"[Mm]emory footprint[^:]*\(MB\): init={NUMBER} overall={NUMBER}")
PEAK = re.compile(rf"peak memory footprint \(MB\) via periodic monitoring: {NUMBER}")
IGNORED = re.compile(r"Unconsumed cmdline flags:\s*(.*\S)")
PROFILE_BEGINS = "Operator-wise Profiling Info for Regular Benchmark Runs"
TABLE_TITLE = re.compile(r"={10,} (.*?) ={10,}")
RUN_ORDER = "Run Order"
START_COLUMN = "[start]"  # until 2.4
# The type may hold blanks, commas and digits: the two percentages show where the numbers are.
NUMBERS = (
    r"[\d.]+\s+(?P<mean_ms>[\d.]+)\s+(?P<percent>[\d.]+)%\s+[\d.]+%\s+[\d.]+\s+(?P<calls>\d+)\s+(?P<name>\S.*?)\s*$"
)
ROW = re.compile(r"^\s*(?P<kind>\S.*?)\s+" + NUMBERS)
ROW_WITH_START = re.compile(r"^\s*(?P<kind>\S.*?)\s+[\d.]+\s+" + NUMBERS)


def ignored_flags(text: str) -> str:
    """Return the flags that the binary says it does not know (it goes on without them), "" where it knows all."""
    found = IGNORED.search(text)
    return found[1] if found else ""


def parse_report(text: str) -> BinaryReport:
    """Parse what benchmark_model printed on both its outputs; raise InputError for any other text."""
    summary = SUMMARY.search(text)
    phases = list(_phases(text.splitlines()))
    if not summary or len(phases) != 2 or phases[1] is None:
        raise InputError(
            "this is not what TFLite's benchmark_model prints: "
            + ("its two `count=` lines are missing" if summary else "no line `Inference timings in us`"),
            mend="name a benchmark_model of TensorFlow 2.3 or later (benchmark_litert_model prints another text)",
        )
    explicit = EXPLICIT.search(text)
    return BinaryReport(
        init_s=float(summary[1]) * US,
        first_inference_s=float(summary[2]) * US if phases[0] else None,
        warmup=phases[0],
        inference=phases[1],
        explicit=_how(explicit[1]) if explicit else "not" if NOT_EXECUTED.search(text) else "",
        replaced=tuple(
            Replaced(found[3], int(found[1]), int(found[2]) if found[2] else None, int(found[4]))
            for found in REPLACED.finditer(text)
        ),
        memory=_memory(text),
        ops=tuple(_ops(text)),
    )


def _how(word: str) -> Literal["completely", "partially"]:
    return "completely" if word == "completely" else "partially"


def _phases(lines: Sequence[str]) -> Iterator[Phase | None]:
    """Yield the phases that the tool announced; None for one without runs."""
    announced = False
    for line in lines:
        if PHASE_BEGINS in line:
            announced = True
        elif announced and "count=" in line:
            announced = False
            value = {name: float(number) for name, number in VALUE.findall(line)}
            if not value.get("count", 0.0).is_integer():  # infinite, or no count of anything
                continue
            if value.get("count") == 0:
                yield None
            elif value.keys() >= SPREAD or value.keys() & SPREAD == SAME:
                yield _phase({name: number if name == "count" else number * US for name, number in value.items()})


def _phase(value: Mapping[str, float]) -> Phase:
    """Return what a `count=` line says; of equal samples it gives `curr` alone."""
    last_s = value["curr"]
    return Phase(
        int(value["count"]),
        first_s=value.get("first", last_s),
        last_s=last_s,
        min_s=value.get("min", last_s),
        max_s=value.get("max", last_s),
        mean_s=value.get("avg", last_s),
        std_s=value.get("std", 0.0),
        p5_s=value.get("p5"),
        median_s=value.get("median"),
        p95_s=value.get("p95"),
    )


def _memory(text: str) -> BinaryMemory | None:
    found, peak = MEMORY.search(text), PEAK.search(text)
    if not found:
        return None
    return BinaryMemory(
        int(float(found[1]) * MIB), int(float(found[2]) * MIB), int(float(peak[1]) * MIB) if peak else None
    )


def _ops(text: str) -> Iterator[BinaryOp]:
    """Yield the rows of the runs' profile in run order; the profile of the initialization stands before it."""
    _, begun, profile = text.partition(PROFILE_BEGINS)
    table, row_of = "", ROW
    for line in profile.splitlines() if begun else ():
        title = TABLE_TITLE.search(line)
        if title:
            if table == RUN_ORDER:
                return  # behind it are tables of the same ops, and of subgraphs that these ops call
            table = title[1]
        elif START_COLUMN in line:
            row_of = ROW_WITH_START
        row = row_of.match(line) if table == RUN_ORDER else None
        if row:
            mean_s = float(row["mean_ms"]) * 1e-3 * max(1, int(row["calls"]))
            yield BinaryOp(row["name"], row["kind"], mean_s, float(row["percent"]) / 100)
