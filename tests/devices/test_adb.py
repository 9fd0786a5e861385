"""Android over adb: the real adb client against a device side written for the tests, whose sh and files are real."""

import hashlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.adb import HOME, AdbDevice
from devices.adb_client import STATE_MENDS, chosen
from devices.adb_shell import script
from devices.address import Address
from devices.base import Device, Finished
from edgenet.errors import EdgenetError, InputError, MissingError
from edgenet.progress import silent
from tests.devices.adbd import Adbd, adbd, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

PHONE = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 8",
    "ro.product.device": "shiba",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G3",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
    "ro.build.version.release": "15",
    "ro.kernel.qemu": "",
}
PYTHON = "#!/bin/sh\necho 3.12 bionic\n"


def use_server(phone: Adbd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let adb clients of this process find the phone's private server."""
    for name in ("ANDROID_ADB_SERVER_PORT", "ADB_MDNS", "ANDROID_USER_HOME"):
        monkeypatch.setenv(name, phone.environment[name])


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adbd]:
    with adbd(tmp_path_factory.mktemp("phone"), properties=PHONE) as phone, pytest.MonkeyPatch.context() as monkeypatch:
        use_server(phone, monkeypatch)
        yield phone


@pytest.fixture
def device(phone: Adbd) -> Iterator[AdbDevice]:
    device = AdbDevice(Address("adb", serial=phone.serial))
    yield device
    device.clean_up()
    assert phone.wait_until_idle() == []


def test_it_is_a_device(device: AdbDevice) -> None:
    kept: Device = device  # mypy: the protocol is kept
    assert kept.address.startswith("adb:127.0.0.1:")


def test_it_says_what_it_is(device: AdbDevice, phone: Adbd) -> None:
    told = device.describe()
    assert (told.kind, told.host, told.system, told.home) == ("adb", "shiba", "Android", HOME)
    assert told.machine == os.uname().machine
    assert (told.python, told.python_version) == ("", (0, 0))
    kernel = {"kernel": os.uname().release, "cores": str(len(os.sched_getaffinity(0)))}
    assert told.facts == kernel | {
        "model": "Google Pixel 8",
        "soc": "Google Tensor G3",
        "abi": "arm64-v8a",
        "abis": "arm64-v8a,armeabi-v7a",
        "android": "15",
        "api": "34",
        "libc": "bionic",
    }
    assert phone.seen(str(HOME)).stat().st_mode & 0o777 == 0o700


def test_the_only_device_needs_no_serial(phone: Adbd) -> None:
    device = AdbDevice(Address("adb"))
    assert device.describe().host == "shiba"
    assert device.address == "adb"


ENDS = {
    "well": (["true"], Finished(0, "", "")),
    "with a status": (["sh", "-c", "echo out; echo err >&2; exit 7"], Finished(7, "out\n", "err\n")),
    "without a line feed": (["sh", "-c", "printf out; printf err >&2; exit 1"], Finished(1, "out", "err")),
    "by a signal": (["sh", "-c", "kill -SEGV $$"], Finished(-11, "", "")),
}


@pytest.mark.parametrize(("arguments", "end"), ENDS.values(), ids=ENDS)
def test_how_a_program_ends(device: AdbDevice, arguments: list[str], end: Finished) -> None:
    assert device.run(arguments, 20) == end


def test_a_program_that_is_not_there(device: AdbDevice) -> None:
    done = device.run(["no-such-program", "-x"], 20)
    assert done.status == 127 and "no-such-program" in done.stderr


def test_bytes_pass_both_ways_unchanged(device: AdbDevice) -> None:
    content = bytes(range(256)) * 4096
    done = device.run(["sha256sum"], 20, content)
    assert done.stdout.split()[0] == hashlib.sha256(content).hexdigest()
    assert len(device.run(["head", "-c", "3000000", "/dev/zero"], 20).stdout) == 3_000_000


def test_a_program_that_does_not_read_its_input(device: AdbDevice) -> None:
    assert device.run(["true"], 20, bytes(3_000_000)).status == 0


