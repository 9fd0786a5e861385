"""The arithmetic of the side-by-side scripts: ratios, bars, tables, documents, exit codes; no timing."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.large_model import run
from benchmarks.peers.latency import BlockRatio, PeerFile, peer_files
from benchmarks.peers.ratios import Limit, Ratio, Side, arguments, exit_with, interleaved, machine, show, shown, timed
from edgenet.errors import GateFailed, InputError, MissingError

OURS, PEER = (1.0, 2.0, 4.0), (8.0, 20.0, 12.0)  # medians 2 and 12
HOST: dict[str, Any] = {"cpu": "none", "cores": 2, "load": 0.0, "python": "3", "versions": {"numpy": "2"}}


@dataclass(frozen=True)
class Case:
    id: str
    row: Ratio | Limit
    reached: bool
    mark: str


CASES = [
    Case("faster than the bar", Ratio("x", OURS, PEER, 5.9, "times faster"), True, ">= 5.9 ok"),
    Case("exactly at it", Ratio("x", OURS, PEER, 6.0, "times faster"), True, ">= 6 ok"),
    Case("slower", Ratio("x", OURS, PEER, 6.1, "times faster"), False, ">= 6.1 MISSED"),
    Case("a smaller share", Ratio("x", PEER, OURS, 6.0, "of theirs"), True, "<= 6 ok"),
    Case("a larger share", Ratio("x", PEER, OURS, 5.9, "of theirs"), False, "<= 5.9 MISSED"),
    Case("no bar", Ratio("x", PEER, OURS, None, "times faster"), True, ""),
    Case("within the limit", Limit("x", (0.2, 9.0, 0.3), "s", 0.3), True, "<= 0.3 s ok"),
    Case("over the limit", Limit("x", (0.2, 0.4, 0.5), "s", 0.3), False, "<= 0.3 s MISSED"),
    Case("bytes", Limit("x", (5.1e9,), "bytes", 5e9), False, "<= 5.00 GB MISSED"),
    Case("median of blocks", BlockRatio("x", OURS, PEER, 0.125, "of theirs"), True, "<= 0.125 ok"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bars(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.row.reached is case.reached
    assert case.row.cells()[-1] == case.mark
    assert show("x", HOST, [case.row], [], True) == (0 if case.reached else 1)
    assert json.loads(capsys.readouterr().out)["rows"][0]["reached"] is case.reached


def test_ratio_is_that_of_the_medians_and_spread_that_of_the_rounds() -> None:
    row = Ratio("x", OURS, PEER, None, "times faster")
    assert row.ratio == 6.0
    assert row.ratios == [8.0, 10.0, 3.0]
    assert row.spread == (3.0, 10.0)
    inverse = Ratio("x", OURS, PEER, None, "of theirs")
    assert inverse.ratio == pytest.approx(1 / 6)
    assert inverse.spread == pytest.approx((1 / 10, 1 / 3))


def test_blocks_have_the_median_of_their_ratios() -> None:
    row = BlockRatio("x", OURS, PEER, None, "of theirs")
    assert row.ratios == pytest.approx([1 / 8, 1 / 10, 1 / 3])
    assert row.ratio == 1 / 8
    low, high = row.spread
    assert 1 / 10 < low < 1 / 8 < high < 1 / 3


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (0.1, "s", "0.1 s"),
        (98.76, "s", "98.8 s"),
        (2e6, "bytes", "2 MB"),
        (4.5e9, "bytes", "4.50 GB"),
    ],
)
def test_units_that_people_use(value: float, unit: Any, text: str) -> None:
    assert shown(value, unit) == text


def test_the_table_has_no_column_that_nobody_fills(capsys: pytest.CaptureFixture[str]) -> None:
    show("x", HOST, [Limit("start", (0.2,), "s", 0.3)], ["a note"], False)
    head, row, *notes = capsys.readouterr().out.splitlines()
    assert head.split() == ["ours", "spread", "bar"]
    assert row.split()[0] == "start"
    assert "a note" in notes
    show("x", HOST, [Ratio("r", OURS, PEER, 5.0, "times faster"), Limit("start", (0.2,), "s", 0.3)], [], False)
    assert capsys.readouterr().out.splitlines()[0].split() == ["ours", "theirs", "ratio", "spread", "bar"]


def test_one_missed_bar_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [CASES[0].row, CASES[2].row, CASES[5].row]
    assert show("x", HOST, rows, [], False) == 1
    assert capsys.readouterr().out.count("MISSED") == 1


def test_the_document_has_every_run_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Ratio | Limit] = [
        Ratio("work", OURS, PEER, 5.0, "times faster"),
        Limit("memory", (1e9, 3e9, 2e9), "bytes", 5e9),
    ]
    assert show("name", HOST, rows, ["a note"], True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert document["benchmark"] == "name"
    assert document["machine"] == HOST
    assert "a note" in document["notes"]
    ratio, limit = document["rows"]
    assert (ratio["ours_runs_s"], ratio["peer_runs_s"]) == (list(OURS), list(PEER))
    assert (ratio["ours_median_s"], ratio["peer_median_s"], ratio["ratio"]) == (2.0, 12.0, 6.0)
    assert (limit["runs_bytes"], limit["median_bytes"], limit["bar_bytes"]) == ([1e9, 3e9, 2e9], 2e9, 5e9)


def test_a_busy_machine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    show("x", HOST | {"load": 1.5}, [CASES[0].row], [], False)
    assert "load 1.5 on 2 cores" in capsys.readouterr().err
    assert machine()["versions"].keys() >= {"numpy", "tensorflow"}


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def side(name: str, seconds: list[float]) -> Side:
        def run_once() -> float:
            order.append(name)
            return seconds.pop(0)

        return run_once

    runs = interleaved({"a": side("a", [9.0, 1.0, 2.0]), "b": side("b", [9.0, 3.0, 4.0])}, rounds=2)
    assert order == ["a", "b"] * 3
    assert runs == {"a": (1.0, 2.0), "b": (3.0, 4.0)}


def test_a_timed_side_runs_its_work_once_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        print("noise")
        os.write(2, b"native noise")

    seconds = timed(work)()
    assert seconds >= 0
    assert calls == [1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_rounds_that_make_no_median_are_bad_usage(rounds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments("x").parse_args(["--rounds", rounds])
    assert ended.value.code == 2
    assert "--rounds" in capsys.readouterr().err


@pytest.mark.parametrize("error", [GateFailed("g"), InputError("i"), MissingError("m")], ids=lambda error: str(error))
def test_what_a_user_can_mend_is_one_line_and_its_code(
    error: GateFailed | InputError | MissingError, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        raise error

    with pytest.raises(SystemExit) as ended:
        exit_with(main)
    assert ended.value.code == error.exit_code
    assert capsys.readouterr().err == f"error: {error}\n"


NAMES = {
    "keras-b0-fp32.tflite": ("b0", "fp32", False),
    "keras-v2-b0-w8a8.tflite": ("v2-b0", "w8a8", False),
    "litert-torch-lite0-fp32-nhwc.tflite": ("lite0", "fp32", True),
    "litert-torch-b0-fp32-nchw.tflite": ("b0", "fp32", True),
}


def test_peers_files_say_by_their_names_what_they_are(tmp_path: Path) -> None:
    for name in (*NAMES, "other.tflite", "keras-b0.tflite", "keras-b0-fp32.tflite.old"):
        (tmp_path / name).touch()
    found = {file.path.name: (file.variant, file.precision, file.normalized) for file in peer_files(tmp_path)}
    assert found == NAMES
    assert PeerFile.of(tmp_path / "keras-b0-int4.tflite") is None


@pytest.mark.parametrize("name", ["", "absent"])
def test_a_folder_without_peers_files_is_bad_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"no peer's file in .*keras_files"):
        peer_files(tmp_path / name)


HELD_BYTES = 200_000_000
PEAKS = f"""
import sys
from benchmarks.peers.large_model import run
inner = "held = bytearray(b'1') * {HELD_BYTES}"
outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {{inner!r}}], check=True)"
print(run([sys.executable, "-c", ""]).peak_rss_bytes, run([sys.executable, "-c", outer]).peak_rss_bytes)
"""


def test_a_run_has_the_memory_of_its_largest_process() -> None:
    # In a process of its own: a command's peak begins with the memory of who starts it, and pytest's is large.
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", PEAKS], cwd=root, capture_output=True, text=True, check=True)
    nothing, grandchild = map(float, done.stdout.split())
    assert HELD_BYTES < grandchild < nothing + 1.5 * HELD_BYTES


def test_a_run_that_fails_is_no_figure() -> None:
    with pytest.raises(GateFailed, match="ended with 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])
