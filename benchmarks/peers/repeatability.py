"""Does `compare` cry wolf, and does it miss a wolf? The same file twice, and one about a tenth slower, again and again.

    python -m benchmarks.peers.repeatability [--rounds N] [--protocol quick] [--json]

Each trial measures three files in turns on this machine: lite0 in fp32, a copy of it, and the same network with two
blocks more. `compare` should see no difference to the copy and find the deeper one slower; the bar is 19 of 20 trials.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.api import benchmark
from benchmarks.compare import Comparison, compare
from benchmarks.peers.ratios import arguments, exit_with, machine, show
from converters import conversion
from edgenet.progress import silent
from edgenet.variants import VARIANTS

TRIALS, BAR = 20, 19 / 20
# Two more of the blocks at 7 x 7 make 1.12 times the multiply-accumulates.
DEEPER_STAGE, MORE_BLOCKS = 5, 2
LEGEND = "trials with the right verdict; ratio: median over the trials; spread: smallest and largest"


@dataclass(frozen=True)
class Verdicts:
    """One question's answers, trial by trial."""

    what: str
    wanted: str
    rows: tuple[Comparison, ...]

    @property
    def share(self) -> float:
        """Return the share of trials with the verdict that is wanted."""
        return sum(row.verdict == self.wanted for row in self.rows) / len(self.rows)

    @property
    def reached(self) -> bool:
        """Return whether enough trials have it."""
        return self.share >= BAR

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        ratios = [row.ratio for row in self.rows]
        right = round(self.share * len(self.rows))
        return (
            f"{self.what}: {self.wanted}",
            f"{right} of {len(self.rows)}",
            "",
            f"{median(ratios):.3f}",
            f"{min(ratios):.3f}–{max(ratios):.3f}",
            f">= {BAR:.0%} {'ok' if self.reached else 'MISSED'}",
        )

    def document(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        trials = [{"ratio": row.ratio, "low": row.low, "high": row.high, "verdict": row.verdict} for row in self.rows]
        return {"what": self.what, "wanted": self.wanted, "trials": trials, "bar": BAR, "reached": self.reached}


def main() -> int:
    """Run the trials and print them; return the exit code."""
    parser = arguments(str(__doc__), rounds=TRIALS)
    parser.add_argument("--protocol", default="quick", help="of each trial (default quick)")
    given, host = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory() as name:
        files = _files(Path(name))
        trials = [_trial(files, given.protocol, number, given.rounds) for number in range(1, given.rounds + 1)]
    same, slower = zip(*trials, strict=True)
    rows = [
        Verdicts("the same file", "no difference shown", same),
        Verdicts(f"{MORE_BLOCKS} blocks more", "slower", slower),
    ]
    notes = [f"lite0 fp32, random weights, {given.protocol} protocol, one thread; all three files in turns"]
    return show("repeatability", host, rows, notes, given.json, LEGEND)


def _files(folder: Path) -> list[Path]:
    first = _written(folder / "first", 0)
    second = folder / "second"
    shutil.copytree(first.parent, second)
    return [first, second / first.name, _written(folder / "slower", MORE_BLOCKS)]


def _written(folder: Path, more_blocks: int) -> Path:
    stages = list(VARIANTS["lite0"].stages)
    stages[DEEPER_STAGE] = replace(stages[DEEPER_STAGE], repeats=stages[DEEPER_STAGE].repeats + more_blocks)
    variant = replace(VARIANTS["lite0"], stages=tuple(stages))
    request = conversion.Request(variant, (("fp32", "float32"),), "random", "builtin", 16, 0, 0, None)
    (artifact,) = conversion.run(request, folder, False, (), silent, lambda text: None)
    return artifact.path


def _trial(files: list[Path], protocol: str, number: int, trials: int) -> tuple[Comparison, Comparison]:
    first, second, slower = benchmark(*files, protocol=protocol)
    (same,), (other,) = compare(first, second), compare(first, slower)
    for row in (same, other):
        print(f"{number}/{trials} {row.ratio:.3f} ({row.low:.3f}–{row.high:.3f}) {row.verdict}", file=sys.stderr)
    return same, other


if __name__ == "__main__":
    exit_with(main)
