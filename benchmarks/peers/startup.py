"""Hold the start of the command against its limit: each command in a fresh process.

python -m benchmarks.peers.startup [--json]
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.peers.ratios import Limit, Side, arguments, exit_with, interleaved, machine, show, timed

BAR_S = 0.3
COMMANDS = (("--help",), ("list",), ("info", "b4"))


def side(words: tuple[str, ...]) -> Side:
    """Return what runs `edgenet` with `words` once; CalledProcessError says that it failed."""
    command = [sys.executable, "-m", "edgenet", *words]
    return timed(lambda: subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))


def main() -> int:
    """Print the times; return the exit code."""
    given, host = arguments(str(__doc__)).parse_args(), machine()
    runs = interleaved({f"edgenet {' '.join(words)}": side(words) for words in COMMANDS}, given.rounds)
    rows = [Limit(name, values, "s", BAR_S) for name, values in runs.items()]
    return show("startup", host, rows, ["a fresh process each time, the first start not counted"], given.json)


if __name__ == "__main__":
    exit_with(main)