HOSTILE = ["; touch pwned", "$(touch pwned)", "`touch pwned`", "'", '"', "\\", "a\nb", "-n", "--", "*", "~", "é", ""]


def test_no_shell_reads_arguments(device: AdbDevice) -> None:
    assert device.run(["printf", "<%s>", *HOSTILE], 20).stdout == "".join(f"<{text}>" for text in HOSTILE)
    for text in HOSTILE[:7]:
        assert device.run([text], 20).status in (126, 127)
    assert device.run(["ls", "/data/local/tmp", "/"], 20).stdout.count("pwned") == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=5))
def test_arguments_reach_the_program_as_they_are(device: AdbDevice, arguments: list[str]) -> None:
    expected = "".join(f"<{text}>" for text in arguments) or "<>"
    done = device.run(["printf", "<%s>", *arguments], 20)
    assert done.stdout == expected


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_each_argument_is_one_word_of_the_script(arguments: list[str]) -> None:
    line = script(arguments, "edgenet-0", 0.0).partition("setsid ")[2].rpartition(" <&3")[0]
    assert shlex.split(line) == ["--", *arguments]


def test_an_argument_with_a_nul_is_refused(device: AdbDevice) -> None:
    with pytest.raises(InputError, match=r"holds a NUL.*without NUL"):
        device.run(["echo", "a\0b"], 20)


def test_a_conversation_by_lines(device: AdbDevice) -> None:
    process = device.start(["sh", "-c", 'while read -r line; do echo "got $line"; done; printf "bye\nend"; exit 3'])
    lines = process.lines(20)
    for word in ("one", "two words", "$(three)"):
        process.send(word)
        assert next(lines) == f"got {word}"
    assert process.finish(20) == Finished(3, "bye\nend", "")
    process.kill()


def test_lines_to_the_end(device: AdbDevice) -> None:
    process = device.start(["printf", "a\\n\\nb"])
    assert list(process.lines(20)) == ["a", "", "b"]
    assert process.finish(20).status == 0


