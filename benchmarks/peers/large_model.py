"""Hold the whole command on a large network, built-in calibration included, against its limits of time and memory.

    python -m benchmarks.peers.large_model [--variant b7] [--json]

Weights are random: time and memory are those of real ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from benchmarks.peers.ratios import Limit, arguments, exit_with, machine, show
from edgenet.errors import GateFailed

WALL_BAR_S = 480.0
MEMORY_BAR_BYTES = 5e9
MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage(2) on macOS and on Linux


@dataclass(frozen=True)
class Run:
    """What one run of the command took."""

    wall_s: float
    peak_rss_bytes: float


def run(command: list[str]) -> Run:
    """Run a command to its end, its output on stderr; raise GateFailed if it fails.

    The peak is the largest resident set that the command or one of its own child processes had (wait4(2)), not their
    sum. This process must stay small: until the command starts, its memory counts as the command's.
    """
    start = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise GateFailed(f"{' '.join(command[1:])} ended with {child.returncode}", allowed="0")
    return Run(wall_s, float(usage.ru_maxrss * MAXRSS_UNIT_BYTES))


def main() -> int:
    """Print time and memory; return the exit code."""
    parser = arguments(str(__doc__), rounds=1)
    parser.add_argument("--variant", default="b7", metavar="NAME", help="default b7")
    given, host = parser.parse_args(), machine()
    words = ["convert", "--variant", given.variant, "--int8", "--weights", "random"]
    runs = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as out:
            runs.append(run([sys.executable, "-m", "edgenet", *words, "--out", out]))
    rows = [
        Limit("wall time", tuple(row.wall_s for row in runs), "s", WALL_BAR_S),
        Limit("peak memory", tuple(row.peak_rss_bytes for row in runs), "bytes", MEMORY_BAR_BYTES),
    ]
    notes = [
        f"edgenet {' '.join(words)}: the whole command, imports, calibration and verification included",
        "memory: the largest resident set of the command or of any process that it started, not their sum",
    ]
    return show("large_model", host, rows, notes, given.json)


if __name__ == "__main__":
    exit_with(main)
