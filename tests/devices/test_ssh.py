"""The SSH adapter against OpenSSH's own server."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from devices.address import Address, parse
from devices.inventory import Entry
from devices.ssh import SshDevice
from devices.ssh_scripts import GO, LONGEST_COMMAND, command
from edgenet.errors import EdgenetError, InputError, MissingError
from edgenet.progress import silent
from tests.devices.cutting_proxy import cutting_proxy
from tests.devices.ssh_user import until, users_home
from tests.devices.sshd import Sshd, jump_host, missing, sshd

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
HOSTILE = [
    "a b",
    "it's",
    'say "so"',
    "$(touch /tmp/never)",
    "`id`",
    "-rf",
    "--",
    "",
    "two\nlines\n",
    "\ttab\r",
    "back\\slash \\n \\0101 %s %b",
    "!! !$ #~ * ? [a] {b,c} ; & | < >",
    "größe 模型 🦀",
    "\x01\x7f",
    "x" * 5000,
]
UPPER = """import sys
for line in sys.stdin: print(line.strip().upper())
print("rest")
print("tail", end="")"""
SAY_ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def configuration(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user of these tests a home of their own; return its ~/.ssh/config."""
    return users_home(tmp_path / "user", server.ssh_config.read_text(), monkeypatch)


@pytest.fixture
def device(configuration: Path) -> Iterator[SshDevice]:
    device = SshDevice(parse("ssh://device"))
    yield device
    device.clean_up()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_says_what_it_is(server: Sshd, device: SshDevice) -> None:
    before = server.log.read_text().count("Starting session: command")
    said = device.describe()
    assert server.log.read_text().count("Starting session: command") == before + 1, "one exchange"
    uname = os.uname()
    home = server.home / ".cache" / "edgenet"
    assert (said.address, said.kind, said.home) == ("ssh://device", "ssh", PurePosixPath(home))
    assert (said.host, said.system, said.machine) == (uname.nodename, uname.sysname, uname.machine)
    assert said.facts["kernel"] == uname.release
    assert int(said.facts["free_bytes"]) > 0
    answer = device.run([said.python, "-c", "import sys; print(sys.version_info[:2])"], 20)
    assert answer.stdout == f"{said.python_version}\n"
    assert {mode_of(home), mode_of(home / "files")} == {0o700}


def test_the_private_environment_is_preferred_and_a_broken_one_is_said(server: Sshd, device: SshDevice) -> None:
    plain = device.describe()
    python = server.home / ".cache" / "edgenet" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(plain.python)
    own = device.describe()
    assert (own.python, own.python_version) == (str(python), plain.python_version)
    python.unlink()
    python.write_text("#!/nowhere/python\n")
    python.chmod(0o700)
    broken = device.describe()
    assert broken.python == plain.python
    assert "setup" in broken.facts["venv"]
    device.remove(PurePosixPath(python.parents[1]))
    assert "venv" not in device.describe().facts


@dataclass(frozen=True)
class Board:
    id: str
    commands: dict[str, str]
    without: tuple[str, ...]
    machine: str
    has_python: bool


