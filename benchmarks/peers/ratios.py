"""Two ways to do the same work, timed in turn (A B A B …): medians, their ratio, the machine, one table or document.

These scripts exit with 0, with 1 if a bar is missed, and with 2 for flags or files that cannot be used.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal, Protocol

from edgenet.errors import EdgenetError
from edgenet.native_noise import quiet_native_stderr

SCHEMA_VERSION = 1
ROUNDS = 5
BUSY = 0.5  # load average a core from which on a figure is rough
MEDIANS = "medians and their ratio; spread: smallest and largest round"
TOOLS = ("numpy", "tensorflow", "tf-keras", "ai-edge-litert", "litert-quantizer", "onnx", "onnxruntime")

Unit = Literal["s", "bytes"]
Side = Callable[[], float]
"""Do the work once and return what it took, in seconds."""


@dataclass(frozen=True)
class Ratio:
    """Our runs against a peer's; a bar of None is for information."""

    what: str
    ours_s: tuple[float, ...]
    peer_s: tuple[float, ...]
    bar: float | None
    sense: Literal["times faster", "of theirs"]

    @property
    def ratios(self) -> list[float]:
        """Return the ratio of each round, neighbours in time."""
        pairs = list(zip(self.ours_s, self.peer_s, strict=True))
        return [theirs / ours if self.sense == "times faster" else ours / theirs for ours, theirs in pairs]

    @property
    def ratio(self) -> float:
        """Return the ratio of the medians."""
        ours, theirs = median(self.ours_s), median(self.peer_s)
        return theirs / ours if self.sense == "times faster" else ours / theirs

    @property
    def spread(self) -> tuple[float, float]:
        """Return the smallest and the largest round's ratio."""
        return min(self.ratios), max(self.ratios)

    @property
    def reached(self) -> bool:
        """Return whether the ratio is on the right side of the bar."""
        return self.bar is None or (self.ratio >= self.bar if self.sense == "times faster" else self.ratio <= self.bar)

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        mark = ">=" if self.sense == "times faster" else "<="
        low, high = self.spread
        return (
            self.what,
            shown(median(self.ours_s), "s"),
            shown(median(self.peer_s), "s"),
            f"{self.ratio:.4g} {self.sense}",
            f"{low:.4g}–{high:.4g}",
            "" if self.bar is None else f"{mark} {self.bar:g} {'ok' if self.reached else 'MISSED'}",
        )

    def document(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        return {
            "what": self.what,
            "ours_runs_s": self.ours_s,
            "peer_runs_s": self.peer_s,
            "ours_median_s": median(self.ours_s),
            "peer_median_s": median(self.peer_s),
            "ratio": self.ratio,
            "round_ratios": self.ratios,
            "spread": self.spread,
            "sense": self.sense,
            "bar": self.bar,
            "reached": self.reached,
        }


@dataclass(frozen=True)
class Limit:
    """Our runs against a figure that they must not exceed."""

    what: str
    runs: tuple[float, ...]
    unit: Unit
    bar: float

    @property
    def reached(self) -> bool:
        """Return whether the median is within the limit."""
        return median(self.runs) <= self.bar

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        spread = f"{shown(min(self.runs), self.unit)}–{shown(max(self.runs), self.unit)}"
        bar = f"<= {shown(self.bar, self.unit)} {'ok' if self.reached else 'MISSED'}"
        return (self.what, shown(median(self.runs), self.unit), "", "", spread, bar)

    def document(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        unit = self.unit
        figures = {f"runs_{unit}": self.runs, f"median_{unit}": median(self.runs), f"bar_{unit}": self.bar}
        return {"what": self.what, **figures, "reached": self.reached}


def shown(value: float, unit: Unit) -> str:
    """Return a figure in the unit that people would use."""
    if unit == "bytes":
        return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
    return f"{value:.3g} s" if value >= 0.1 else f"{value * 1e3:.3g} ms"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what Python and native code print meanwhile."""
    with quiet_native_stderr(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def timed(work: Callable[[], object]) -> Side:
    """Return a side that does `work` once, its prints held back and the other side's litter collected before."""

    def side() -> float:
        gc.collect()
        with quiet():
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

    return side


def interleaved(sides: Mapping[str, Side], rounds: int, warm_ups: int = 1) -> dict[str, tuple[float, ...]]:
    """Run every side in turn, `rounds` times after `warm_ups` rounds that do not count; return each side's seconds."""
    runs: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-warm_ups, rounds):
        for name, side in sides.items():
            seconds = side()
            if number >= 0:
                runs[name].append(seconds)
            print(f"{max(0, number + 1)}/{rounds} {name}: {shown(seconds, 's')}", file=sys.stderr)
    return {name: tuple(values) for name, values in runs.items()}


def machine() -> dict[str, Any]:
    """Return what the figures were taken on; the load is that of the last minute, before any of our work."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in TOOLS},
    }


def arguments(description: str, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """Return a parser with the flags that all these scripts share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=positive, default=rounds, metavar="N", help=f"rounds that count (default {rounds})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    return parser


def positive(text: str) -> int:
    """Return a whole number from 1; what it raises, argparse turns into a usage error."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


class Row(Protocol):
    """What a table is made of: a Ratio, a Limit, or a script's own kind."""

    @property
    def reached(self) -> bool:
        """Return whether the bar is reached."""

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""

    def document(self) -> dict[str, Any]:
        """Return the row of the JSON document."""


def show(
    name: str,
    host: dict[str, Any],
    rows: Sequence[Row],
    notes: Sequence[str],
    as_json: bool,
    legend: str = MEDIANS,
) -> int:
    """Print the rows as a table or a document; return the exit code: 1 if a bar is missed."""
    notes = [legend, *notes]
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "benchmark": name, "machine": host, "notes": notes}
        print(json.dumps({**document, "rows": [row.document() for row in rows]}, indent=2))
    else:
        _print_table([("", "ours", "theirs", "ratio", "spread", "bar"), *(row.cells() for row in rows)])
        print(*notes, _machine_line(host), sep="\n")
    if host["load"] > BUSY * host["cores"]:
        print(f"warning: load {host['load']:.1f} on {host['cores']} cores before the start: rough", file=sys.stderr)
    return 0 if all(row.reached for row in rows) else 1


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print the rows below their heads, without the columns that no row fills."""
    kept = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    rows = [tuple(row[column] for column in kept) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(kept))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


def _machine_line(host: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in host["versions"].items())
    return f"{host['cpu']}, {host['cores']} cores, load {host['load']:.1f}, Python {host['python']}, {versions}"


def exit_with(main: Callable[[], int]) -> None:
    """Run a script; what a user can mend becomes one line and its exit code."""
    try:
        sys.exit(main())
    except EdgenetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
