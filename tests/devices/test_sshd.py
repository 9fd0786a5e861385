"""The device over SSH and the proxy that cuts it, proven with OpenSSH's own clients."""

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.cutting_proxy import CuttingProxy, cutting_proxy
from tests.devices.processes import wait_for_greeting, wait_until
from tests.devices.sshd import Sshd, jump_host, missing, missing_for_small_disk, sshd

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
FIVE_MB = 5_000_000
Answer = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("device")) as device:
        yield device


@pytest.fixture
def proxy(device: Sshd) -> Iterator[CuttingProxy]:
    with cutting_proxy(device.port) as proxy:
        yield proxy


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(FIVE_MB))
    return path


def ssh(device: Sshd, command: str, port: int = 0, timeout_s: float = 20, config: Path | None = None) -> Answer:
    # HostKeyAlias: the key is known by the device's own port, whichever port leads there.
    alias = device.host_key_line.split()[0]
    options = ["-o", f"HostKeyAlias={alias}", "-p", str(port)] if port else []
    arguments = ["ssh", "-F", str(config or device.ssh_config), *options, device.name, command]
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
    )


def sftp(device: Sshd, *commands: str, port: int = 0) -> Answer:
    alias = device.host_key_line.split()[0]
    options = ["-o", f"HostKeyAlias={alias}", "-P", str(port)] if port else []
    arguments = ["sftp", "-q", "-b", "-", "-F", str(device.ssh_config), *options, device.name]
    batch = "".join(f"{command}\n" for command in commands)
    return subprocess.run(arguments, input=batch, capture_output=True, text=True, timeout=30, check=False)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_exit_status_and_streams(device: Sshd) -> None:
    answer = ssh(device, "echo out; echo err >&2; exit 37")
    assert (answer.returncode, answer.stdout, answer.stderr) == (37, "out\n", "err\n")


def test_home_is_its_own(device: Sshd) -> None:
    assert ssh(device, 'echo "$HOME"; pwd; echo ~').stdout.split() == [str(device.home)] * 3
    assert str(device.home) in sftp(device, "pwd").stdout
    ssh(device, "mkdir -p ~/.cache/edgenet")
    assert (device.home / ".cache" / "edgenet").is_dir()


def test_put_and_get(device: Sshd, blob: Path, tmp_path: Path) -> None:
    back = tmp_path / "back"
    assert sftp(device, f"put {blob} there", f"get there {back}").returncode == 0
    assert sha256(device.home / "there") == sha256(back) == sha256(blob)


def test_an_unknown_host_key_is_refused_by_the_client(device: Sshd, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    arguments = ["ssh", "-F", str(device.ssh_config), "-o", f"UserKnownHostsFile={tmp_path / 'empty'}"]
    answer = subprocess.run([*arguments, "device", "true"], capture_output=True, text=True, timeout=20, check=False)
    assert answer.returncode == 255
    assert "Host key verification failed" in answer.stderr


def test_a_cut_stops_a_push_at_that_byte_and_the_next_goes_through(
    device: Sshd, proxy: CuttingProxy, blob: Path
) -> None:
    proxy.cut_after(4_000_000)
    assert sftp(device, f"put {blob} cut", port=proxy.port).returncode != 0
    assert proxy.sent_bytes == 4_000_000
    stored = (device.home / "cut").stat().st_size
    # sshd drops what it holds for its SFTP part when a connection ends: at most a channel's window, 2 MiB.
    assert 4_000_000 - 2**21 - 100_000 < stored < 4_000_000
    assert sftp(device, f"reput {blob} cut", port=proxy.port).returncode == 0
    assert sha256(device.home / "cut") == sha256(blob)
    assert proxy.sent_bytes - 4_000_000 < FIVE_MB - stored + 100_000, "the second push started over"


def test_a_stall_holds_and_lets_go(device: Sshd, proxy: CuttingProxy) -> None:
    proxy.stall()
    with pytest.raises(subprocess.TimeoutExpired):
        ssh(device, "true", port=proxy.port, timeout_s=1)
    threading.Timer(0.7, proxy.let_through).start()
    start_s = time.monotonic()
    assert ssh(device, "echo late", port=proxy.port).stdout == "late\n"
    assert time.monotonic() - start_s > 0.6


def test_a_switched_off_proxy_refuses_and_comes_back(device: Sshd, proxy: CuttingProxy) -> None:
    proxy.refuse()
    assert ssh(device, "true", port=proxy.port).returncode == 255
    assert proxy.connections == 1
    proxy.let_through()
    assert ssh(device, "true", port=proxy.port).returncode == 0


def test_a_reboot_ends_everything_on_the_device(tmp_path: Path) -> None:
    with sshd(tmp_path) as device:
        ssh(device, "setsid nohup sleep 300 >/dev/null 2>&1 &")
        wait_until(lambda: device.running() == ["sleep 300"])
        arguments = ["ssh", "-F", str(device.ssh_config), "device", "echo up; sleep 301"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "up\n"
            try:
                wait_until(lambda: "sleep 301" in device.running())
                device.restart()
                assert client.wait(timeout=10) == 255
            finally:
                client.kill()
        assert device.running() == []
        assert ssh(device, "echo again").stdout == "again\n"
        device.stop()
        assert ssh(device, "true").returncode == 255
    assert wait_for_greeting(device.port, 0.2) == b""


def test_environment_commands_and_what_it_lacks(tmp_path: Path) -> None:
    commands = {"uname": "#!/bin/sh\necho riscv64\n"}
    with sshd(tmp_path, set_env={"COLOUR": "deep red"}, commands=commands, without=("python",)) as device:
        answer = ssh(device, 'echo "$COLOUR"; uname -m; command -v python3 || echo none; command -v sha256sum')
        colour, machine, python, sum_program = answer.stdout.splitlines()
        assert (colour, machine, python) == ("deep red", "riscv64", "none")
        assert sum_program.endswith("/sha256sum")


def test_a_jump_host_leads_there(device: Sshd, tmp_path: Path) -> None:
    with jump_host(tmp_path, device) as jump:
        assert ssh(device, "echo through", config=jump.ssh_config).stdout == "through\n"
        assert f"127.0.0.1 port {device.port}" in jump.log.read_text()


@pytest.mark.skipif(bool(missing_for_small_disk()), reason=missing_for_small_disk())
def test_a_small_disk_fills(tmp_path: Path, blob: Path) -> None:
    with sshd(tmp_path / "small", disk_bytes=2_000_000) as device:
        answer = sftp(device, f"put {blob} there")
        assert answer.returncode != 0
        assert "Failure" in answer.stderr  # SFTP version 3 has no number for a full disk
        assert "No space left" in ssh(device, "head -c 3000000 /dev/zero > more").stderr
        assert device.seen(device.home / "there").stat().st_size > 1_000_000
        assert not (device.home / "there").exists()
