"""Time a sweep of 60 cells of which every step is recorded: the whole command, in a fresh process.

    python -m benchmarks.peers.sweep_warm PHOTOS [--rounds N] [--json]

PHOTOS is a labelled folder. Five variants, four precisions, three devices, one target. A real sweep of lite0 on this
machine is recorded; its files and benchmarks then stand for those of the other variants and devices as well, which
would take an hour to make. The command reads and hashes as much as if they were others.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.ratios import Limit, arguments, exit_with, interleaved, machine, show, timed
from benchmarks.sweep.grid import AUTO, Grid, read_grid
from benchmarks.sweep.keys import benchmark_key, convert_key, weights_choice
from benchmarks.sweep.record import SweepRecord
from benchmarks.sweep.run import Request, run_sweep
from benchmarks.sweep.store import Ran, open_store
from edgenet.progress import silent

BAR_S = 2.0
VARIANTS = ("lite0", "lite1", "lite2", "b0", "v2-b0")
DEVICES = ("local", "ssh://second", "ssh://third")  # of which only the first is ever asked
GRID = """variants = [{variants}]
precisions = ["fp32", "fp16", "w8", "w8a8"]
devices = [{devices}]
data = "{data}"
check = ["edgetpu"]
benchmark = {{ protocol = "quick" }}
"""


def write_grid(path: Path, data: Path, variants: tuple[str, ...], devices: tuple[str, ...]) -> Grid:
    """Write a sweep.toml, and return what it means."""
    lists = {"variants": variants, "devices": devices}
    quoted = {name: ", ".join(f'"{word}"' for word in words) for name, words in lists.items()}
    path.write_text(GRID.format(data=data.absolute(), **quoted), encoding="utf-8")
    return read_grid(path)


def copy_steps(out: Path, grid: Grid, measured: SweepRecord) -> None:
    """Record the files of the measured variant for the others, and its benchmarks for the other devices."""
    with open_store(out, print) as store:
        for cell in measured.cells:
            if cell.model is None or not cell.latencies:
                raise RuntimeError(f"{cell.variant} {cell.precision} was not recorded: {cell.failures}")
            files = {path.name: path.read_bytes() for path in (out / cell.model.file).parent.iterdir()}
            for variant in grid.variants[1:]:
                key = convert_key(grid, variant, cell.precision, weights_choice(variant, AUTO), "")
                store.keep(Ran("convert", f"{variant}-{cell.precision}", key, 1.0), {}, files)
            report = out / cell.latencies[0].report
            for number, address in enumerate(grid.devices[1:]):
                key = benchmark_key(cell.model.sha256, address, grid)
                ran = Ran("benchmark", f"{cell.precision}-{number}", key, 1.0)
                store.keep(ran, {}, {report.name: report.read_bytes()})


def main() -> int:
    """Print the time; return the exit code."""
    parser = arguments(str(__doc__))
    parser.add_argument("photos", metavar="PHOTOS", type=Path, help="a labelled folder of photos")
    given, host = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory() as name:
        out, path = Path(name) / "sweep", Path(name) / "sweep.toml"
        small = write_grid(path, given.photos, VARIANTS[:1], DEVICES[:1])
        measured = run_sweep(Request(small, out), silent, lambda line: print(line, file=sys.stderr))
        copy_steps(out, write_grid(path, given.photos, VARIANTS, DEVICES), measured)
        command = [sys.executable, "-m", "edgenet", "sweep", str(path), "--out", str(out)]
        side = timed(lambda: subprocess.run(command, check=True, capture_output=True))
        runs = interleaved({"warm": side}, given.rounds)
        steps = len(VARIANTS) * 4 * (3 + len(DEVICES))
        read = sum(file.stat().st_size for file in (out / "cells").rglob("*") if file.is_file())
    row = Limit(f"{len(VARIANTS) * 4 * len(DEVICES)} cells, {steps} steps recorded", runs["warm"], "s", BAR_S)
    return show("sweep_warm", host, [row], [f"{read / 1e6:.0f} MB of files, each hashed again"], given.json)


if __name__ == "__main__":
    exit_with(main)
