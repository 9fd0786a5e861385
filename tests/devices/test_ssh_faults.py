"""What goes wrong with a device over SSH, each for real: cables, power, space, programs, interrupts."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

import devices.ssh_settings
from devices.address import parse
from devices.base import DeviceFull, DeviceLost, DeviceTimeout
from devices.ssh import SshDevice
from edgenet.errors import InputError, MissingError
from edgenet.progress import silent
from tests.devices.cutting_proxy import CuttingProxy, cutting_proxy
from tests.devices.ssh_user import until, users_home
from tests.devices.sshd import Sshd, missing, missing_for_small_disk, sshd

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
SIZE_BYTES = 24_000_000
# sshd drops what it holds of a connection that ends: a window of 2 MiB; and a try begins at a whole MiB.
LOST_BYTES = 3 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def proxy(server: Sshd) -> Iterator[CuttingProxy]:
    with cutting_proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user of these tests a home of their own; return its ~/.ssh/config, which is empty."""
    return users_home(tmp_path / "user", "", monkeypatch)


@pytest.fixture
def device(server: Sshd, proxy: CuttingProxy, configuration: Path) -> Iterator[SshDevice]:
    """The device behind the proxy."""
    alias = f"HostKeyAlias [127.0.0.1]:{server.port}"
    configuration.write_text(f"Host device\n Port {proxy.port}\n {alias}\n{server.ssh_config.read_text()}")
    device = SshDevice(parse("ssh://device"))
    yield device
    device.clean_up()


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blob") / "model.tflite"
    path.write_bytes(os.urandom(SIZE_BYTES))
    return path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_of(server: Sshd) -> Path:
    return server.home / ".cache" / "edgenet" / "files"


# --- the cable and the power ---


def test_a_cut_push_goes_on_where_it_stopped(server: Sshd, device: SshDevice, proxy: CuttingProxy, blob: Path) -> None:
    device.describe()
    begun = proxy.sent_bytes
    proxy.cut_after(16_000_000)
    steps: list[int] = []
    path = device.push(blob, lambda step, done, total: steps.append(done))
    assert digest_of(Path(path)) == digest_of(blob)
    assert (proxy.cuts, proxy.connections) == (1, 2)
    sent = proxy.sent_bytes - begun
    assert sent < SIZE_BYTES * 1.02 + LOST_BYTES, "it did not begin anew"
    assert sorted(steps) != steps, "progress tells what was lost"
    assert not list(files_of(server).glob("*.part"))
    device.remove(path)


def test_a_device_that_comes_back_after_a_while(device: SshDevice, proxy: CuttingProxy, blob: Path) -> None:
    device.describe()
    sent = threading.Event()
    proxy.cut_after(16_000_000)

    def watch(step: str, done: int, total: int) -> None:
        if done > 12_000_000 and not sent.is_set():
            sent.set()
            proxy.refuse()
            threading.Timer(1.2, proxy.let_through).start()

    path = device.push(blob, watch)
    assert digest_of(Path(path)) == digest_of(blob)
    assert proxy.connections >= 3
    device.remove(path)


def test_a_device_that_does_not_come_back(
    server: Sshd, device: SshDevice, proxy: CuttingProxy, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.ssh_push.WAITS_S", (0.05, 0.05))
    device.describe()

    def switch_off(step: str, done: int, total: int) -> None:
        if done > 12_000_000:
            proxy.refuse()

    with pytest.raises(DeviceLost, match=r"2 tries in a row") as caught:
        device.push(blob, switch_off)
    assert "it goes on" in caught.value.mend
    device.clean_up()
    part = files_of(server) / f"{digest_of(blob)}.part"
    there = part.stat().st_size
    assert 12_000_000 - LOST_BYTES < there <= SIZE_BYTES
    assert part.read_bytes() == blob.read_bytes()[:there], "a cut leaves a beginning"
    assert part.stat().st_mode & 0o777 == 0o600
    proxy.let_through()
    begun = proxy.sent_bytes
    path = device.push(blob, silent)
    assert proxy.sent_bytes - begun < (SIZE_BYTES - there) * 1.02 + LOST_BYTES
    device.remove(path)


@pytest.mark.parametrize("what", ["longer", "whole", "shorter", "a link", "a folder"])
def test_a_part_that_is_no_part_of_it(server: Sshd, device: SshDevice, tmp_path: Path, what: str) -> None:
    source = tmp_path / "model"
    source.write_bytes(os.urandom(2_500_000))
    device.describe()
    part = files_of(server) / f"{digest_of(source)}.part"
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 1_200_000)
    sizes = {"longer": 2_500_001, "whole": 2_500_000, "shorter": 1_200_000}
    if what in sizes:
        part.write_bytes(b"x" * sizes[what])
    elif what == "a link":
        part.symlink_to(precious)
    else:
        part.mkdir()
    assert digest_of(Path(device.push(source, silent))) == digest_of(source)
    assert precious.read_bytes() == b"x" * 1_200_000