BOARDS = [
    Board("no-python", {"uname": "#!/bin/sh\necho riscv64\n"}, ("python",), "riscv64", False),
    Board(
        "32-bit programs on a 64-bit kernel",
        {"uname": "#!/bin/sh\necho aarch64\n", "getconf": "#!/bin/sh\necho 32\n"},
        (),
        "armv7l",
        True,
    ),
    Board("no getconf, no df", {"uname": "#!/bin/sh\necho armv6l\n"}, ("getconf", "df"), "armv6l", True),
]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_other_boards(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sshd(tmp_path / "board", commands=board.commands, without=board.without) as server:
        users_home(tmp_path / "user", server.ssh_config.read_text(), monkeypatch)
        device = SshDevice(parse("ssh://device"))
        said = device.describe()
        assert said.machine == board.machine
        assert bool(said.python) == board.has_python
        assert (said.python_version > (3, 0)) == board.has_python
        (tmp_path / "file").write_bytes(b"content")
        path = Path(device.push(tmp_path / "file", silent))
        assert path.read_bytes() == b"content"
        device.clean_up()


def test_arguments_arrive_as_they_are(device: SshDevice) -> None:
    python = device.describe().python
    answer = device.run([python, "-c", SAY_ARGUMENTS, *HOSTILE], 20)
    assert json.loads(answer.stdout) == HOSTILE
    assert not Path("/tmp/never").exists()


LOGIN_SHELLS = {
    **{name: [name] for name in ("sh", "dash", "bash", "zsh", "mksh", "ksh", "fish", "tcsh", "csh")},
    "busybox": ["busybox", "sh"],
}


@pytest.mark.parametrize("shell", LOGIN_SHELLS.values(), ids=LOGIN_SHELLS)
def test_arguments_pass_any_login_shell(shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"not installed: {shell[0]}")
    text = command("mark", [sys.executable, "-c", SAY_ARGUMENTS, *HOSTILE])
    answer = subprocess.run([*shell, "-c", text], input=f"{GO}\n", capture_output=True, text=True, check=True)
    said, arguments = answer.stdout.split("\n", 1)
    assert said.startswith("mark ")
    assert json.loads(arguments) == HOSTILE


IMPOSSIBLE = {
    "nothing": [],
    "no name": [""],
    "an option": ["-c"],
    "NUL": ["echo", "a\0b"],
    "too long": ["echo", "x" * LONGEST_COMMAND],
}


@pytest.mark.parametrize("arguments", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_arguments_are_refused_here(device: SshDevice, arguments: list[str]) -> None:
    with pytest.raises(InputError):
        device.run(arguments, 5)


def test_how_programs_end(device: SshDevice) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB: more than any buffer on the way
    big = device.run(["sh", "-c", "sha256sum; head -c 8000000 /dev/zero | tr '\\0' x"], 30, content)
    assert big.stdout == f"{hashlib.sha256(content).hexdigest()}  -\n" + "x" * 8_000_000
    ended = device.run(["sh", "-c", "echo out; echo err >&2; exit 37"], 5)
    assert (ended.status, ended.stdout, ended.stderr) == (37, "out\n", "err\n")
    assert device.run(["sh", "-c", "kill -SEGV $$"], 5).status == -11
    assert device.run(["no-such-program"], 5).status == 127
    assert device.run(["true"], 5, content).status == 0, "it does not read what it is sent"
    assert device.run(["sh", "-c", "exec cat"], 5, "größe\n".encode()).stdout == "größe\n"
    assert device.run(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' e >&2; echo end >&2"], 5).stderr.endswith(
        "end\n"
    )


def test_a_conversation_by_lines(device: SshDevice) -> None:
    process = device.start([device.describe().python, "-u", "-c", UPPER])
    lines = process.lines(10)
    for word in ("one", "zwei", "drü"):
        process.send(word)
        assert next(lines) == word.upper()
    other = device.run(["echo", "beside"], 5)
    assert other.stdout == "beside\n"
    assert process.finish(10).stdout == "rest\ntail"
    assert list(process.lines(1)) == []
    with pytest.raises(EdgenetError, match="reads no more"):
        process.send("late")
    process.kill()


def test_a_program_that_writes_faster_than_it_is_read(device: SshDevice) -> None:
    process = device.start(["sh", "-c", "yes 0123456789abcdef | head -n 2000000; echo done"])
    time.sleep(0.3)
    count, last = 0, ""
    for line in process.lines(10):
        count, last = count + 1, line
    assert (count, last) == (2_000_001, "done")
    assert process.finish(5).status == 0


def test_kill_ends_all_that_was_started(server: Sshd, device: SshDevice) -> None:
    process = device.start(["sh", "-c", "trap '' TERM; sleep 301 & setsid sleep 302 & echo up; sleep 303"])
    assert next(process.lines(5)) == "up"
    device.start(["sleep", "304"])
    process.kill()
    until(lambda: server.running() == ["sleep 304"])
    process.kill()
    device.clean_up()
    assert server.wait_until_idle() == []


@pytest.mark.parametrize("name", ["plain", "-rf $(id) ü\n.tflite", "empty"])
def test_a_file_goes_once(server: Sshd, device: SshDevice, tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(b"" if name == "empty" else os.urandom(3_000_001))
    steps: list[tuple[str, int, int]] = []
    path = device.push(source, lambda *step: steps.append(step))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    there = server.home / ".cache" / "edgenet" / "files" / digest
    assert path == PurePosixPath(there)
    assert there.read_bytes() == source.read_bytes()
    assert mode_of(there) == 0o600
    size = source.stat().st_size
    assert steps[0] == (f"copying {name}", 0, size)
    assert steps[-1] == (f"copying {name}", size, size)
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    before = server.log.read_text().count("Starting session: command")
    assert device.push(source, silent) == path
    assert server.log.read_text().count("Starting session: command") == before, "nothing to ask"
    device.remove(path)
    assert device.push(source, silent) == path
    assert there.exists()
    assert not list(there.parent.glob("*.part"))


def test_a_file_comes_back_whole_or_not_at_all(server: Sshd, device: SshDevice, tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    hostile = server.home / "-rf $(id)\n'ü"
    hostile.write_bytes(content)
    device.pull(PurePosixPath(hostile), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    for path in (server.home / "no such file", server.home):
        with pytest.raises(InputError, match="no such file"):
            device.pull(PurePosixPath(path), tmp_path / "none")
    with pytest.raises(InputError, match="cannot bring"):
        device.pull(PurePosixPath(hostile), tmp_path / "no such folder" / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "user"]
    assert server.wait_until_idle() == []


def test_only_what_is_below_home_is_removed(server: Sshd, device: SshDevice) -> None:
    home = Path(device.describe().home)
    (server.home / "precious").mkdir()
    (server.home / "precious" / "file").touch()
    (home / "out").symlink_to(server.home / "precious")
    (home / "-runs" / "deep").mkdir(parents=True)
    (home / "-runs" / "deep" / "file").touch()
    for path in (home, home.parent, home / ".." / ".." / "precious", PurePosixPath("relative"), home / "out" / "file"):
        with pytest.raises(InputError):
            device.remove(PurePosixPath(path))
    for path in (home / "-runs", home / "not there", home / "not there" / "deep", home / "out"):
        device.remove(PurePosixPath(path))
        assert not path.is_symlink()
        assert not path.exists()
    assert (server.home / "precious" / "file").exists()


def test_cleaning_up_twice_and_going_on(server: Sshd, device: SshDevice) -> None:
    device.clean_up()
    process = device.start(["sleep", "300"])
    device.clean_up()
    device.clean_up()
    assert server.wait_until_idle() == []
    assert "edgenet-ssh" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(EdgenetError):
        process.send("late")
    process.kill()
    assert device.run(["echo", "again"], 5).stdout == "again\n"


def test_a_login_shell_that_talks_is_not_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sshd(tmp_path / "board") as server:
        users_home(tmp_path / "user", server.ssh_config.read_text(), monkeypatch)
        with (server.home / ".bashrc").open("a") as file:
            file.write("echo Welcome; printf 'no line feed'; echo trouble >&2\n")
        device = SshDevice(parse("ssh://device"))
        assert device.describe().kind == "ssh"
        ended = device.run(["sh", "-c", "echo out; echo err >&2"], 5)
        assert (ended.stdout, ended.stderr) == ("out\n", "err\n")
        with (server.home / ".bashrc").open("a") as file:
            file.write("echo This account is closed.; exit 1\n")
        with pytest.raises(MissingError, match="This account is closed"):
            device.describe()
        device.clean_up()


def test_through_a_jump_host(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with jump_host(tmp_path / "jump", server) as jump:
        users_home(tmp_path / "user", jump.ssh_config.read_text(), monkeypatch)
        device = SshDevice(parse("ssh://device"))
        assert device.describe().home == PurePosixPath(server.home / ".cache" / "edgenet")
        assert f"127.0.0.1 port {server.port}" in jump.log.read_text()
        device.clean_up()
        jump.known_hosts.write_text("")
        with pytest.raises(MissingError, match=f"host key of 127.0.0.1 port {jump.port} is not in") as caught:
            device.describe()
        assert "`ssh jump` once" in caught.value.mend
        device.clean_up()


def test_an_entry_of_the_inventory(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users_home(tmp_path / "user", "", monkeypatch)
    address = Address("ssh", host="127.0.0.1", user=server.user, port=server.port)
    files = {"identity_file": str(server.client_key), "known_hosts": str(server.known_hosts)}
    device = SshDevice(address, Entry("pi", address, tmp_path, python=sys.executable, **files))
    assert device.describe().python == sys.executable
    assert device.describe().python_version == sys.version_info[:2]
    device.clean_up()
    wrong = SshDevice(address, Entry("pi", address, tmp_path, python="/no/python", **files))
    with pytest.raises(MissingError, match="/no/python does not run"):
        wrong.describe()
    wrong.clean_up()
    for key in files:
        lost = SshDevice(address, Entry("pi", address, tmp_path, **{**files, key: "/no/file"}))
        with pytest.raises(InputError, match=f"{key}: there is no file /no/file"):
            lost.describe()
        lost.clean_up()


def test_a_known_file_costs_no_bytes_in_a_later_session(server: Sshd, configuration: Path, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(os.urandom(2_000_000))
    with cutting_proxy(server.port) as proxy:
        configuration.write_text(
            f"Host device\n Port {proxy.port}\n HostKeyAlias [127.0.0.1]:{server.port}\n" + configuration.read_text()
        )
        for most_bytes in (2_200_000, 20_000):
            before = proxy.sent_bytes
            device = SshDevice(parse("ssh://device"))
            device.push(tmp_path / "model", silent)
            device.clean_up()
            assert proxy.sent_bytes - before < most_bytes
