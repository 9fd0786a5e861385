"""This machine as a device: arguments arrive as they are, pushes go on, and nothing is left running."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from devices.base import DeviceFull, DeviceLost, DeviceTimeout
from devices.local import LocalDevice
from devices.open import open_device
from edgenet.errors import InputError, MissingError
from edgenet.progress import silent

ECHO = ("-c", "import json, sys; print(json.dumps(sys.argv[1:]))")
# Tells the number of a grandchild that would outlive a kill of the child alone.
PARENT = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
HOSTILE = [
    "$(touch hacked)",
    "`touch hacked`",
    "; touch hacked",
    "a b",
    "'\"\\",
    "-c",
    "",
    "\n",
    "*",
    "~",
    "$HOME",
    "ü\x1b[2J",
    "&& touch hacked |",
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "edgenet"


@pytest.fixture
def device(home: Path) -> LocalDevice:
    return LocalDevice(home)


def _gone(process: int) -> bool:
    """Wait a moment for a process to vanish; one that init has not reaped yet counts as gone."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_it_says_what_it_is(device: LocalDevice, home: Path) -> None:
    description = device.describe()
    assert (description.address, description.kind, description.python) == ("local", "local", sys.executable)
    assert description.python_version == sys.version_info[:2]
    assert description.home == PurePosixPath(home)
    assert home.stat().st_mode & 0o777 == 0o700


def test_home_honours_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_device("local").describe().home == PurePosixPath(tmp_path / "edgenet")


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match=r"cannot make .*XDG_CACHE_HOME"):
        LocalDevice(tmp_path / "file" / "edgenet").describe()


def test_arguments_arrive_as_they_are(device: LocalDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert json.loads(device.run([sys.executable, *ECHO, *HOSTILE], 30).stdout) == HOSTILE
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="holds a NUL"):
        device.run([sys.executable, "a\0b"], 30)


def test_run_gives_status_output_and_input(device: LocalDevice) -> None:
    done = device.run(["sh", "-c", "cat; echo oh >&2; exit 3"], 30, b"in\n")
    assert (done.status, done.stdout, done.stderr) == (3, "in\n", "oh\n")
    assert device.run(["sh", "-c", "kill -SEGV $$"], 30).status == -signal.SIGSEGV
    assert device.run(["/does/not/exist"], 30).status == 127


def test_a_run_that_takes_too_long_leaves_nothing(device: LocalDevice, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 60 & echo $! > '{note}'; sleep 60"
    with pytest.raises(DeviceTimeout, match=r"sh ran over 0\.5 s on local and was ended"):
        device.run(["sh", "-c", script], 0.5)
    assert _gone(int(note.read_text()))


def test_an_interrupt_leaves_nothing(device: LocalDevice, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        device.run(["sh", "-c", f"echo $$ > '{note}'; sleep 60"], 30)
    timer.join()
    assert _gone(int(note.read_text()))


def test_a_conversation(device: LocalDevice) -> None:
    process = device.start([sys.executable, "-uc", "import sys\nfor line in sys.stdin: print('got', line, end='')"])
    lines = process.lines(30)
    process.send("one")
    process.send("$(two)")
    assert [next(lines), next(lines)] == ["got one", "got $(two)"]
    process.send("three")
    done = process.finish(30)
    assert (done.status, done.stdout, done.stderr) == (0, "got three\n", "")
    with pytest.raises(DeviceLost):
        process.send("four")
    process.kill()


def test_a_program_that_says_nothing_is_ended_with_its_children(device: LocalDevice) -> None:
    process = device.start([sys.executable, "-c", PARENT])
    lines = process.lines(10)
    grandchild = int(next(lines))
    with pytest.raises(DeviceTimeout, match="gave no sign for"):
        list(process.lines(0.3))
    assert _gone(grandchild)


def test_finish_does_not_wait_for_ever(device: LocalDevice) -> None:
    process = device.start([sys.executable, "-c", PARENT])
    grandchild = int(next(process.lines(10)))
    with pytest.raises(DeviceTimeout):
        process.finish(0.3)
    assert _gone(grandchild)


def test_clean_up_ends_what_runs(device: LocalDevice) -> None:
    grandchild = int(next(device.start([sys.executable, "-c", PARENT]).lines(10)))
    device.clean_up()
    device.clean_up()
    assert _gone(grandchild)


def test_a_program_that_is_not_there_cannot_be_started(device: LocalDevice) -> None:
    with pytest.raises(MissingError, match="cannot start /does/not/exist on local"):
        device.start(["/does/not/exist"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a model; rm -rf ~.tflite"
    path.write_bytes(os.urandom(3_000_000))
    return path


def test_a_push_is_private_and_sent_once(device: LocalDevice, home: Path, source: Path) -> None:
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    path = Path(device.push(source, silent))
    assert path == home / "files" / digest
    assert path.read_bytes() == source.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_mtime_ns
    device.push(source, silent)
    assert path.stat().st_mtime_ns == before
    assert [row.name for row in path.parent.iterdir()] == [digest]


@pytest.mark.parametrize(("start", "first_done"), [(b"", 1_000_000), (b"wrong", 1_000_005)], ids=["good", "spoilt"])
def test_a_push_goes_on_where_it_stopped(
    device: LocalDevice, home: Path, source: Path, start: bytes, first_done: int
) -> None:
    content = source.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    part = home / "files" / f"{digest}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(start + content[:1_000_000])
    steps: list[int] = []
    path = Path(device.push(source, lambda step, done, total: steps.append(done)))
    assert steps[0] == first_done
    assert path.read_bytes() == content
    assert not part.exists()


def test_a_spoilt_copy_is_replaced(device: LocalDevice, source: Path) -> None:
    path = Path(device.push(source, silent))
    path.write_bytes(b"spoilt")
    assert Path(device.push(source, silent)).read_bytes() == source.read_bytes()


def test_a_full_disk(device: LocalDevice, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("devices.local._continue_copy", full)
    with pytest.raises(DeviceFull, match="edgenet devices clean local"):
        device.push(source, silent)


def test_a_pull_is_whole_or_not_there(device: LocalDevice, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "out" / "copy"
    destination.parent.mkdir()
    device.pull(PurePosixPath(source), destination)
    assert destination.read_bytes() == source.read_bytes()
    for absent in ("/does/not/exist", str(tmp_path)):
        with pytest.raises(InputError, match="cannot bring"):
            device.pull(PurePosixPath(absent), destination)
    assert destination.read_bytes() == source.read_bytes()
    assert [path.name for path in destination.parent.iterdir()] == ["copy"]


def test_remove_is_for_what_is_ours(device: LocalDevice, home: Path, tmp_path: Path) -> None:
    device.describe()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (home / "link").symlink_to(outside)
    (home / "runs").mkdir()
    (home / "runs" / "one").touch()
    for path in (home, tmp_path, outside / "kept", home / ".." / "x", home / "link" / "kept", Path("/"), Path("x")):
        with pytest.raises(InputError):
            device.remove(PurePosixPath(path))
    device.remove(PurePosixPath(home / "link"))
    device.remove(PurePosixPath(home / "runs"))
    device.remove(PurePosixPath(home / "never"))
    assert list(home.iterdir()) == []
    assert (outside / "kept").exists()