def test_a_source_that_cannot_be_read_or_changes(device: SshDevice, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="cannot read"):
            device.push(place, silent)
    source = tmp_path / "model"
    source.write_bytes(b"a" * 3_000_000)

    def spoil(step: str, done: int, total: int) -> None:
        source.write_bytes(os.urandom(3_000_000))

    with pytest.raises(InputError, match="another content"):
        device.push(source, spoil)


def test_a_dead_network_is_noticed(
    server: Sshd, device: SshDevice, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorter = {**devices.ssh_settings.ALWAYS, "keepalive_interval": 0.3}
    monkeypatch.setattr(devices.ssh_settings, "ALWAYS", shorter)
    monkeypatch.setattr("devices.ssh.RECONNECT_S", 0.5)
    process = device.start(["cat"])
    proxy.stall()
    start_s = time.monotonic()
    with pytest.raises(DeviceLost, match="while cat ran there"):
        next(process.lines(30))
    assert time.monotonic() - start_s < 3
    device.clean_up()
    assert time.monotonic() - start_s < 5
    proxy.let_through()
    assert server.wait_until_idle() == [], "its input has ended"


def test_a_lost_program_is_ended_when_the_device_answers_again(
    server: Sshd, device: SshDevice, proxy: CuttingProxy
) -> None:
    process = device.start(["sh", "-c", "echo up; exec sleep 305 </dev/null"])
    lines = process.lines(10)
    next(lines)
    proxy.cut()
    with pytest.raises(DeviceLost):
        next(lines)
    until(lambda: server.running() == ["sleep 305"])
    device.clean_up()
    assert server.wait_until_idle() == []


def test_a_restart_during_a_run(tmp_path: Path, configuration: Path) -> None:
    with sshd(tmp_path / "board") as board:
        configuration.write_text(board.ssh_config.read_text())
        device = SshDevice(parse("ssh://device"))
        process = device.start(["sh", "-c", "echo up; sleep 300"])
        lines = process.lines(10)
        assert next(lines) == "up"
        board.restart()
        start_s = time.monotonic()
        with pytest.raises(DeviceLost, match=r"ssh://device while sh ran there.*") as caught:
            next(lines)
        assert time.monotonic() - start_s < 3
        assert "restarted" in caught.value.mend
        with pytest.raises(DeviceLost):
            process.send("late")
        process.kill()
        assert device.run(["echo", "again"], 10).stdout == "again\n"
        board.stop()
        with pytest.raises(DeviceLost):
            device.run(["true"], 5)
        device.clean_up()


# --- the disk ---

FULL_REASON = missing_for_small_disk()
PRETENDS_SPACE = (
    "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho 'x 9 9 99999999 1% /'\n"
)


@pytest.mark.skipif(bool(FULL_REASON), reason=FULL_REASON)
@pytest.mark.parametrize("commands", [{}, {"df": PRETENDS_SPACE}], ids=["known before", "found on the way"])
def test_a_full_disk(commands: dict[str, str], tmp_path: Path, configuration: Path, blob: Path) -> None:
    with sshd(tmp_path / "board", disk_bytes=8_000_000, commands=commands) as board:
        configuration.write_text(board.ssh_config.read_text())
        device = SshDevice(parse("ssh://device"))
        done: list[int] = []
        with pytest.raises(DeviceFull, match=r"24\.0 MB are needed") as caught:
            device.push(blob, lambda step, at, total: done.append(at))
        assert "edgenet devices clean ssh://device" in caught.value.mend
        assert bool(done) == bool(commands), "nothing is sent where it is known before"
        assert list(board.seen(files_of(board)).iterdir()) == []
        small = tmp_path / "small"
        small.write_bytes(os.urandom(1_000_000))
        assert digest_of(board.seen(Path(device.push(small, silent)))) == digest_of(small)
        device.clean_up()


# --- the private folder ---


@dataclass(frozen=True)
class Trap:
    id: str
    lay: Callable[[Path], object]  # given the home
    says: str


def owned_by_nobody(home: Path) -> None:
    (home / ".cache" / "edgenet").mkdir(parents=True)
    os.chown(home / ".cache" / "edgenet", 65534, 65534)


def writable_by_all(home: Path) -> None:
    (home / ".cache").mkdir()
    (home / ".cache").chmod(0o777)


def a_link(home: Path) -> None:
    (home / "elsewhere").mkdir()
    (home / ".cache").mkdir()
    (home / ".cache" / "edgenet").symlink_to(home / "elsewhere")


TRAPS = [
    Trap("a link", a_link, "is a symbolic link"),
    Trap("a file", lambda home: (home / ".cache").write_text(""), "cannot make"),
    Trap("writable by all", writable_by_all, "anybody may write"),
    Trap("of another user", owned_by_nobody, "belongs to another user"),
]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.id)
def test_a_private_folder_that_is_not_ours(trap: Trap, tmp_path: Path, configuration: Path) -> None:
    if trap.lay is owned_by_nobody and os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    with sshd(tmp_path / "board") as board:
        configuration.write_text(board.ssh_config.read_text())
        trap.lay(board.home)
        device = SshDevice(parse("ssh://device"))
        with pytest.raises(MissingError, match=trap.says):
            device.describe()
        device.clean_up()


