"""`edgenet sweep` as it is typed: wrong flags, what is printed, what is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.sweep import convert_step, run
from edgenet.__main__ import main
from tests.sweep.small_sweep import InlinePool, class_folders, convert_small, given

FLAGS = ["sweep", "--variants", "lite0", "--precisions", "fp32,w8a8", "--weights", "random"]


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert small networks, in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(convert_step, "convert_files", convert_small)
    monkeypatch.setattr(run, "open_pool", lambda scheduler: given(InlinePool()))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["sweep"], 2, "no grid was given; allowed: SWEEP.toml, or --variants; edgenet sweep --variants lite0,b0"),
        (["sweep", "none.toml"], 2, "cannot read none.toml: No such file or directory"),
        (["sweep", "none.toml", "--data", "photos"], 2, "--data beside none.toml; say it in the file"),
        (["sweep", "--variants", "b9"], 2, "unknown variant 'b9'"),
        ([*FLAGS, "--devices", "pi9"], 2, "unknown device 'pi9'"),
        ([*FLAGS, "--check", "npu"], 2, "unknown target 'npu'"),
        ([*FLAGS, "--protocol", "fast"], 2, "unknown protocol 'fast'"),
        ([*FLAGS, "--out", "/proc/sweep"], 2, "cannot write to /proc/sweep"),
        ([*FLAGS, "--data", "none", "--dry-run"], 2, "'none' does not exist"),
        ([*FLAGS, "--calib", "none"], 2, "'none' does not exist; check the path"),
        ([*FLAGS, "--weights", "none.pth"], 2, "'none.pth' does not exist"),
    ],
)
def test_what_cannot_be_run(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_a_table_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    class_folders(Path("photos"))
    assert main([*FLAGS, "--data", "photos"]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines() if line.startswith("lite0")]
    assert [row[:4] for row in rows] == [["lite0", "fp32", "–", "done"], ["lite0", "w8a8", "–", "done"]]
    assert "written: sweep/sweep.json" in shown.err
    assert shown.err.splitlines()[-1] == "next: edgenet report sweep"


def test_a_document_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGS, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    written = json.loads(Path("sweep/sweep.json").read_text())
    assert document == {**written, "schema_version": document["schema_version"]}


def test_a_failed_cell_is_told_and_the_others_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--variants", "lite0,b7", "--precisions", "fp32", "--weights", "random"]) == 1
    shown = capsys.readouterr()
    assert "FAILED: convert b7-fp32: b7 fails in this test" in shown.err
    assert "error: 1 of 2 cells failed; the first, b7 fp32: b7 fails in this test" in shown.err
    assert [line.split()[3] for line in shown.out.splitlines() if line.startswith(("lite0", "b7"))] == [
        "done",
        "failed",
    ]


def test_a_dry_run_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGS, "--check", "gpu", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("convert, check") == 2
    assert "estimated: " in shown
    assert not Path("sweep").exists()
    assert main([*FLAGS, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"] == "estimated"
