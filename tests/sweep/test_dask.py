"""A real Dask scheduler with two workers on the loopback: files travel, photos are read there, answers are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy.evaluate import Request, evaluate
from benchmarks.pools.dask_pool import DaskPool, dask_pool
from benchmarks.pools.open_pool import open_pool
from benchmarks.sweep import run
from edgenet.errors import InputError, MissingError
from edgenet.progress import silent
from tests.sweep.dask_cluster import Cluster, dask_cluster
from tests.sweep.small_sweep import SmallSweep, class_folders, given, small_sweep
from tests.test_artifact import write_small

__all__ = ["small_sweep"]  # a fixture


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a scheduler with two workers."""
    with dask_cluster(tmp_path_factory.mktemp("dask"), 2) as found:
        yield found


class _Mixed:
    """Converts here, where networks are small, and does all else on the cluster."""

    workers = 2

    def __init__(self, small: SmallSweep, cluster: DaskPool) -> None:
        self._small, self._cluster = small.pool, cluster
        self.ship, self.renew = cluster.ship, cluster.renew

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a function where it belongs; the first argument of `timed` is the one that counts."""
        here = arguments[0].__name__ == "convert_small"
        return (self._small if here else self._cluster).submit(function, *arguments)


def test_a_cluster_finds_what_this_process_finds(
    small_sweep: SmallSweep, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"data": str(class_folders(tmp_path / "photos", 150)), "check": ["edgetpu"]}
    here = small_sweep.run(**asked)
    before = list(small_sweep.pool.calls)
    small_sweep.pool.calls.clear()
    with dask_pool(cluster.address) as pool:
        assert pool.workers == 2
        monkeypatch.setattr(run, "open_pool", lambda scheduler: given(_Mixed(small_sweep, pool)))
        there = SmallSweep(tmp_path / "there", small_sweep.pool, []).run(**asked)
    assert there == here
    assert before.count("evaluate_shard") == 3
    assert small_sweep.pool.calls == ["convert_small"]


def test_evaluate_on_a_cluster_counts_what_processes_count(cluster: Cluster, tmp_path: Path) -> None:
    write_small(tmp_path / "files", ["fp32", "w8a8"])
    request = Request((tmp_path / "files",), str(class_folders(tmp_path / "photos", 40)))
    here = evaluate(request, ("test",), silent)
    there = evaluate(replace(request, scheduler=cluster.address), ("test",), silent)
    assert there.scheduler == cluster.address
    assert (there.files, there.data) == (here.files, here.data)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("localhost:8786", InputError, "--scheduler cannot be 'localhost:8786'; allowed: tcp://HOST:PORT or tls://"),
        ("tcp://127.0.0.1:1", MissingError, "no Dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_no_scheduler(address: str, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.pools.dask_pool.CONNECT_S", 1.0)
    with pytest.raises(error) as caught, open_pool(address):
        pass
    assert message in str(caught.value)


def test_no_workers(tmp_path: Path) -> None:
    refused = pytest.raises(MissingError, match="has no workers; dask worker tcp://")
    with dask_cluster(tmp_path, 0) as empty, refused, open_pool(empty.address):
        pass
