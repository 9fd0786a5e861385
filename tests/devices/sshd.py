"""A device over SSH: OpenSSH's own sshd on the loopback, run as whoever runs the tests.

All that it needs lies in one folder: its host key, the key that opens it, and a home of its own. sshd takes the home
from the system's list of users, so the device sets HOME, SFTP starts there, and the login shell goes there first
(bash by .bashrc or BASH_ENV, as it was built; zsh by .zshenv; a forced command would do it for every shell, but sshd
then refuses signals, which a real board takes). Nothing of the tester's home is read or written.

As root, sshd wants the folder /run/sshd, which is made if it is not there, and left.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.devices.processes import LOOPBACK, MARK, end_all, free_port, marked, wait_for_greeting, wait_until_gone
from tests.devices.ssh_access import client_lines, make_keys

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
START_S = 20.0


@cache
def missing() -> str:
    """Say what this machine lacks for `sshd`; "" if nothing."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has no /proc"
    lacking = [name for name in ("ssh", "ssh-keygen", "setpriv") if shutil.which(name) is None]
    if not _program():
        lacking.append("sshd (package openssh-server)")
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def missing_for_small_disk() -> str:
    """Say what this machine lacks for `sshd(disk_bytes=...)`; "" if nothing."""
    if reason := missing():
        return reason
    if os.geteuid() != 0:
        return "a small disk is a tmpfs in a mount namespace of its own, which only root can make"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


@dataclass
class Sshd:
    """A running sshd. `ssh -F <ssh_config> device` and `... 127.0.0.1` reach it; `home` is the home that it gives."""

    port: int
    user: str
    host_key_line: str  # as a line of known_hosts
    client_key: Path
    known_hosts: Path
    log: Path  # sshd's own, at DEBUG level
    home: Path
    ssh_config: Path
    configuration: Path
    mark: str
    name: str
    disk_bytes: int = 0  # 0: the home is on the tester's disk
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Listen on the port; raise RuntimeError with the log's end if sshd does not."""
        # With the tests gone, however they went, sshd goes too.
        program = [_program(), "-D", "-E", str(self.log), "-f", str(self.configuration)]
        command = ["setpriv", "--pdeathsig", "KILL", *program]
        if self.disk_bytes:
            home = shlex.quote(str(self.home))
            mount = f"mount -t tmpfs -o size={self.disk_bytes},mode=700 tmpfs {home}"
            start = shlex.quote(str(self.configuration.with_name("shell_start")))
            script = f"{mount} && cp {start} {home}/.bashrc && exec {shlex.join(command)}"
            command = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        if not wait_for_greeting(self.port, START_S).startswith(b"SSH-"):
            end = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            self.stop()
            raise RuntimeError(f"sshd does not answer on port {self.port}; its log ends with:\n{end}")

    def stop(self) -> None:
        """End sshd, its connections and every program of the device at once, as a power cut does."""
        if self.process is not None:
            end_all(self.process.pid, self.mark)
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Go down as `stop` does and come up again on the same port; a small disk is empty then."""
        self.stop()
        self.start()

    def running(self) -> list[str]:
        """Return the command lines of the programs that run on the device; sshd itself is none of them."""
        return sorted(marked(self.mark).values())

    def wait_until_idle(self, timeout_s: float = 5.0) -> list[str]:
        """Wait until nothing runs on the device any more; return what still runs after that time."""
        return wait_until_gone(self.mark, timeout_s)

    def seen(self, path: Path) -> Path:
        """Return where the tester finds a path of the device: a small disk shows in its own namespace alone."""
        if not self.disk_bytes or self.process is None:
            return path
        return Path(f"/proc/{self.process.pid}/root") / path.relative_to("/")


@contextmanager
def sshd(
    folder: Path,
    set_env: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
    disk_bytes: int = 0,
    name: str = "device",
) -> Iterator[Sshd]:
    """Run a device whose files lie in `folder`, and end it with all that runs on it.

    `set_env` adds to each program's environment (PATH too); `commands` are scripts, by name, found before the system's;
    `without=("python",)` hides the system's commands that begin so; `disk_bytes` gives it a home of that size (root).
    Its log, keys and configuration are files of `folder`; `name` is its alias in `ssh_config`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    device = _prepare(folder.resolve(), set_env or {}, _path(folder.resolve(), commands or {}, without), name)
    device.disk_bytes = disk_bytes
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    try:
        device.start()
        yield device
    finally:
        device.stop()


