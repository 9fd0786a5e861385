"""`edgenet verify --runtimes ... --device`: the same files on another machine, and what may go wrong there."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgenet
from benchmarks.runtimes import answers_there
from converters import conversion
from converters.cross_runtime import Answers, Source, Study, answers_here, prepare
from converters.runtimes import parse_runtimes
from devices.base import DeviceLost, Finished
from devices.fake import FakeDevice, Program
from devices.local import LocalDevice
from edgenet.errors import EdgenetError, GateFailed, InputError
from edgenet.progress import silent
from tests.devices import sshd as board
from tests.networks import CLASSES, small_variant

ROOT = Path(__file__).resolve().parent.parent
# Where the runtime of these tests lies; a device finds it through this variable.
SITE = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
PYTHON = f'#!/bin/sh\nPYTHONPATH={SITE} exec {sys.executable} "$@"\n'
FP32, W8A8 = "lite0-fp32-random.tflite", "lite0-w8a8-random.tflite"
START_S = 60.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small network as fp32 and w8a8 artifacts."""
    folder = tmp_path_factory.mktemp("models")
    request = conversion.Request(
        small_variant("lite"), (("fp32", "float32"), ("w8a8", "uint8")), "random", "builtin", 16, 0, CLASSES, None
    )
    conversion.run(request, folder, False, (), silent, lambda text: None)
    return folder


@pytest.fixture(scope="module")
def study(models: Path) -> Study:
    """Return both files with images and float answers."""
    return prepare(Source(models), parse_runtimes("xnnpack"), (), silent, print)


def test_this_machine_as_a_device_gives_the_same_bits(study: Study, tmp_path: Path) -> None:
    steps: list[str] = []
    device = LocalDevice(tmp_path / "home")
    asked = parse_runtimes("xnnpack,builtin")
    there = answers_there(study, asked, "bench", device, lambda step, done, total: steps.append(step))
    here = answers_here(study, asked, silent)
    assert [(row.file, row.runtime) for row in there] == [(row.file, f"{row.runtime} @ bench") for row in here]
    for one, other in zip(here, there, strict=True):
        assert one.logits is not None and other.logits is not None
        np.testing.assert_array_equal(one.logits, other.logits)
        assert (other.machine, other.version, other.note) == (one.machine, one.version, "")
    assert {f"{FP32} there", f"{W8A8} there", "copying images.npy"} <= set(steps)
    steps.clear()
    answers_there(study, asked, "bench", LocalDevice(tmp_path / "home"), lambda step, *_: steps.append(step))
    assert not [step for step in steps if step.startswith("copying")]
    assert {path.name for path in (tmp_path / "home").iterdir()} <= {"files", "runner.lock"}


