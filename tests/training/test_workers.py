"""Two worker processes on loopback train what one process trains with the same global batch."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from edgenet.training.state import CHECKPOINT_NAME, read_state
from edgenet.weights.run_folder import read_run
from tests.training.pictures import write_colours
from tests.training.programs import TIMEOUT_S, history_of, run, start

# Everything random is on: dropout, stochastic depth, crops, RandAugment, mixup and cutmix.
RECIPE = """
[schedule]
batch_size = 8
warmup_epochs = 0
epochs = 2
"""
WORKERS = 2


@pytest.fixture
def command(tmp_path: Path) -> list[str | Path]:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    data = write_colours(tmp_path / "data", 12)
    words = ("train", "--variant", "lite0", "--weights", "random", "--side", "32")
    return [*words, "--data", data, "--recipe", recipe]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _cluster(index: int, ports: list[int]) -> str:
    workers = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})


def test_two_workers_are_one_process_with_the_same_global_batch(command: list[str | Path], tmp_path: Path) -> None:
    ports = _free_ports(WORKERS)
    workers = [
        start(
            *command, "--out", tmp_path / f"worker{index}", "--strategy", "multiworker",
            environment={"TF_CONFIG": _cluster(index, ports)},
        )
        for index in range(WORKERS)
    ]  # fmt: skip
    said = ["".join(worker.communicate(timeout=TIMEOUT_S)) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert "worker 1 is done" in said[1]
    assert not (tmp_path / "worker1").exists()  # the chief alone writes
    code, alone = run(*command, "--out", tmp_path / "alone")
    assert code == 0, alone
    for one, other in zip(history_of(tmp_path / "worker0"), history_of(tmp_path / "alone"), strict=True):
        assert (one.accuracy, one.val_accuracy) == (other.accuracy, other.val_accuracy)
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.val_loss == pytest.approx(other.val_loss, rel=1e-3)
    (_, first), (_, second) = (read_state(tmp_path / name / CHECKPOINT_NAME) for name in ("worker0", "alone"))
    # Adam's first steps are as large for a gradient of rounding noise as for any other: 2e-3. And one device
    # keeps n / (n - 1) times the variance of a batch's n values, while several devices keep the plain one: 1 %.
    weights = [name for name in first if name.startswith("model/")]
    assert [name for name in weights if not np.allclose(first[name], second[name], rtol=0.01, atol=2e-3)] == []
    assert read_run(tmp_path / "worker0").labels == ("blue", "green", "red")
