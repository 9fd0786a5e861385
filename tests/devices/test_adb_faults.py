"""What an Android device can do to us: cut lines, reboots, full disks, hangs, missing tools, other hosts, Ctrl-C."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import FrameType

import pytest

from devices import adb_process, adb_push, adb_shell
from devices.adb import HOME, AdbDevice
from devices.adb_client import check_server, server_version
from devices.address import Address
from devices.base import DeviceFull, DeviceLost, DeviceTimeout
from devices.shell_lock import shell_lock
from edgenet.errors import InputError, MissingError
from edgenet.progress import silent
from tests.devices.adbd import Adbd, adb_path, adbd, missing
from tests.devices.processes import LOOPBACK
from tests.devices.test_adb import use_server

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

MB = 1_000_000
# A child in the program's group, and one that leaves it, as daemons do.
FAMILY = ["sh", "-c", "sleep 301 & setsid sleep 302 & echo begun; sleep 303"]


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adbd]:
    with adbd(tmp_path_factory.mktemp("phone")) as phone, pytest.MonkeyPatch.context() as monkeypatch:
        use_server(phone, monkeypatch)
        yield phone


@pytest.fixture
def device(phone: Adbd) -> Iterator[AdbDevice]:
    phone.connect()
    device = device_of(phone)
    yield device
    device.clean_up()
    phone.proxy.let_through()
    assert phone.wait_until_idle() == []


def device_of(phone: Adbd) -> AdbDevice:
    return AdbDevice(Address("adb", serial=phone.serial))


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob.tflite"
    path.write_bytes(os.urandom(20 * MB))
    return path


@contextmanager
def meanwhile(action: Callable[[], object], after_s: float) -> Iterator[None]:
    """Do something in a thread while the block runs."""
    timer = threading.Timer(after_s, action)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def begun(device: AdbDevice, arguments: list[str]) -> adb_process.AdbProcess:
    """Start a program and wait for its first line."""
    process = device.start(arguments)
    assert next(process.lines(20)) == "begun"
    return process


def test_a_push_that_was_cut_goes_on(device: AdbDevice, phone: Adbd, blob: Path) -> None:
    phone.proxy.cut_after(12 * MB)
    with pytest.raises(
        DeviceLost, match=r"was lost while blob.tflite was copied; check the cable.*what was sent is kept"
    ):
        device.push(blob, silent)
    assert phone.wait_until_idle() == []
    phone.connect()
    sent_before = phone.proxy.sent_bytes
    steps: list[int] = []
    target = device.push(blob, lambda step, done, total: steps.append(done))
    assert 8 * MB < steps[0] < 13 * MB
    assert phone.proxy.sent_bytes - sent_before < 12 * MB
    assert phone.seen(str(target)).read_bytes() == blob.read_bytes()
    assert not phone.seen(f"{target}.part").exists()
    device.remove(target)


@pytest.mark.parametrize("size_bytes", [5, 20 * MB, 25 * MB])
def test_a_part_that_is_no_beginning_of_the_file(device: AdbDevice, phone: Adbd, blob: Path, size_bytes: int) -> None:
    target = device.push(blob, silent)
    device.remove(target)
    assert device.run(["dd", "if=/dev/zero", f"of={target}.part", f"bs={size_bytes}", "count=1"], 20).status == 0
    assert device.push(blob, silent) == target
    assert phone.seen(str(target)).read_bytes() == blob.read_bytes()
    assert not phone.seen(f"{target}.part").exists()
    device.remove(target)


def test_a_file_that_was_cut_short_on_the_device_is_sent_anew(device: AdbDevice, phone: Adbd, blob: Path) -> None:
    target = device.push(blob, silent)
    device.run(["truncate", "-s", "1000", str(target)], 20)
    assert device.push(blob, silent) == target
    assert phone.seen(str(target)).read_bytes() == blob.read_bytes()
    device.remove(target)


def test_a_file_that_changes_while_it_is_sent(device: AdbDevice, phone: Adbd, blob: Path) -> None:
    def scribble(step: str, done: int, total: int) -> None:
        with blob.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(os.urandom(1) if done < total else b"")

    with pytest.raises(InputError, match="changed while it was read"):
        device.push(blob, scribble)
    assert device.run(["ls", str(HOME / "files")], 20).stdout == ""


def test_a_push_that_nobody_takes(device: AdbDevice, phone: Adbd, blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device.describe()
    monkeypatch.setattr(adb_push, "STALL_S", 1.0)
    monkeypatch.setattr(adb_shell, "KILL_S", 1.0)

    def stall(step: str, done: int, total: int) -> None:
        if done == 5 * (1 << 20):
            phone.proxy.stall()

    with pytest.raises(DeviceLost, match=r"takes nothing more of blob.*check the cable"):
        device.push(blob, stall)
    phone.proxy.let_through()
    phone.connect()


CUTS: dict[str, Callable[[Adbd], object]] = {
    "cut": lambda phone: phone.proxy.cut(),
    "switched off": lambda phone: phone.stop(),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_run_that_is_cut(
    device: AdbDevice, phone: Adbd, cut: Callable[[Adbd], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb_shell, "WATCHDOG_AFTER_S", 0.5)
    with (
        meanwhile(lambda: cut(phone), 0.5),
        pytest.raises(DeviceLost, match=r"was lost while sleep ran.*check the cable"),
    ):
        device.run(["sleep", "300"], 2)
    # Nobody can reach the device now: it ends the program by itself.
    assert phone.wait_until_idle(10) == []
    if phone.process is None:
        phone.start()
    phone.connect()
    assert device.run(["echo", "back"], 20).stdout == "back\n"


def test_a_conversation_that_is_cut(device: AdbDevice, phone: Adbd) -> None:
    process = begun(device, ["sh", "-c", "echo begun; cat"])
    phone.proxy.cut()
    with pytest.raises(DeviceLost, match="was lost while sh ran"):
        list(process.lines(20))
    with pytest.raises(DeviceLost):
        process.send("x")
        process.finish(20)
    phone.connect()
    assert phone.wait_until_idle() == []  # its standard input has ended


def test_a_reboot(device: AdbDevice, phone: Adbd, blob: Path) -> None:
    target = device.push(blob, silent)
    process = begun(device, FAMILY)
    phone.reboot()
    with pytest.raises(DeviceLost):
        process.finish(20)
    assert device.push(blob, silent) == target
    device.remove(target)


def test_a_program_that_takes_too_long(device: AdbDevice, phone: Adbd) -> None:
    before_s = time.monotonic()
    with pytest.raises(DeviceTimeout, match=r"sh ran over 1 s on adb:127.* and was ended") as caught:
        device.run(FAMILY, 1)
    assert time.monotonic() - before_s < 6
    assert caught.value.exit_code == 1
    assert phone.wait_until_idle() == []


def test_a_program_that_takes_too_long_to_read(device: AdbDevice, phone: Adbd) -> None:
    with pytest.raises(DeviceTimeout, match="sleep ran over 1 s"):
        device.run(["sleep", "300"], 1, bytes(50 * MB))
    assert phone.wait_until_idle() == []


@pytest.mark.parametrize("wait", ["lines", "finish"])
def test_a_program_that_says_nothing(device: AdbDevice, phone: Adbd, wait: str) -> None:
    process = begun(device, FAMILY)
    with pytest.raises(DeviceTimeout, match=r"gave no sign for 0\.5 s"):
        list(process.lines(0.5)) if wait == "lines" else process.finish(0.5)
    assert phone.wait_until_idle() == []


def test_kill_ends_all_that_it_started(device: AdbDevice, phone: Adbd) -> None:
    process = begun(device, FAMILY)
    assert len(phone.running()) >= 3
    process.kill()
    process.kill()
    assert phone.wait_until_idle() == []
    with pytest.raises(DeviceLost):
        process.send("x")


def test_clean_up_ends_what_runs(device: AdbDevice, phone: Adbd) -> None:
    begun(device, FAMILY)
    begun(device, FAMILY)
    device.clean_up()
    device.clean_up()
    assert phone.wait_until_idle() == []


def test_children_end_with_the_program(device: AdbDevice, phone: Adbd) -> None:
    assert device.run(["sh", "-c", "sleep 301 & echo done"], 20).stdout == "done\n"
    assert phone.wait_until_idle() == []


def test_an_environment_that_the_program_empties(device: AdbDevice, phone: Adbd) -> None:
    with pytest.raises(DeviceTimeout):
        device.run(["env", "-i", "/system/bin/sleep", "300"], 1)
    assert phone.wait_until_idle() == []


@pytest.mark.parametrize("after_s", [0.01, 0.1, 0.5])
def test_ctrl_c(device: AdbDevice, phone: Adbd, after_s: float) -> None:
    device.describe()
    signal.setitimer(signal.ITIMER_REAL, after_s)
    with alarm_is_ctrl_c(), pytest.raises(KeyboardInterrupt):
        device.run(FAMILY, 20)
    assert phone.wait_until_idle() == []


@contextmanager
def alarm_is_ctrl_c() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_two_hosts(device: AdbDevice, phone: Adbd) -> None:
    other = device_of(phone)
    with shell_lock(device, HOME):
        with (
            pytest.raises(
                MissingError, match=r"is in use by \S+@\S+ for 0 min; wait; .*adb -s \S+ shell rm -r"
            ) as caught,
            shell_lock(other, HOME),
        ):
            pass
        device.run(["touch", "-d", "2020-01-01T00:00:00", str(HOME / "lock")], 20)
        with pytest.raises(MissingError, match=r"for \d{5} h \d+ min"), shell_lock(other, HOME):
            pass
    # The command that the refusal names removes a lock whose owner is gone, and another's lock is left alone.
    with shell_lock(device, HOME):
        words = caught.value.mend.partition(": ")[2].partition(" shell ")[2]
        assert phone.adb("shell", words).returncode == 0
        with shell_lock(other, HOME):
            device.run(["true"], 20)
    with shell_lock(device, HOME):
        pass
    assert not phone.seen(str(HOME / "lock")).exists()


def test_a_lock_on_a_device_that_goes_away(device: AdbDevice, phone: Adbd) -> None:
    with shell_lock(device, HOME):
        phone.proxy.refuse()
    phone.proxy.let_through()
    phone.connect()
    with pytest.raises(MissingError, match="is in use by"), shell_lock(device, HOME):
        pass
    device.remove(HOME / "lock")


def test_a_disk_that_is_too_small(tmp_path: Path, blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd(tmp_path / "phone", disk_bytes=8 * MB) as phone:
        use_server(phone, monkeypatch)
        device = device_of(phone)
        device.describe()
        with pytest.raises(DeviceFull, match=r"no space on adb:.* for blob.tflite: 20.0 MB are needed; make room"):
            device.push(blob, silent)
        assert phone.proxy.sent_bytes < MB


def test_a_disk_that_fills_up(tmp_path: Path, blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = (
        "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted\necho /dev/x 9 0 999999999 0% /data\n"
    )
    with adbd(tmp_path / "phone", disk_bytes=8 * MB, commands={"df": roomy}) as phone:
        use_server(phone, monkeypatch)
        device = device_of(phone)
        with pytest.raises(DeviceFull, match="no space"):
            device.push(blob, silent)
        assert device.run(["ls", str(HOME / "files")], 20).stdout == ""
        assert phone.wait_until_idle() == []


def test_tools_that_are_not_there(tmp_path: Path, blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd(tmp_path / "phone", without=("sha256sum",)) as phone:
        use_server(phone, monkeypatch)
        for act in (lambda: device_of(phone).describe(), lambda: device_of(phone).push(blob, silent)):
            with pytest.raises(MissingError, match=r"has no sha256sum; use a device with Android 7"):
                act()


def test_an_android_whose_shell_tells_no_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd(tmp_path / "phone", features=("cmd",)) as phone:
        use_server(phone, monkeypatch)
        with pytest.raises(MissingError, match=r"tells no exit statuses .*Android 7 or later"):
            device_of(phone).describe()


def test_a_phone_whose_owner_has_not_said_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd(tmp_path / "phone", authorized=False) as phone:
        use_server(phone, monkeypatch)
        with pytest.raises(MissingError, match=r"cannot be used: unauthorized; unlock its screen"):
            device_of(phone).describe()


def test_a_home_that_cannot_be_made(device: AdbDevice, phone: Adbd) -> None:
    with pytest.raises(MissingError, match=r"cannot make /proc/edgenet on .*; see who owns"):
        AdbDevice(Address("adb", serial=phone.serial), home=PurePosixPath("/proc/edgenet")).describe()


def test_no_device_at_all(phone: Adbd) -> None:
    assert phone.adb("disconnect").returncode == 0
    with pytest.raises(MissingError, match=r"no Android device is connected; plug it in"):
        AdbDevice(Address("adb")).describe()
    with pytest.raises(MissingError, match=rf"adb sees no device {phone.serial}; adb connect {phone.serial}"):
        device_of(phone).describe()
    phone.connect()


def test_the_users_server_is_not_ended(phone: Adbd, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_version(LOOPBACK, phone.server_port) == 41
    asked: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as older:

        def answer() -> None:
            connection, _ = older.accept()
            with connection:
                asked.append(connection.recv(64))
                connection.sendall(b"OKAY00040020")

        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(older.getsockname()[1]))
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(
            MissingError, match=r"is of version 32, .* of 41, which would end it; set ADBUTILS_ADB_PATH"
        ):
            check_server(adb_path())
        thread.join()
    assert asked == [b"000chost:version"]


def test_no_adb_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/no/adb")
    with pytest.raises(MissingError, match=r"cannot start /no/adb.*ADBUTILS_ADB_PATH"):
        AdbDevice(Address("adb")).describe()
