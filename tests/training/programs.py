"""Start the small training as a program of its own, and read what it left."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgenet.training.state import CHECKPOINT_NAME, EpochRecord, read_state

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(__file__).with_name("small_training.py")
TIMEOUT_S = 300


def start(*arguments: str | Path, environment: Mapping[str, str] = {}) -> "subprocess.Popen[str]":
    """Start `edgenet` with the small lite0."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str | Path, environment: Mapping[str, str] = {}) -> tuple[int, str]:
    """Run `edgenet` with the small lite0; return its exit code and what it said."""
    process = start(*arguments, environment=environment)
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out + err


def history_of(run: Path) -> list[EpochRecord]:
    """Return a run's epochs with the times set to 0; none where nothing was saved."""
    if not (run / CHECKPOINT_NAME).exists():
        return []
    progress, _ = read_state(run / CHECKPOINT_NAME)
    return [row.model_copy(update={"duration_s": 0.0}) for row in progress.history]


def differing_arrays(one: Path, other: Path) -> list[str]:
    """Return the names of the variables that two runs do not hold to the last bit alike."""
    (_, first), (_, second) = read_state(one / CHECKPOINT_NAME), read_state(other / CHECKPOINT_NAME)
    assert first.keys() == second.keys()
    return [name for name, value in first.items() if not np.array_equal(value, second[name])]
