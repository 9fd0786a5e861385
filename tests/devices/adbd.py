"""An Android device as adb sees it: the device's side of the protocol, reached by the real adb over TCP.

It runs in namespaces of its own (`namespaces.py`), so its paths are real and need no translation: its / is read-only,
its /data and /sdcard lie in the test's folder, its processes end with it, and its user has the number 2000 as Android's
`shell`. Below that is this machine's system: programs are glibc's, `uname -m` is this machine's, and the
shell is this machine's /bin/sh. On the PATH are those of this machine's commands that Android has too, and `getprop`.

adb itself runs as a private server on a port of its own, with keys of its own, through a proxy that can cut the line.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from shlex import quote

from tests.devices import namespaces
from tests.devices.adbd_program import Setting
from tests.devices.cutting_proxy import CuttingProxy, cutting_proxy
from tests.devices.processes import LOOPBACK, descendants, free_port

PROGRAM = "tests.devices.adbd_program"
SHELL_USER = 2000
START_S = 20.0
PRESENT_DAY = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir", "sendrecv_v2")
PROPERTIES = {
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.manufacturer": "Edgenet",
    "ro.product.model": "Test Phone",
    "ro.product.name": "testphone",
    "ro.product.device": "testphone",
    "ro.product.cpu.abi": "x86_64",
    "ro.soc.model": "TEST1",
    "ro.hardware": "testboard",
    "ro.kernel.qemu": "1",
}
# Commands that Android has too; all but awk and sh are of its toybox (external/toybox of its source).
COMMANDS = """awk base64 basename cat chgrp chmod chown cksum clear cmp comm cp cpio cut date dd df diff dirname dmesg
du echo egrep env expr fallocate false fgrep file find flock free getconf grep groups gunzip gzip head hostname id
ionice kill killall ln ls lsof md5sum mkdir mkfifo mknod mktemp more mount mountpoint mv nice nl nohup nproc od paste
patch pgrep pidof pkill printenv printf ps pwd readlink realpath renice rm rmdir sed seq setsid sh sha1sum sha224sum
sha256sum sha384sum sha512sum sleep sort split stat strings sync tac tail tar taskset tee test time timeout top touch tr
true truncate tty uname uniq unlink uptime vmstat wc which whoami xargs xxd yes zcat"""


@cache
def missing() -> str:
    """Say what this machine lacks for `adbd`; "" if nothing."""
    try:
        adb_path()
    except ImportError as error:
        return f"not installed: {error.name}"
    return namespaces.missing()


def adb_path() -> str:
    """Return the adb that adbutils ships."""
    return str(importlib.import_module("adbutils").adb_path())


@dataclass
class Adbd:
    """A running device, connected to a private adb server; `port` is its own, `proxy.port` the one in `serial`."""

    port: int
    server_port: int
    serial: str
    proxy: CuttingProxy
    environment: Mapping[str, str]  # what an adb client needs to find the private server
    setting: Setting
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    number: int = 0  # of the process that serves

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of the real adb against this device; run it with `environment`."""
        return [adb_path(), "-P", str(self.server_port), "-s", self.serial, *arguments]

    def adb(self, *arguments: str, content: bytes = b"", timeout_s: float = 30) -> subprocess.CompletedProcess[bytes]:
        """Run the real adb against this device; raise TimeoutExpired."""
        command, environment = self.command(*arguments), dict(self.environment)
        return subprocess.run(
            command, input=content, capture_output=True, env=environment, timeout=timeout_s, check=False
        )

    def start(self) -> None:
        """Switch it on; raise RuntimeError with the log's end if it does not come up."""
        wanted = self.log.with_name("setting.json")
        wanted.write_text(json.dumps(asdict(self.setting)))
        program = [sys.executable, "-m", PROGRAM, str(wanted)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                namespaces.as_user(SHELL_USER, program),
                cwd=namespaces.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        with self.process.stdout as answer:
            line = answer.readline()
        if not line:
            self.stop()
            raise RuntimeError(f"the device does not start; its log ends with:\n{self.log.read_text()[-2000:]}")
        self.number = int(line)

    def stop(self) -> None:
        """Switch it off at once, with all that runs on it."""
        if self.process is not None:
            namespaces.end(self.process)
            self.process = None

    def reboot(self) -> None:
        """Switch it off and on again; a small disk is empty then. Return when adb sees it again."""
        self.stop()
        self.start()
        self.connect()

    def connect(self) -> None:
        """Connect the adb server to it; raise RuntimeError if it is not seen as a device in time."""
        end_s = time.monotonic() + START_S
        while True:
            answer = self.adb("connect", self.serial)
            state = self.adb("get-state")
            if state.stdout == b"device\n" or (b"unauthorized" in state.stderr and not self.setting.authorized):
                return
            if time.monotonic() > end_s:
                raise RuntimeError(f"adb does not see the device: {answer.stdout!r} {state.stderr!r}")
            time.sleep(0.1)

    def running(self) -> list[str]:
        """Return the command lines of the programs that run on the device; what serves adb is none of them."""
        if self.process is None:
            return []
        numbers = descendants(self.process.pid) - {self.number}
        lines = (_command_line(number) for number in numbers)
        return sorted(line for line in lines if line and PROGRAM not in line)  # the first process, a shell, names it

    def wait_until_idle(self, timeout_s: float = 5.0) -> list[str]:
        """Wait until nothing runs on the device any more; return what still runs after that time."""
        end_s = time.monotonic() + timeout_s
        while (left := self.running()) and time.monotonic() < end_s:
            time.sleep(0.05)
        return left

    def seen(self, path: str) -> Path:
        """Return where the tester finds an absolute path of the running device."""
        return Path(f"/proc/{self.number}/root") / path.lstrip("/")


@contextmanager
def adbd(
    folder: Path,
    properties: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
    disk_bytes: int = 0,
    features: Sequence[str] = PRESENT_DAY,
    visible: Sequence[Path] = (),
    authorized: bool = True,
) -> Iterator[Adbd]:
    """Run a device whose files lie in `folder` and an adb server for it alone, and end both with all that runs there.

    `properties` add to what getprop answers; `commands` are scripts, by name, on the PATH; `without` names commands
    that it lacks; `disk_bytes` gives it a /data of that size; without "shell_v2" in `features` it is an old one;
    folders of this machine in `visible` show on the device at the same path; `authorized=False` is a phone whose owner
    has not said yes yet.
    """
    folder = folder.resolve()
    for name in ("root", "data", "system/bin", "keys"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    table = {**PROPERTIES, **(properties or {})}
    _fill_system(folder / "system" / "bin", table, commands or {}, without)
    # What serves adb imports modules after it has moved to the device's root.
    python = {str(Path(place).resolve()) for place in (sys.prefix, sys.base_prefix, namespaces.ROOT)}
    setting = Setting(
        port=free_port(),
        root=str(folder / "root"),
        data=str(folder / "data"),
        system=str(folder / "system"),
        disk_bytes=disk_bytes,
        visible=tuple(sorted({*python, *map(str, visible)} - {"/usr"})),
        banner=_banner(table, features),
        authorized=authorized,
    )
    with ExitStack() as stack:
        proxy = stack.enter_context(cutting_proxy(setting.port))
        server_port, environment = stack.enter_context(adb_server(folder))
        device = Adbd(
            port=setting.port,
            server_port=server_port,
            serial=f"{LOOPBACK}:{proxy.port}",
            proxy=proxy,
            environment=environment,
            setting=setting,
            log=folder / "adbd.log",
        )
        stack.callback(device.stop)
        device.start()
        device.connect()
        yield device


def _banner(table: Mapping[str, str], features: Sequence[str]) -> str:
    names = (f"{name}={table[name]};" for name in ("ro.product.name", "ro.product.model", "ro.product.device"))
    return f"device::{''.join(names)}features={','.join(features)}"


@contextmanager
def adb_server(folder: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Run an adb server on a free port, with keys in `folder`; yield the port and its clients' environment."""
    port = free_port()
    environment = {
        **os.environ,
        "ANDROID_ADB_SERVER_PORT": str(port),
        "ANDROID_USER_HOME": str(folder / "keys"),
        "HOME": str(folder / "keys"),
        "TMPDIR": str(folder / "keys"),  # its log has one name for all servers of a user
        "ADB_MDNS": "0",  # no devices but ours: neither those of the network, nor USB, nor emulators
        "ADB_USB": "0",
        "ADB_EMU": "0",
    }
    command = ["setpriv", "--pdeathsig", "KILL", adb_path(), "-P", str(port), "nodaemon", "server"]
    with (folder / "adb_server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for_port(port)
        yield port, environment
    finally:
        process.kill()
        process.wait()


def _wait_for_port(port: int) -> None:
    end_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.05)
        else:
            return


def _fill_system(
    folder: Path, properties: Mapping[str, str], scripts: Mapping[str, str], without: Sequence[str]
) -> None:
    """Put links to the system's commands and the device's own scripts into /system/bin."""
    values = "".join(f"{quote(name)}) echo {quote(value)} ;;\n" for name, value in sorted(properties.items()))
    listing = "".join(f"echo {quote(f'[{name}]: [{value}]')}\n" for name, value in sorted(properties.items()))
    getprop = f'#!/bin/sh\ncase "${{1-}}" in\n"") {listing};;\n{values}*) echo "${{2-}}" ;;\nesac\n'
    for name in COMMANDS.split():
        if name not in without and (program := shutil.which(name, path="/usr/bin:/bin")):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(program)
    for name, script in {"getprop": getprop, **scripts}.items():
        if name not in without:
            (folder / name).unlink(missing_ok=True)
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)


def _command_line(number: int) -> str:
    try:
        content = Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return ""  # it ended meanwhile
    return content.replace(b"\0", b" ").decode(errors="replace").strip()
