"""Time our on-device harness against a bare C loop over the same runtime, on lite0 fp32 and w8a8.

    python -m benchmarks.peers.harness [--json]

Needs gcc and the packaged weights. Both sides are processes with the same file, one thread and XNNPACK, in turns:
the runner's own measuring process, and c_loop.c on libLiteRt.so. Which of them goes first changes from block to block.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

from benchmarks.peers.latency import BlockRatio
from benchmarks.peers.ratios import arguments, exit_with, machine, show
from converters.api import convert
from devices.runner import runner_source
from edgenet.errors import MissingError

BAR = 1.03  # and no less than 1 / 1.03
LOADS, BLOCKS, RUNS = 6, 12, 12
SOURCE = Path(__file__).with_name("c_loop.c")
LEGEND = "ratio: median of the blocks' ratios; spread: p10 to p90"


@dataclass(frozen=True)
class Within(BlockRatio):
    """A ratio that must not be far from 1 on either side."""

    @property
    def reached(self) -> bool:
        """Return whether the ratio is within the bar."""
        return self.bar is None or 1 / self.bar <= self.ratio <= self.bar

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        return (*super().cells()[:-1], f"within {BAR - 1:.0%} {'ok' if self.reached else 'MISSED'}")


@dataclass(frozen=True)
class Side:
    """A process that runs a model as often as it is told and answers with times."""

    process: subprocess.Popen[str]

    @property
    def pipes(self) -> tuple[IO[str], IO[str]]:
        """Its input and its output."""
        assert self.process.stdin is not None and self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def ask(self, line: str) -> str:
        """Send a line and return the answer; raise RuntimeError where there is none."""
        stdin, stdout = self.pipes
        stdin.write(line + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args!r} ended with status {self.process.wait()}")
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


class Ours(Side):
    """The runner's measuring process."""

    def block_s(self) -> float:
        """Return the median of a block of runs."""
        answer = json.loads(self.ask(json.dumps({"do": "block", "least_s": 0, "least_runs": RUNS})))
        return float(median(answer["samples_s"]))


class Bare(Side):
    """The loop in C."""

    def block_s(self) -> float:
        """Return the median of a block of runs."""
        return float(median(float(word) for word in self.ask(str(RUNS)).split()))


def main() -> int:
    """Run the comparison and print it; return 1 if the bar is missed."""
    given, host = arguments(str(__doc__), rounds=LOADS).parse_args(), machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = _compile(folder)
        (folder / "runner.py").write_text(runner_source(), encoding="utf-8")
        files = convert("lite0", precision="fp32,w8a8", out=folder)
        rows = [_compare(artifact.path, program, folder / "runner.py", given.rounds) for artifact in files]
    notes = [f"{given.rounds} loads of both with {BLOCKS} blocks of {RUNS} runs a side, in turn; one thread, XNNPACK"]
    return show("harness against a bare C loop", host, rows, notes, given.json, LEGEND)


def _compile(folder: Path) -> Path:
    import ai_edge_litert

    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise MissingError("no C compiler", mend="install gcc")
    library = Path(ai_edge_litert.__file__).parent
    program = folder / "c_loop"
    runtime = [str(library / "libLiteRt.so"), f"-Wl,-rpath,{library}"]
    subprocess.run([compiler, "-O2", str(SOURCE), "-o", str(program), *runtime], check=True)
    return program


def _compare(model: Path, program: Path, runner: Path, loads: int) -> Within:
    """Take both in turns, loaded anew several times: where a file comes to lie in memory moves its time by percents."""
    pairs = [pair for _ in range(loads) for pair in _loaded(model, program, runner)]
    ours_s, bare_s = zip(*pairs, strict=True)
    return Within(model.stem, ours_s, bare_s, BAR, "of theirs")


def _loaded(model: Path, program: Path, runner: Path) -> list[tuple[float, float]]:
    ours = Ours(_started([sys.executable, str(runner), "--child"]))
    bare = Bare(_started([str(program), str(model)]))
    try:
        load = {"path": str(model), "delegate": "xnnpack", "threads": 1, "batch": 1, "affinity": [], "golden": ""}
        ours.ask(json.dumps({"do": "load", **load}))
        for side in (ours, bare):
            for _ in range(5):
                side.block_s()
        return [_pair(ours, bare, ours_first=block % 2 == 0) for block in range(BLOCKS)]
    finally:
        ours.close()
        bare.close()


def _pair(ours: Ours, bare: Bare, *, ours_first: bool) -> tuple[float, float]:
    if ours_first:
        first_s = ours.block_s()
        return first_s, bare.block_s()
    second_s = bare.block_s()
    return ours.block_s(), second_s


def _started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


if __name__ == "__main__":
    exit_with(main)
