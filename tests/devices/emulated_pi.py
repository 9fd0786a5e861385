"""A Raspberry Pi over SSH, emulated: Debian for its processor, run by qemu-user, with an sshd of its own.

Its programs are the real ones for arm64 or armhf, its times are qemu's and mean nothing, and it says what a Pi says in
/proc/cpuinfo, /sys (governor, clock, thermometer, device tree) and `vcgencmd`. It needs root, for Debian's packages are
unpacked with their owners and the kernel has to be told of qemu. It runs in namespaces (`namespaces.py`): its mounts
and processes end with it, and its folder is then an ordinary one, which is removed.

The board shares the tester's network, but finds no name server there: for pip it is offline.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from tests.devices import namespaces
from tests.devices.pi_program import BINFMT, ENTRY, Board
from tests.devices.pi_root import (
    ARCHITECTURES,
    USER,
    USER_NUMBER,
    cpuinfo,
    download,
    furnish,
    install,
    mirror,
    server_lines,
    unpack,
)
from tests.devices.processes import LOOPBACK, descendants, free_port, wait_for_greeting
from tests.devices.ssh_access import client_lines, make_keys

START_S = 60.0


@dataclass
class Pi:
    """A running board. `ssh -F <ssh_config> pi` reaches it; paths on it are not the tester's: see `seen`."""

    architecture: str
    port: int
    user: str
    host_key_line: str  # as a line of known_hosts
    client_key: Path
    known_hosts: Path
    ssh_config: Path
    root: Path  # the board's root folder, without what is mounted in it
    wheels: Path  # what pip has for its runtime, on this machine
    board: Board
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    number: int = 0  # of its sshd

    def start(self) -> None:
        """Switch it on; raise RuntimeError if its sshd does not answer."""
        wanted = self.root.with_name("board.json")
        wanted.write_text(json.dumps(asdict(self.board)))
        program = [sys.executable, "-m", "tests.devices.pi_program", str(wanted)]
        self.process = subprocess.Popen(
            namespaces.as_root(program), cwd=namespaces.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        with self.process.stdout as answer:
            line = answer.readline().decode()
        if not line.strip().isdigit():
            self.stop()
            raise RuntimeError(f"the board cannot be made: {line}")
        self.number = int(line)
        if not wait_for_greeting(self.port, START_S).startswith(b"SSH-"):
            log = self.root / "run" / "sshd.log"
            end = log.read_text()[-2000:] if log.exists() else ""
            self.stop()
            raise RuntimeError(f"the board does not answer; its log ends with:\n{end}")

    def stop(self) -> None:
        """Switch it off at once, with all that runs on it."""
        if self.process is not None:
            with suppress(OSError):  # not there: the board never came up
                self.seen(f"{BINFMT}/{self.board.name}").write_text("-1")
            namespaces.end(self.process)
            self.process = None

    def restart(self) -> None:
        """Switch it off and on again; what lies in its files stays."""
        self.stop()
        self.start()

    def seen(self, path: str) -> Path:
        """Return where the tester finds an absolute path of the running board, /sys and /proc too."""
        return Path(f"/proc/{self.number}/root") / path.lstrip("/")

    def throttle(self, flags: int) -> None:
        """Set what `vcgencmd get_throttled` answers."""
        (self.root / "etc/board_throttled").write_text(f"{flags:#x}\n")

    def running(self) -> list[str]:
        """Return the command lines of the programs that run on the board; sshd is none of them."""
        if self.process is None:
            return []
        emulated = []
        for number in descendants(self.process.pid):
            with suppress(OSError):  # it ended meanwhile
                words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0] == self.board.emulator and words[1] != "/usr/sbin/sshd":
                    emulated.append(" ".join(words[2:]).strip())  # without qemu, and the path before the name
        return sorted(emulated)

    def wait_until_idle(self, timeout_s: float = 10.0) -> list[str]:
        """Wait until nothing runs on the board any more; return what still runs after that time."""
        end_s = time.monotonic() + timeout_s
        while (left := self.running()) and time.monotonic() < end_s:
            time.sleep(0.05)
        return left


@cache
def missing(architecture: str = "arm64") -> str:
    """Say what this machine lacks for `emulated_pi`; "" if nothing."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} cannot run another processor's programs as its own"
    if os.geteuid() != 0:
        return "an emulated board needs root"
    needed = ("apt-get", "mmdebstrap", "setpriv", "ssh", "ssh-keygen", "unshare", ARCHITECTURES[architecture].emulator)
    if lacking := [name for name in needed if shutil.which(name) is None]:
        return f"not installed: {', '.join(lacking)} (packages mmdebstrap, openssh-client, qemu-user-static)"
    if not mirror():
        return "apt has no list of Debian's packages; run apt-get update"
    with tempfile.TemporaryDirectory() as folder:
        script = "from tests.devices.namespaces import mount; mount('binfmt_misc', '{0}', 'binfmt_misc')"
        command = namespaces.as_root([sys.executable, "-c", script.format(folder)])
        tried = subprocess.run(command, cwd=namespaces.ROOT, capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"the kernel cannot be told of qemu: {tried.stderr.strip().splitlines()[-1:]}"
    return ""


@contextmanager
def emulated_pi(
    folder: Path, architecture: str = "arm64", runtime_installed: bool = True, disk_bytes: int = 0
) -> Iterator[Pi]:
    """Run a board of `ARCHITECTURES` whose files lie in `folder`, and take it away with all of them.

    With its runtime installed, the board's python3 imports it; else it has NumPy at most, and the wheels of runtime and
    NumPy lie on this machine in `wheels`. `disk_bytes` gives it a home of that size, empty at each start. Raise
    RuntimeError if the wheels or Debian's packages do not come.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    facts, root = ARCHITECTURES[architecture], folder / "root"
    try:
        download(facts, folder / "wheels")
        unpack(facts, root)
        if runtime_installed:
            install(root, folder / "wheels")
        furnish(root)
        pi = _let_in(folder, root, architecture, disk_bytes)
        try:
            pi.start()
            yield pi
        finally:
            pi.stop()
    finally:
        for part in (root, folder / "wheels"):
            if part.exists():
                shutil.rmtree(part)


def _let_in(folder: Path, root: Path, architecture: str, disk_bytes: int) -> Pi:
    """Give the board its sshd's keys and configuration, and the tester what leads there."""
    facts = ARCHITECTURES[architecture]
    port = free_port()
    host_key_line = make_keys(folder, port)
    for name in ("host_key", "authorized_keys"):
        shutil.copy(folder / name, root / "etc/ssh" / name)
    (root / "etc/ssh/board").write_text(server_lines(port, facts))
    board = Board(
        root=str(root),
        emulator=str(shutil.which(facts.emulator)),
        elf_class=facts.elf_class,
        elf_machine=facts.elf_machine,
        cpu=facts.cpu,
        cpuinfo=cpuinfo(facts),
        model=facts.model,
        name=f"{ENTRY}{os.getpid()}-{architecture}-{port}",
        home=f"home/{USER}",
        user_number=USER_NUMBER,
        disk_bytes=disk_bytes,
    )
    pi = Pi(
        architecture=architecture,
        port=port,
        user=USER,
        host_key_line=host_key_line,
        client_key=folder / "client_key",
        known_hosts=folder / "known_hosts",
        ssh_config=folder / "ssh_config",
        root=root,
        wheels=folder / "wheels",
        board=board,
    )
    pi.ssh_config.write_text(client_lines(pi, f"pi {LOOPBACK}"))
    return pi