def test_push_once_and_pull(device: AdbDevice, phone: Adbd, tmp_path: Path) -> None:
    source = tmp_path / "a model; rm -rf $HOME.tflite"
    source.write_bytes(os.urandom(5_000_000))
    told: list[tuple[str, int, int]] = []
    target = device.push(source, lambda *step: told.append(step))
    assert target == HOME / "files" / hashlib.sha256(source.read_bytes()).hexdigest()
    assert phone.seen(str(target)).read_bytes() == source.read_bytes()
    assert phone.seen(str(target)).stat().st_mode & 0o777 == 0o600
    assert told[0] == (f"copying {source.name}", 0, 5_000_000) and told[-1][1:] == (5_000_000, 5_000_000)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)

    again: list[tuple[str, int, int]] = []
    assert device.push(source, lambda *step: again.append(step)) == target
    assert again == []

    device.pull(target, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    device.remove(target)
    device.remove(target)
    assert not phone.seen(str(target)).exists()


@pytest.mark.parametrize("size_bytes", [0, 1])
def test_push_of_small_files(device: AdbDevice, tmp_path: Path, size_bytes: int) -> None:
    (tmp_path / "small").write_bytes(b"x" * size_bytes)
    target = device.push(tmp_path / "small", silent)
    assert device.run(["stat", "-c", "%s", str(target)], 20).stdout == f"{size_bytes}\n"


def test_push_of_a_file_that_is_not_there(device: AdbDevice, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nothing"):
        device.push(tmp_path / "nothing", silent)


def test_pull_of_a_file_that_is_not_there(device: AdbDevice, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("as it was")
    with pytest.raises(InputError, match=r"cannot bring .*: no such file"):
        device.pull(HOME / "nothing", tmp_path / "kept")
    with pytest.raises(InputError, match="cannot bring"):
        device.pull(PurePosixPath("/proc/self/mem"), tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "as it was"


OUTSIDE = ["/", "/data/local/tmp", str(HOME), f"{HOME}/..", f"{HOME}/files/../../other", "files"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_home_is_removed(device: AdbDevice, path: str) -> None:
    with pytest.raises(InputError, match="not edgenet's to remove"):
        device.remove(PurePosixPath(path))


def test_no_link_leads_out_of_home(device: AdbDevice) -> None:
    device.describe()
    device.run(["sh", "-c", 'mkdir -p /data/local/tmp/other/x; ln -sfn ../other "$1/link"', "sh", str(HOME)], 20)
    with pytest.raises(InputError, match="leads out of"):
        device.remove(HOME / "link" / "x")
    device.remove(HOME / "link")
    assert device.run(["ls", "/data/local/tmp/other"], 20).stdout == "x\n"


ODD_PYTHONS = {"no version": "Python", "other words": "3.x", "nothing": "", "much": "9" * 5000}


def test_a_phone_that_says_odd_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "ro.product.model": "\x1b[2J$(id) 'x'",
        "ro.product.device": "a\nmissing=all",
        "ro.soc.model": "y" * 5000,
    }
    with adbd(tmp_path, properties=names, commands={"python3": "#!/bin/sh\ncat /data/version\n"}) as phone:
        use_server(phone, monkeypatch)
        device = AdbDevice(Address("adb", serial=phone.serial))
        for version in ODD_PYTHONS.values():
            phone.seen("/data/version").write_text(version)
            told = device.describe()
            assert (told.python, told.python_version) == ("", (0, 0))
            assert told.facts["model"] == "Edgenet ?[2J$(id) 'x'"
            assert (told.host, told.facts["soc"]) == ("a missing=all", "y" * 600)


def test_python_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd(tmp_path, commands={"python3": PYTHON}) as phone:
        use_server(phone, monkeypatch)
        address = Address("adb", serial=phone.serial)
        told = AdbDevice(address).describe()
        assert (told.python, told.python_version) == ("/system/bin/python3", (3, 12))
        assert told.facts["emulated"] and told.facts["libc"] == "bionic"
        own = phone.seen(f"{HOME}/venv/bin")
        own.mkdir(parents=True)
        (own / "python").write_text(PYTHON.replace("3.12", "3.13"))
        (own / "python").chmod(0o755)
        assert AdbDevice(address).describe().python == f"{HOME}/venv/bin/python"
        assert AdbDevice(address, python="python3").describe().python_version == (3, 12)
        with pytest.raises(MissingError, match=r"/no/python does not run.*name another"):
            AdbDevice(address, python="/no/python").describe()


CHOICES: dict[str, tuple[str, dict[str, str], str]] = {
    "the only one": ("", {"A1": "device"}, ""),
    "the named one": ("A1", {"A1": "device", "B2": "offline"}, ""),
    "none": ("", {}, "no Android device is connected; plug it in, switch on USB debugging"),
    "several": ("", {"A1": "device", "B2": "offline"}, r"several .*A1 \(device\), B2 \(offline\).*adb:SERIAL"),
    "another": ("C3", {"A1": "device"}, r"adb sees no device C3.*A1 \(device\).*cable"),
    "another over TCP": ("10.0.0.2:5555", {"A1": "device"}, "adb connect 10.0.0.2:5555"),
    "an unknown state": ("A1", {"A1": "rescue"}, "A1 cannot be used: rescue; see adb devices"),
    **{state: ("", {"A1": state}, re.escape(mend)) for state, mend in STATE_MENDS.items()},
    "udev": ("", {"A1": "no permissions (user in plugdev group); see [http://...]"}, "udev rule"),
}


@pytest.mark.parametrize(("serial", "states", "refusal"), CHOICES.values(), ids=CHOICES)
def test_which_device_is_chosen(serial: str, states: dict[str, str], refusal: str) -> None:
    if not refusal:
        assert chosen(serial, states) == "A1"
        return
    with pytest.raises(EdgenetError, match=refusal) as caught:
        chosen(serial, states)
    assert type(caught.value) is (InputError if refusal.startswith("several") else MissingError)