def test_a_folder_that_was_open_is_closed(server: Sshd, device: SshDevice) -> None:
    home = Path(device.describe().home)
    home.chmod(0o755)
    device.describe()
    assert home.stat().st_mode & 0o777 == 0o700


# --- programs that hang, and people who do not wait ---

HANGS = {
    "sleeps": ["sleep", "300"],
    "with children": ["sh", "-c", "sleep 301 & setsid sleep 302 >/dev/null 2>&1 & sleep 303"],
    "does not want to end": ["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 0.05; done"],
}


@pytest.mark.parametrize("arguments", HANGS.values(), ids=HANGS)
def test_a_hanging_program_is_ended_with_all_that_it_started(
    server: Sshd, device: SshDevice, arguments: list[str]
) -> None:
    with pytest.raises(DeviceTimeout, match=f"{arguments[0]} on ssh://device ran over 0.3 s"):
        device.run(arguments, 0.3)
    assert server.running() == []
    process = device.start(arguments)
    with pytest.raises(DeviceTimeout, match=r"gave no sign for 0\.2 s"):
        next(process.lines(0.2))
    assert server.running() == []


def sleeps(device: SshDevice) -> None:
    device.run(["sh", "-c", "trap '' HUP; sleep 300 & sleep 301"], 60)


def reads_lines(device: SshDevice) -> None:
    list(device.start(["sleep", "302"]).lines(60))


def pushes(device: SshDevice) -> None:
    for number in range(1000):
        source = Path(os.environ["HOME"]) / f"model{number}"
        source.write_bytes(os.urandom(4_000_000))
        device.push(source, silent)


def starts(device: SshDevice) -> None:
    for _ in range(5):
        device.start(["sh", "-c", "exec sleep 303 </dev/null"])
        device.run(["sleep", "0.1"], 60)


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("work", [sleeps, reads_lines, pushes, starts])
def test_an_interrupt_leaves_nothing(
    server: Sshd, device: SshDevice, work: Callable[[SshDevice], None], after_s: float
) -> None:
    main = threading.main_thread().ident
    assert main
    timer = threading.Timer(after_s, signal.pthread_kill, (main, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        work(device)
    start_s = time.monotonic()
    device.clean_up()
    assert time.monotonic() - start_s < 4
    assert server.wait_until_idle() == []
    assert "edgenet-ssh" not in [thread.name for thread in threading.enumerate()]


def test_an_interrupt_in_a_dead_network(
    server: Sshd, device: SshDevice, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.ssh.KILL_S", 0.3)
    monkeypatch.setattr("devices.ssh.RECONNECT_S", 0.3)
    process = device.start(["cat"])
    proxy.stall()
    main = threading.main_thread().ident
    assert main
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
        list(process.lines(60))
    start_s = time.monotonic()
    device.clean_up()
    assert time.monotonic() - start_s < 5
    proxy.let_through()
    assert server.wait_until_idle() == [], "its input has ended"


def test_a_device_nobody_cleans_up_does_not_hold_the_interpreter(server: Sshd, configuration: Path) -> None:
    configuration.write_text(server.ssh_config.read_text())
    program = (
        "from devices.address import parse; from devices.ssh import SshDevice\n"
        "SshDevice(parse('ssh://device')).start(['cat'])\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20, cwd=Path(__file__).parents[2])
    assert server.wait_until_idle() == []


def test_more_programs_than_the_server_allows(server: Sshd, device: SshDevice) -> None:
    with pytest.raises(MissingError, match="does not start cat") as caught:
        for _ in range(20):
            device.start(["cat"])
    assert "MaxSessions" in caught.value.mend
    device.clean_up()
    assert server.wait_until_idle() == []


def test_where_a_file_lies_is_said(device: SshDevice, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        device.pull(PurePosixPath("relative/$(id)"), tmp_path / "none")
