"""Devices of a sweep: one file at a time on each, a real sshd among them; one that goes away fails the rest at once."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweep import benchmark_step
from benchmarks.sweep.benchmark_step import Line
from devices.fake import FakeDevice
from edgenet.errors import GateFailed, MissingError
from tests.devices.ssh_user import users_home
from tests.devices.sshd import missing, sshd
from tests.sweep.small_sweep import SmallSweep, small_sweep

__all__ = ["small_sweep"]  # a fixture


def test_a_line_measures_one_file_at_a_time_and_lines_go_beside_each_other() -> None:
    inside: list[str] = []
    most = {"one": 0, "both": 0}
    lock = threading.Lock()

    def measuring(name: str) -> Any:
        with lock:
            inside.append(name)
            most["one"] = max(most["one"], inside.count("a"), inside.count("b"))
            most["both"] = max(most["both"], len(inside))
        time.sleep(0.05)
        with lock:
            inside.remove(name)
        return name

    lines = {name: Line(f"fake:{name}") for name in "ab"}
    futures = [lines[name].submit(partial(measuring, name)) for name in "aaabbb"]
    assert [future.result(10).result for future in futures] == list("aaabbb")
    assert most == {"one": 1, "both": 2}
    for line in lines.values():
        line.close()


@pytest.mark.parametrize(
    ("error", "there", "asked"),
    [
        (GateFailed("it hangs"), True, 3),  # of a file: the next one is measured
        (MissingError("the connection broke"), True, 3),  # and came back
        (MissingError("the connection broke"), False, 1),
    ],
)
def test_only_a_device_that_does_not_answer_is_given_up(
    error: Exception, there: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = {} if there else {0: MissingError("nobody answers")}
    monkeypatch.setattr(benchmark_step, "open_device", lambda text: FakeDevice("pi", failures=failures))
    calls: list[int] = []

    def measuring() -> Any:
        calls.append(1)
        raise error

    line = Line("fake:pi")
    futures = [line.submit(measuring) for _ in range(3)]
    told = [str(future.exception(10)) for future in futures]
    assert len(calls) == asked
    assert told == [str(error)] + ([str(error)] * 2 if there else ["nobody answers"] * 2)


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_files_are_measured_over_ssh_and_each_once(
    small_sweep: SmallSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devices.toml").write_text(f'[devices.board]\naddress = "ssh://device"\npython = "{sys.executable}"\n')
    with sshd(tmp_path / "device") as server:
        users_home(tmp_path / "user", server.ssh_config.read_text(), monkeypatch)
        asked = {"devices": ["board"], "benchmark": {"protocol": "quick"}}
        first = small_sweep.run(**asked)
        assert [(row.device, row.status) for row in first.cells] == [("board", "done")] * 2, small_sweep.said
        assert all(row.latencies[0].golden and row.latencies[0].protocol == "quick" for row in first.cells)
        sessions = server.log.read_text().count("Accepted publickey")
        assert small_sweep.run(**asked) == first
        assert server.log.read_text().count("Accepted publickey") == sessions  # nobody was asked again
