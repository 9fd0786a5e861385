"""What a benchmark over SSH costs beside the measuring itself, once its files are on the device.

    python -m benchmarks.peers.ssh_overhead [--rounds N] [--json]

Starts a real sshd of this user on loopback (needs OpenSSH's server), measures lite0 there once so that its files are
cached, then again: a whole `edgenet benchmark` command each time, less the seconds in which the device's processes
loaded, warmed up and ran the model, which are those that its result tells.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.ratios import Limit, arguments, exit_with, machine, show
from benchmarks.result import BenchmarkRecord
from converters.api import convert
from edgenet.errors import MissingError
from tests.devices.sshd import Sshd, missing, sshd

BAR_S = 2.0
RUNS = 5
PYTHON = '#!/bin/sh\nPYTHONPATH={path} exec {python} "$@"\n'


def main() -> int:
    """Print the overhead; return the exit code."""
    given, host = arguments(str(__doc__), rounds=RUNS).parse_args(), machine()
    if missing():
        raise MissingError(missing(), mend="apt-get install openssh-server")
    site = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    commands = {"python3": PYTHON.format(path=site, python=sys.executable)}
    with tempfile.TemporaryDirectory() as name, sshd(Path(name) / "device", commands=commands) as device:
        folder = Path(name) / "host"
        (artifact,) = convert("lite0", "w8a8", out=folder)
        runs = [overhead_s(device, artifact.path, folder) for _ in range(given.rounds + 1)][1:]
    notes = ["lite0 w8a8, quick protocol; the whole command's time less what the device measured, files cached"]
    rows = [Limit("edgenet benchmark --device ssh://...", tuple(runs), "s", BAR_S)]
    return show(
        "ssh overhead", host, rows, notes, given.json, "median of the runs after the first; spread: all of them"
    )


def overhead_s(device: Sshd, model: Path, folder: Path) -> float:
    """Return one command's seconds beside the measuring."""
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    shutil.copy(device.ssh_config, home / ".ssh" / "config")
    command = ["benchmark", str(model), "--device", "ssh://device", "--protocol", "quick", "--json"]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(root)}
    begin_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "edgenet", *command, "--out", str(folder / "results")],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    took_s = time.perf_counter() - begin_s
    (result,) = json.loads(done.stdout)["results"]
    beside_s = took_s - measuring_s(BenchmarkRecord.model_validate_json(json.dumps(result)))
    print(f"{took_s:.2f} s, of which {beside_s:.2f} s beside the measuring", file=sys.stderr)
    return beside_s


def measuring_s(result: BenchmarkRecord) -> float:
    """Return what the device says that loading, warming up and running took."""
    total_s = 0.0
    for row in result.measurements:
        starts: Any = row.cold_starts
        total_s += sum(start.load_s + start.first_inference_s for start in starts) + row.warmup_s
        total_s += sum(sum(block.samples_s) for block in row.blocks)
    return total_s


if __name__ == "__main__":
    exit_with(main)
