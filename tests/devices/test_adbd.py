"""The device over adb, proven with the real adb."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.adbd import Adbd, adbd, missing
from tests.devices.namespaces import ROOT
from tests.devices.processes import descendants, is_alive, wait_until

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
FIVE_MB = 5_000_000
THERE = "/data/local/tmp/there"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adbd]:
    with adbd(tmp_path_factory.mktemp("phone")) as device:
        yield device


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(FIVE_MB))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_exit_status_and_streams(device: Adbd) -> None:
    answer = device.adb("shell", "echo out; echo err >&2; exit 37")
    assert (answer.returncode, answer.stdout, answer.stderr) == (37, b"out\n", b"err\n")
    assert device.adb("shell", "kill -9 $$").returncode == 128 + 9


def test_standard_input_goes_through_and_ends(device: Adbd, blob: Path) -> None:
    content = blob.read_bytes()
    answer = device.adb("shell", "sha256sum; echo done >&2", content=content)
    assert answer.stdout.split()[0].decode() == hashlib.sha256(content).hexdigest()
    assert answer.stderr == b"done\n"
    assert device.adb("shell", "true", content=content).returncode == 0, "a program need not read its input"


def test_exec_is_byte_for_byte(device: Adbd, blob: Path) -> None:
    assert device.adb("push", str(blob), THERE).returncode == 0
    assert device.adb("exec-out", "cat", THERE).stdout == blob.read_bytes()
    assert device.adb("exec-in", f"cat > {THERE}2", content=b"\0\r\n\xff").returncode == 0
    arrived = device.seen(f"{THERE}2")
    wait_until(lambda: arrived.exists() and arrived.read_bytes() == b"\0\r\n\xff")  # the client does not wait


def test_push_and_pull(device: Adbd, blob: Path, tmp_path: Path) -> None:
    blob.chmod(0o600)
    assert device.adb("push", str(blob), "/data/local/tmp/new folder/there").returncode == 0
    pushed = device.seen("/data/local/tmp/new folder/there")
    assert sha256(pushed) == sha256(blob)
    assert pushed.stat().st_mode & 0o777 == 0o666, "Android gives everybody the owner's rights"
    assert device.adb("pull", "/data/local/tmp/new folder/there", str(tmp_path / "back")).returncode == 0
    assert sha256(tmp_path / "back") == sha256(blob)
    assert b"No such file" in device.adb("pull", "/data/absent", str(tmp_path / "absent")).stderr


def test_list(device: Adbd) -> None:
    device.adb("shell", "mkdir /data/list; printf 12345 > /data/list/five; mkdir /data/list/folder")
    lines = device.adb("ls", "/data/list").stdout.decode().splitlines()
    entries = {line.split()[3]: line.split()[:2] for line in lines}
    assert entries["five"][1] == f"{5:08x}"
    assert entries["folder"][0].startswith("000041")  # a folder's mode


def test_it_is_a_phone(device: Adbd) -> None:
    script = "getprop ro.product.model; getprop absent fallback; id -u; pwd; command -v python3 || echo none; touch /x"
    answer = device.adb("shell", script)
    assert answer.stdout.decode().splitlines() == ["Test Phone", "fallback", "2000", "/", "none"]
    assert b"Read-only file system" in answer.stderr
    assert b"[ro.product.cpu.abi]: [x86_64]" in device.adb("shell", "getprop").stdout
    assert b"model:Test_Phone" in device.adb("devices", "-l").stdout
    assert not Path("/data/local/tmp").exists() or not Path(THERE).exists(), "this machine's own /data was written"


def test_what_it_runs_shows_and_outlives_the_client(device: Adbd) -> None:
    device.adb("shell", "nohup setsid sleep 300 >/dev/null 2>&1 </dev/null &")
    wait_until(lambda: device.running() == ["sleep 300"])
    device.adb("shell", "kill $(pgrep sleep)")
    assert device.wait_until_idle() == []
    with pytest.raises(subprocess.TimeoutExpired):
        device.adb("shell", "sleep 301", timeout_s=0.5)
    # The shell is hung up on; what it had started is not.
    wait_until(lambda: device.running() in ([], ["sleep 301"]))
    device.adb("shell", "pkill sleep")


def test_a_cut_stops_a_push_at_that_byte_and_nothing_is_left(device: Adbd, blob: Path) -> None:
    before = device.proxy.sent_bytes
    device.proxy.cut_after(2_000_000)
    assert device.adb("push", str(blob), "/data/cut").returncode != 0
    assert device.proxy.sent_bytes - before >= 2_000_000
    assert device.proxy.cuts == 1
    device.connect()
    assert not device.seen("/data/cut").exists()
    assert device.adb("push", str(blob), "/data/cut").returncode == 0
    assert sha256(device.seen("/data/cut")) == sha256(blob)


def test_a_stall_holds_and_lets_go(device: Adbd) -> None:
    device.proxy.stall()
    with pytest.raises(subprocess.TimeoutExpired):
        device.adb("shell", "true", timeout_s=0.7)
    threading.Timer(0.5, device.proxy.let_through).start()
    start_s = time.monotonic()
    assert device.adb("shell", "echo late").stdout == b"late\n"
    assert time.monotonic() - start_s > 0.4


def test_a_reboot_ends_everything_on_the_device(device: Adbd) -> None:
    arguments = ["shell", "echo up; sleep 302"]
    with subprocess.Popen(device.command(*arguments), env=device.environment, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        try:
            wait_until(lambda: "sleep 302" in device.running())
            device.reboot()
            assert client.wait(timeout=10) != 0
        finally:
            client.kill()
    assert device.running() == []
    assert device.adb("shell", "echo again").stdout == b"again\n"


def test_a_small_disk_fills(tmp_path: Path, blob: Path) -> None:
    with adbd(tmp_path / "small", disk_bytes=2_000_000) as device:
        answer = device.adb("push", str(blob), THERE)
        assert answer.returncode != 0
        assert b"No space left on device" in answer.stderr
        assert not device.seen(THERE).exists()
        assert b"No space left" in device.adb("shell", f"head -c 3000000 /dev/zero > {THERE}").stderr


def test_an_old_phone_has_one_stream_and_no_status(tmp_path: Path, blob: Path) -> None:
    with adbd(tmp_path / "old", features=(), properties={"ro.build.version.release": "6"}) as device:
        answer = device.adb("shell", "echo out; echo err >&2; exit 37")
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"out\nerr\n", b"")
        assert device.adb("push", str(blob), THERE).returncode == 0
        assert device.adb("pull", THERE, str(tmp_path / "back")).returncode == 0
        assert sha256(tmp_path / "back") == sha256(device.seen(THERE)) == sha256(blob)


def test_a_phone_that_was_not_told_yes_and_commands_of_its_own(tmp_path: Path) -> None:
    with adbd(tmp_path / "shy", authorized=False) as device:
        answer = device.adb("shell", "true")
        assert answer.returncode != 0
        assert b"unauthorized" in answer.stderr
    own = {"uname": "#!/bin/sh\necho aarch64\n"}
    with adbd(tmp_path / "own", commands=own, without=("sha256sum",), visible=(tmp_path,)) as device:
        answer = device.adb("shell", f"uname -m; command -v sha256sum || echo none; ls -d {tmp_path}")
        assert answer.stdout.decode().splitlines() == ["aarch64", "none", str(tmp_path)]


def test_nothing_outlives_a_tester_that_is_killed(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from tests.devices.adbd import adbd
with adbd(Path({str(tmp_path)!r})) as device:
    device.adb("shell", "nohup setsid sleep 305 >/dev/null 2>&1 </dev/null &")
    print("up", flush=True)
    input()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tester:
        assert tester.stdout is not None
        assert tester.stdout.readline() == "up\n"
        started = descendants(tester.pid)
        assert len(started) >= 4  # the adb server, the namespace's maker, its first process, what serves adb
        tester.kill()
    wait_until(lambda: not any(is_alive(process) for process in started))