@contextmanager
def jump_host(folder: Path, beyond: Sshd) -> Iterator[Sshd]:
    """Run a second sshd named `jump`; its `ssh_config` reaches `beyond` by its alias, through the jump host."""
    with sshd(folder, name="jump") as jump:
        # By alias alone: both are at one address.
        lines = client_lines(beyond, beyond.name, ["ProxyJump jump"]) + client_lines(jump, "jump")
        jump.ssh_config.write_text(lines)
        yield jump


def _prepare(folder: Path, set_env: Mapping[str, str], path: str, name: str) -> Sshd:
    port, user, mark = free_port(), getpass.getuser(), uuid.uuid4().hex
    home = folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    host_key_line = make_keys(folder, port)
    shell_start = folder / "shell_start"
    shell_start.write_text(f"unset BASH_ENV\ncd {shlex.quote(str(home))}\n")
    shutil.copy(shell_start, folder / ".zshenv")
    shutil.copy(shell_start, home / ".bashrc")
    environment = {
        "HOME": str(home),
        "PATH": path,
        "BASH_ENV": str(shell_start),
        "ZDOTDIR": str(folder),
        **set_env,
        MARK: mark,
    }
    device = Sshd(
        port=port,
        user=user,
        host_key_line=host_key_line,
        client_key=folder / "client_key",
        known_hosts=folder / "known_hosts",
        log=folder / "sshd.log",
        home=home,
        ssh_config=folder / "ssh_config",
        configuration=folder / "sshd_config",
        mark=mark,
        name=name,
    )
    device.configuration.write_text(_server_lines(folder, port, user, home, environment))
    device.ssh_config.write_text(client_lines(device, f"{name} {LOOPBACK}"))
    return device


def _server_lines(folder: Path, port: int, user: str, home: Path, environment: Mapping[str, str]) -> str:
    values = " ".join(f'"{name}={value}"' for name, value in environment.items())
    lines = [
        f"ListenAddress {LOOPBACK}",
        f"Port {port}",
        f"HostKey {folder / 'host_key'}",
        f"PidFile {folder / 'sshd.pid'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"AllowUsers {user}",
        "AuthenticationMethods publickey",
        "PermitRootLogin prohibit-password",
        "UsePAM no",
        "StrictModes no",  # the folder may lie below one that a group can write to
        "MaxStartups 100",
        "PrintMotd no",
        "PrintLastLog no",
        "LogLevel DEBUG",
        f"SetEnv {values}",  # one line: sshd takes the first and no other
        f"Subsystem sftp internal-sftp -d {home}",
    ]
    # Newer servers shut out an address after failures, and the tests all come from one.
    if _accepts("PerSourcePenalties=no"):
        lines.append("PerSourcePenalties no")
    return "".join(f"{line}\n" for line in lines)


def _path(folder: Path, commands: Mapping[str, str], without: Sequence[str]) -> str:
    """Return the device's PATH: its own scripts, then the system's commands or those of them that it has."""
    places = []
    if commands:
        places.append(folder / "commands")
        places[-1].mkdir(exist_ok=True)
        for name, script in commands.items():
            (places[-1] / name).write_text(script)
            (places[-1] / name).chmod(0o755)
    if not without:
        return ":".join([*map(str, places), SYSTEM_PATH])
    places.append(folder / "system")
    places[-1].mkdir(exist_ok=True)
    for source in reversed(SYSTEM_PATH.split(":")):  # the first place wins, so it comes last
        for program in Path(source).iterdir():
            if not program.name.startswith(tuple(without)):
                (places[-1] / program.name).unlink(missing_ok=True)
                (places[-1] / program.name).symlink_to(program)
    return ":".join(map(str, places))


def _program() -> str:
    """Return sshd's absolute path, which it insists on; "" if there is none."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


def _accepts(option: str) -> bool:
    command = [_program(), "-G", "-f", "/dev/null", "-o", option]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
