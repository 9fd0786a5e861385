"""`edgenet devices`: each sub-verb with its JSON, wrong usage, and what is printed for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devices.fake import FakeDevice, described
from devices.local import LocalDevice
from edgenet.__main__ import main
from edgenet.cli.devices import COMMANDS
from tests.devices.boards import BOARD, board

PI = '[devices.pi4]\naddress = "ssh://pi@192.168.1.20"\nprofile = "raspberry-pi-4"\n'


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        assert found.pop("schema_version") == 1
        return found


@dataclass(frozen=True)
class Run:
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Outcome:
        code = main(["devices", *arguments])
        return Outcome(code, *self.capsys.readouterr())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Run(capsys)


def _open(monkeypatch: pytest.MonkeyPatch, device: FakeDevice | LocalDevice) -> None:
    monkeypatch.setattr("devices.open.open_device", lambda text: device)


def test_help_lists_every_sub_verb(run: Run) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        outcome = run(*arguments)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("Usage: edgenet devices [OPTIONS] COMMAND")
        assert all(f"  {name} " in outcome.out for name in COMMANDS)
        assert "..." not in outcome.out.replace("[ARGS]...", "")  # no line is cut


@pytest.mark.parametrize("name", COMMANDS)
def test_each_sub_verb_has_help(run: Run, name: str) -> None:
    outcome = run(name, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: edgenet devices {name} ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["lst"],
            "unknown command 'lst'; allowed: list, add, check, setup, profiles, runner, clean; did you mean list?",
        ),
        (["frobnicate"], "edgenet devices --help shows them all"),
        (["--json"], "edgenet devices --help shows what it takes"),
        (["list", "--jsn"], "unknown option --jsn; did you mean --json?"),
        (["check"], "missing argument 'DEVICE'; edgenet devices check --help shows what it takes"),
        (["check", "local", "more"], "(more); edgenet devices check --help shows what it takes"),
        (["check", "ssh://-oProxyCommand=x"], "cannot be a host"),
        (["check", "pi5"], "unknown device 'pi5'"),
        (["check", "a\nerror: forged"], r"'a\nerror: forged' is no device"),
        (["setup", "ssh://pi:geheim@h"], "holds a password"),
        (["profiles", "pi"], "unknown profile 'pi'"),
        (["add", "a;b", "local"], "a device cannot be called 'a;b'"),
        (["add", "a", "adb", "--profile", "pixel-7"], "unknown profile 'pixel-7'; allowed: coral-dev-board"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_2(run: Run, arguments: list[str], says: str) -> None:
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err
    assert "geheim" not in outcome.err


def test_add_then_list(run: Run, tmp_path: Path) -> None:
    (tmp_path / "devices.toml").write_text(PI)
    added = run("add", "phone", "adb:R58", "--profile", "pixel-6")
    assert (added.code, added.out) == (0, f"phone is adb:R58: {tmp_path}/devices.toml\n")
    assert added.err == "next: edgenet devices check phone\n"
    rows = run("list", "--json").document["devices"]
    assert [(row["name"], row["address"], row["hidden"]) for row in rows] == [
        ("pi4", "ssh://pi@192.168.1.20", False),
        ("phone", "adb:R58", False),
    ]
    assert "raspberry-pi-4" in run("list").out


def test_list_shows_what_a_nearer_file_hides(run: Run, tmp_path: Path) -> None:
    far = tmp_path / "config" / "edgenet" / "devices.toml"
    far.parent.mkdir(parents=True)
    far.write_text('[devices.pi4]\naddress = "local"\n')
    (tmp_path / "devices.toml").write_text(PI)
    assert [row["hidden"] for row in run("list", "--json").document["devices"]] == [False, True]
    assert "(hidden by the file above)" in run("list").out


def test_check_of_this_machine(run: Run, tmp_path: Path) -> None:
    outcome = run("check", "local", "--json")
    assert outcome.code == 0
    found = outcome.document
    assert found["python"]["path"] == sys.executable
    assert found["home"] == str(tmp_path / "cache" / "edgenet")
    assert found["python"]["packages"]["ai_edge_litert"]
    assert (found["kind"], found["ready"]) == ("local", True)
    shown = run("check", "local")
    assert shown.err.endswith("next: edgenet benchmark MODEL.tflite --device local\n")
    assert sys.executable in shown.out


def test_check_of_a_bare_board(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _open(monkeypatch, board({"free_bytes": 10**8}))
    outcome = run("check", "fake:pi", "--json")
    assert outcome.code == 3
    assert outcome.document["ready"] is False
    assert outcome.document["profile"] == ""  # the fake's own word, "a fake device", comes first
    assert outcome.err.splitlines() == [
        "warning: no TFLite runtime: edgenet devices setup fake:pi",
        "warning: the governor is ondemand: edgenet benchmark --fix-governor sets performance while it measures",
        "warning: only 0.1 GiB of disk free: make room, or edgenet devices clean fake:pi",
        "error: fake:pi: no TFLite runtime; edgenet devices setup fake:pi",
    ]


def test_check_finds_the_profile(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = board({"packages": {"ai_edge_litert": "2.3.0"}, "governors": ["performance"]})
    device.description = described("pi", model=str(BOARD["model"]))
    _open(monkeypatch, device)
    assert run("check", "fake:pi", "--json").document["profile"] == "raspberry-pi-4"
    assert device.order[-1] == "clean_up"


def test_setup_says_what_it_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.wheels.fetch", lambda plan, target, report: [])
    device = board({})
    _open(monkeypatch, device)
    outcome = run("setup", "fake:pi", "--offline", "--json")
    assert outcome.document == {
        "device": "fake:pi",
        "origin": "wheels",
        "python": "/home/fake/.cache/edgenet/venv/bin/python",
        "runtimes": {"tflite_runtime": "2.14.0"},
    }
    assert "fake:pi: wheels are fetched here and pushed (--offline)" in outcome.err
    assert device.order[-1] == "clean_up"


def test_profiles(run: Run) -> None:
    assert "raspberry-pi-zero-2-w" in run("profiles").out
    shown = run("profiles", "raspberry-pi-5").out
    assert "2.4 GHz" in shown
    assert "Raspberry Pi documentation" in shown
    assert run("profiles", "pixel-8", "--json").document["facts"]["cores"]["value"] == 9
    assert len(run("profiles", "--json").document["profiles"]) >= 10


def test_the_runner_is_all_that_runner_prints(run: Run) -> None:
    from devices.runner import runner_source

    outcome = run("runner")
    assert (outcome.code, outcome.err) == (0, "next: python3 runner.py MODEL.tflite, on the device\n")
    assert outcome.out == runner_source()


def test_clean_leaves_what_is_not_a_devices(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "cache" / "edgenet"
    for name in ("files", "lock", "venv", "venv.old", "weights"):
        (home / name).mkdir(parents=True)
        (home / name / "content").touch()
    outcome = run("clean", "local")
    assert (outcome.code, outcome.err) == (0, "next: edgenet devices setup local\n")
    assert [path.name for path in home.iterdir()] == ["weights"]
    assert run("clean", "local", "--json").document["removed"][0] == str(home / "files")