def test_from_python_with_a_device(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    table = edgenet.verify_runtimes(models / W8A8, runtimes="xnnpack", devices=["local"])
    assert [(row.runtime, row.difference) for row in table.rows] == [("xnnpack", 0.0), ("xnnpack @ local", 0.0)]
    assert {row.against for row in table.rows} == {f"{W8A8} in xnnpack"}
    assert table.pairs == ((1.0, 1.0), (1.0, 1.0))


@pytest.mark.parametrize("name", ["images", "model"])
def test_what_was_damaged_there_is_sent_anew(study: Study, tmp_path: Path, name: str) -> None:
    asked = parse_runtimes("xnnpack")
    only = replace(study, files=study.files[1:])
    answers_there(only, asked, "bench", LocalDevice(tmp_path), silent)
    files = {path.stat().st_size: path for path in (tmp_path / "files").iterdir()}
    model_bytes = only.files[0].artifact.path.stat().st_size
    images_bytes = max(files)
    victim = files[model_bytes if name == "model" else images_bytes]
    device = Forgetful(tmp_path)
    victim.write_bytes(victim.read_bytes()[::-1])
    with pytest.raises(GateFailed, match="is not the file that was sent"):
        answers_there(only, asked, "bench", device, silent)
    assert not victim.exists()
    assert answers_there(only, asked, "bench", LocalDevice(tmp_path), silent)[0].logits is not None


class Forgetful(LocalDevice):
    """A device that goes by a file's name when it is asked whether it has it, as one far away does."""

    def push(self, source: Path, report: Any) -> Any:
        target = self._home / "files" / edgenet_digest(source)
        return target if target.exists() else super().push(source, report)


def edgenet_digest(source: Path) -> str:
    from edgenet.weights.cache import file_digest

    return file_digest(source)


# What a device may say


def event(word: str, **values: object) -> str:
    return json.dumps({"event": word, **values})


BOARD = {
    "host": "pi", "model": "", "soc": "", "processor": "", "machine": "aarch64", "cores": 4, "memory_bytes": 1,
    "system": "", "kernel": "", "emulated_by": "",
}  # fmt: skip
RUNTIME = {"name": "ai-edge-litert", "version": "2.3.0", "sha256": "", "python_version": "", "numpy_version": ""}


def document(study: Study, **changes: object) -> dict[str, object]:
    """Return what a sound device answers for the fp32 file, with changes."""
    values = base64.b64encode(np.ones(CLASSES, "<f4").tobytes()).decode()
    outputs = [values] * len(study.images.pixels)
    sound = {
        "schema_version": 1, "kind": "answers", "board": BOARD, "runtime": RUNTIME, "applied": "XNNPACK",
        "dtype": "float32", "outputs": outputs,
    }  # fmt: skip
    return {**sound, **changes}


def ask(study: Study, *lines: str | Exception, lenient: bool = False) -> tuple[FakeDevice, Answers]:
    """Have a fake device answer for the fp32 file with these lines."""

    def reply(line: str) -> Sequence[str]:
        return lines if json.loads(line)["do"] == "answer" else ()  # type: ignore[return-value]  # errors too

    device = FakeDevice("pi", programs=[Program(['{"event": "ready", "version": 1}'], reply, Finished(0, "", ""))])
    asked = replace(parse_runtimes("xnnpack"), lenient=lenient)
    only = replace(study, files=study.files[:1])
    try:
        (row,) = answers_there(only, asked, "pi4", device, silent)
    finally:
        assert device.order[-1] == "clean_up"
    return device, row


def test_what_a_device_answers_becomes_a_row(study: Study) -> None:
    progress = event("progress", step="x", done=1, total=2)
    device, row = ask(study, progress, event("result", document=document(study)))
    assert (row.runtime, row.machine, row.version) == ("xnnpack @ pi4", "aarch64", "ai-edge-litert 2.3.0")
    assert row.note == ""
    assert row.logits is not None and row.logits.shape == (len(study.images.pixels), CLASSES)
    assert (row.logits == 1).all()
    assert [call.given[0] for call in device.calls if call.name == "push"] == ["runner.py", "images.npy", FP32]


def test_an_emulated_board_and_a_delegate_that_took_nothing_are_told(study: Study) -> None:
    changed = document(study, applied="", board={**BOARD, "emulated_by": "qemu (x86_64)"})
    _, row = ask(study, event("result", document=changed))
    assert row.note == "emulated by qemu (x86_64), XNNPACK took no node there"


HALF = base64.b64encode(b"\0" * 2 * CLASSES).decode()
NONSENSE: dict[str, dict[str, object]] = {
    "another kind": {"kind": "runner"},
    "another type": {"dtype": "uint8"},
    "no type": {"dtype": "object"},
    "too few": {"outputs": [HALF]},
    "too short": {"outputs": [HALF] * 64},
    "no base64": {"outputs": ["%"] * 64},
    "nothing": {"outputs": []},
    "more words": {"secret": 1},
}


@pytest.mark.parametrize("lenient", [False, True], ids=["by name", "all"])
@pytest.mark.parametrize("changes", NONSENSE.values(), ids=NONSENSE)
def test_a_device_that_talks_nonsense_is_not_believed(study: Study, changes: dict[str, object], lenient: bool) -> None:
    with pytest.raises(InputError, match="pi4"):
        ask(study, event("result", document=document(study, **changes)), lenient=lenient)


@pytest.mark.parametrize("kind", ["missing-runtime", "delegate", "load", "crash", "hang", "memory"])
def test_a_failure_there_is_a_row_under_all_and_an_error_by_name(study: Study, kind: str) -> None:
    failed = event("failed", kind=kind, message="it broke")
    with pytest.raises(EdgenetError, match="on fake:pi: it broke"):
        ask(study, failed)
    _, row = ask(study, failed, lenient=True)
    assert row.logits is None
    assert row.reason.startswith("on fake:pi: it broke; ")


def test_a_lost_device_ends_it_in_any_case(study: Study) -> None:
    with pytest.raises(DeviceLost, match="the cable was pulled"):
        ask(study, DeviceLost("the cable was pulled"), lenient=True)


# Over SSH


@dataclass(frozen=True)
class Bench:
    """A folder with models, and a board with Python and the runtime that is known there as `ssh://device`."""

    folder: Path
    environment: dict[str, str]
    server: board.Sshd

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one edgenet command."""
        return subprocess.Popen(
            [sys.executable, "-m", "edgenet", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run one edgenet command, check its exit code, and return stdout and stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, err
        return out, err


@pytest.fixture
def bench(models: Path, tmp_path: Path) -> Iterator[Bench]:
    if board.missing():
        pytest.skip(board.missing())
    home = tmp_path / "home"
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "COLUMNS"):
        environment.pop(name, None)
    with board.sshd(tmp_path / "board", commands={"python3": PYTHON}) as server:
        configuration = home / ".ssh" / "config"
        configuration.parent.mkdir(mode=0o700, parents=True)
        shutil.copy(server.ssh_config, configuration)
        folder = shutil.copytree(models, tmp_path / "work")
        (folder / "devices.toml").write_text('[devices.pi4]\naddress = "ssh://device"\n')
        yield Bench(folder, environment, server)


def test_over_ssh_the_files_agree_and_are_sent_once(bench: Bench) -> None:
    arguments = ("verify", ".", "--runtimes", "xnnpack", "--device", "pi4", "--min-agree", "0.1", "--json")
    out, err = bench.run(*arguments)
    rows = json.loads(out)["rows"]
    assert [row["runtime"] for row in rows] == ["xnnpack", "xnnpack @ pi4"] * 2
    assert [row["difference"] for row in rows] == [0.0] * 4
    assert f"copying {W8A8}" in err and "copying images.npy" in err
    again, err = bench.run(*arguments)
    assert again == out
    assert "copying" not in err
    home = bench.server.home / ".cache" / "edgenet"
    assert {path.name for path in home.iterdir()} <= {"files", "runner.lock"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.rglob("*"))
    assert bench.server.wait_until_idle(5.0) == []


def test_an_interrupt_leaves_nothing(bench: Bench) -> None:
    process = bench.start("verify", ".", "--runtimes", "xnnpack,builtin", "--device", "ssh://device")
    deadline_s = time.monotonic() + START_S
    while not any("--child" in line for line in bench.server.running()):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "error: interrupted"
    assert bench.server.wait_until_idle(20.0) == []


def test_a_board_without_the_runtime_is_a_row_or_an_error(bench: Bench) -> None:
    bare = shutil.which("python3", path="/usr/bin:/bin")
    if not bare:
        pytest.skip("needs the system's own python3, which has no TFLite runtime")
    (bench.server.home / "python3").write_text(f'#!/bin/sh\nexec {bare} -I "$@"\n')
    (bench.server.home / "python3").chmod(0o700)
    inventory = f'[devices.bare]\naddress = "ssh://device"\npython = "{bench.server.home}/python3"\n'
    (bench.folder / "devices.toml").write_text(inventory)
    _, err = bench.run("verify", W8A8, "--runtimes", "xnnpack", "--device", "bare", code=3)
    assert "no TFLite runtime here" in err.splitlines()[-1]
    out, _ = bench.run("verify", W8A8, "--runtimes", "all", "--device", "bare")
    assert "xnnpack @ bare" in out
    assert "4: on ssh://device: " in out and "no TFLite runtime here" in out
