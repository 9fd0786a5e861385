"""Output: one JSON document, tables that no pipe cuts, progress that stays out of the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgenet.cli.console import Column, emit_json, next_command, say, show_table, warn
from edgenet.cli.progress import StepProgress

ROOT = Path(__file__).resolve().parent.parent


def test_json_carries_its_schema_version(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"median_s": 0.5, "name": "Brücke"})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"schema_version": 1, "median_s": 0.5, "name": "Brücke"}
    assert (out.isascii(), err) == (True, "")


def test_json_refuses_what_json_lacks() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        emit_json({"median_s": float("nan")})


def test_a_pipe_gets_whole_cells(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show_table([Column("name"), Column("value", numeric=True)], [["x" * 100, "1"], ["[bold]y", "23"]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "name" + " " * 98 + "value"
    assert lines[2:] == ["x" * 100 + " " * 6 + "1", "[bold]y" + " " * 98 + "23"]


def test_a_narrow_terminal_loses_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    show_table([Column("name")], [["abcdefghijklmno"]])
    assert "".join(capsys.readouterr().out.split()).endswith("abcdefghijklmno")


def test_lines_about_the_work_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("reading")
    warn("random weights")
    next_command("edgenet list")
    assert capsys.readouterr() == ("", "reading\nwarning: random weights\nnext: edgenet list\n")


def test_a_pipe_gets_one_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with StepProgress() as report:
        report("trace", 0, 0)
        for done in range(3):
            report("calibrate", done, 2)
    assert capsys.readouterr() == ("", "trace ...\ncalibrate (2) ...\n")


def test_an_error_passes_through_progress() -> None:
    with pytest.raises(ZeroDivisionError), StepProgress():
        raise ZeroDivisionError


def test_a_terminal_gets_bars() -> None:
    script = (
        "from edgenet.cli.progress import StepProgress\n"
        "with StepProgress() as report:\n"
        "    for done in range(4): report('calibrate', done, 3)\n"
    )
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, stderr=theirs, stdout=subprocess.PIPE, check=False
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "calibrate" in shown
    assert "3/3" in shown
