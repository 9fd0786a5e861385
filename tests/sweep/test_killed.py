"""Whole sweeps of a real variant: killed at random moments, and on a cluster that loses a worker; the result is equal.

Without devices, whose latencies are never the same twice: all else of a result is compared byte by byte.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweep.dask_cluster import Cluster, dask_cluster
from tests.sweep.small_sweep import class_folders

KILLS = 20
PRECISIONS = "fp32,w8"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 400 pictures in ten class folders."""
    return class_folders(tmp_path_factory.mktemp("photos"), 400)


@pytest.fixture(scope="module")
def uninterrupted(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep that nothing happened to."""
    out = tmp_path_factory.mktemp("sweeps") / "uninterrupted"
    finished(start(photos, out))
    return out


@pytest.fixture(scope="module")
def usual_s(photos: Path, uninterrupted: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Return how long such a sweep takes once all that it loads is in the system's cache."""
    begin_s = time.monotonic()
    finished(start(photos, tmp_path_factory.mktemp("sweeps") / "timed"))
    return time.monotonic() - begin_s


def start(photos: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    flags = ["--variants", "lite0", "--precisions", PRECISIONS, "--check", "edgetpu", "--data", str(photos)]
    command = [sys.executable, "-m", "edgenet", "sweep", *flags, "--out", str(out), *more]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finished(process: subprocess.Popen[str]) -> None:
    said = process.communicate()[1]
    assert process.returncode == 0, said


def wait_for_line(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stderr
    before = []
    for line in process.stderr:
        before.append(line)
        if line.startswith(beginning):
            return
    raise AssertionError(f"it ended before it said {beginning!r}: {before}")


def contents(out: Path) -> dict[str, bytes]:
    """Return all files of a sweep but its database."""
    found = [path for path in out.rglob("*") if path.is_file() and not path.name.startswith("sweep.")]
    return {str(path.relative_to(out)): path.read_bytes() for path in [*found, out / "sweep.json"]}


def runs(out: Path) -> dict[str, int]:
    with sqlite3.connect(out / "sweep.db") as database:
        return dict(database.execute("SELECT kind || ' ' || title, runs FROM steps"))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(
    photos: Path, uninterrupted: Path, usual_s: float, tmp_path: Path
) -> None:
    out, draw, recorded, moments = tmp_path / "killed", random.Random(6), 0, []
    for _ in range(KILLS):
        process = start(photos, out)
        moments.append(draw.uniform(0, usual_s))
        time.sleep(moments[-1])
        os.killpg(process.pid, signal.SIGKILL)  # its workers, too
        process.communicate()
        now = len(runs(out)) if (out / "sweep.db").exists() else 0
        assert now >= recorded  # nothing that was recorded is lost
        recorded = now
    print(f"killed after {', '.join(f'{moment:.1f}' for moment in moments)} s; {recorded} steps recorded by then")
    finished(start(photos, out))
    assert contents(out) == contents(uninterrupted)
    assert runs(out) == dict.fromkeys(runs(uninterrupted), 1)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Return a scheduler with three workers."""
    with dask_cluster(tmp_path, 3) as found:
        yield found


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_finds_the_same(
    photos: Path, uninterrupted: Path, cluster: Cluster, tmp_path: Path
) -> None:
    out = tmp_path / "cluster"
    process = start(photos, out, "--scheduler", cluster.address)
    wait_for_line(process, "images of lite0")  # the evaluation has begun
    cluster.kill_a_worker()
    rest = process.communicate()[1]
    assert process.returncode == 0, rest
    assert contents(out) == contents(uninterrupted)
    assert runs(out) == dict.fromkeys(runs(uninterrupted), 1)


@pytest.mark.slow
def test_a_scheduler_that_goes_away_ends_the_sweep_which_goes_on_here(
    photos: Path, uninterrupted: Path, cluster: Cluster, tmp_path: Path
) -> None:
    out = tmp_path / "lost"
    process = start(photos, out, "--scheduler", "tcp://127.0.0.1:1")
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in process.communicate()[1]
    assert process.returncode == 3
    process = start(photos, out, "--scheduler", cluster.address)
    wait_for_line(process, "convert ")
    for worker in cluster.workers:
        worker.kill()
    cluster.scheduler.kill()
    rest = process.communicate(timeout=120)[1]
    assert process.returncode == 3, rest
    assert "the connection to the Dask scheduler was lost" in rest
    finished(start(photos, out))
    assert contents(out) == contents(uninterrupted)
