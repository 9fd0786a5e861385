"""`edgenet compile --compiler ssh://...`: OpenSSH's own sshd, a double of the compiler on it, cables that are cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenet.artifact import find_artifacts
from tests.compile.compiler_double import write_double
from tests.compile.test_compile import ROOT, left_behind, wait
from tests.devices.cutting_proxy import CuttingProxy, cutting_proxy
from tests.devices.ssh_user import users_home
from tests.devices.sshd import SYSTEM_PATH, Sshd, missing, missing_for_small_disk, sshd
from tests.verbs import Run, verb

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder on the build host's PATH that the compiler is put into."""
    return tmp_path_factory.mktemp("tools")


@pytest.fixture(scope="module")
def host(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("host"), set_env={"PATH": f"{tools}:{SYSTEM_PATH}"}) as host:
        yield host


@pytest.fixture
def proxy(host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    """Give the user an alias `build-host` that leads to the host through a cable that can be cut."""
    with cutting_proxy(host.port) as proxy:
        lines = f"Host build-host\n Port {proxy.port}\n HostName 127.0.0.1\n HostKeyAlias [127.0.0.1]:{host.port}\n"
        lines += host.ssh_config.read_text().replace("Host device", "Host build-host")
        users_home(tmp_path / "user", lines, monkeypatch)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield proxy


@pytest.fixture
def run(proxy: CuttingProxy, capsys: pytest.CaptureFixture[str]) -> Run:
    return verb("compile", capsys)


def there(host: Sshd) -> list[Path]:
    """Return what is left on the host of the folder that the compiler worked in, and of files that were sent."""
    private = host.home / ".cache" / "edgenet"
    return [*left_behind(private), *private.glob("files/*")]


def test_a_model_is_compiled_there(run: Run, host: Sshd, tools: Path, model: Path, tmp_path: Path) -> None:
    write_double(tools)
    done = run(model, "--compiler", "ssh://build-host", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    (artifact,) = find_artifacts(tmp_path / "out")
    assert artifact.manifest.compilation is not None
    assert artifact.manifest.compilation.place == "ssh://build-host"
    assert there(host) == []
    assert host.wait_until_idle() == []


def test_a_host_without_it(run: Run, host: Sshd, tools: Path, model: Path, tmp_path: Path) -> None:
    (tools / "edgetpu_compiler").unlink(missing_ok=True)
    done = run(model, "--compiler", "ssh://build-host", "--out", tmp_path / "out")
    assert done.code == 3
    assert "ssh://build-host has no edgetpu_compiler that runs; three ways forward: " in done.err
    assert done.out.startswith(f"{model.name} on Coral Edge TPU")
    assert there(host) == []


def test_a_host_that_is_not_there(run: Run, proxy: CuttingProxy, model: Path, tmp_path: Path) -> None:
    proxy.refuse()
    done = run(model, "--compiler", "ssh://build-host", "--out", tmp_path / "out")
    assert done.code == 3
    assert f"error: cannot reach 127.0.0.1 port {proxy.port}" in done.err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("when", ["sending", "compiling", "fetching"])
def test_the_cable_is_cut(
    when: str, run: Run, host: Sshd, proxy: CuttingProxy, tools: Path, model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The host is gone for good: it has cleaned up by itself."""
    write_double(tools, "hangs" if when == "compiling" else "good")
    steps = {"sending": f"copying {model.name}", "compiling": "compiling, seconds", "fetching": "compiling, seconds"}
    seen: list[int] = []

    def watch(self: object, step: str, done: int, total: int) -> None:
        seen.append(done) if step == steps[when] else None
        if step == steps[when] and (when != "compiling" or done > 0) and not (when == "fetching" and done != total):
            proxy.refuse()

    monkeypatch.setattr("edgenet.cli.progress.StepProgress.__call__", watch)
    done = run(model, "--compiler", "ssh://build-host", "--out", tmp_path / "out")
    assert done.code == 3, done.err
    words = ("error: lost ssh://build-host", "error: cannot reach 127.0.0.1")  # the second where it connects once more
    assert any(word in done.err for word in words), done.err
    assert seen
    assert list((tmp_path / "out").iterdir()) == []
    wait(lambda: there(host) == [])
    assert host.wait_until_idle() == []


@pytest.mark.parametrize("mode", ["refused", "damaged", "crashed"])
def test_it_fails_there(mode: str, run: Run, host: Sshd, tools: Path, model: Path, tmp_path: Path) -> None:
    write_double(tools, mode)
    done = run(model, "--compiler", "ssh://build-host", "--out", tmp_path / "out")
    assert done.code == 1
    assert list((tmp_path / "out").iterdir()) == []
    assert there(host) == []


def test_it_hangs_there(
    run: Run, host: Sshd, tools: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.compile.GRACE_S", 0.0)
    write_double(tools, "hangs")
    done = run(model, "--compiler", "ssh://build-host", "--out", tmp_path / "out", "--timeout", "2")
    assert (done.code, "ran over 2 s and was ended" in done.err) == (1, True), done.err
    assert there(host) == []
    assert host.wait_until_idle() == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=lambda sent: sent.name)
def test_it_is_interrupted(
    sent: signal.Signals, proxy: CuttingProxy, host: Sshd, tools: Path, model: Path, tmp_path: Path
) -> None:
    write_double(tools, "hangs")
    words = ["compile", str(model), "--compiler", "ssh://build-host", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(
        [sys.executable, "-m", "edgenet", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait(lambda: list(host.home.glob(".cache/edgenet/work-*/out/*")))
    child.send_signal(sent)
    _, err = child.communicate(timeout=20)
    assert child.returncode == (130 if sent == signal.SIGINT else -sent), err
    wait(lambda: there(host) == [])
    assert host.wait_until_idle() == []


FULL = missing_for_small_disk()


@pytest.mark.skipif(bool(FULL), reason=FULL)
def test_the_disk_there_is_full(
    model: Path, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_double(tools)
    small = model.stat().st_size // 2
    with sshd(tmp_path / "small", set_env={"PATH": f"{tools}:{SYSTEM_PATH}"}, disk_bytes=small) as host:
        users_home(tmp_path / "user", host.ssh_config.read_text(), monkeypatch)
        done = verb("compile", capsys)(model, "--compiler", "ssh://device", "--out", tmp_path / "out")
        assert done.code == 3
        assert f"no space left on ssh://device: it could not take {model.name}" in done.err
        assert list((tmp_path / "out").iterdir()) == []
        assert left_behind(host.seen(host.home / ".cache" / "edgenet")) == []
