"""Android over adb as a device: programs run in the device's sh, files live in /data/local/tmp/edgenet.

Python is rare there. Termux keeps one in a folder that only Termux and root may read: adb reaches it where adbd runs
as root (the emulator, developers' builds). `run-as com.termux` is no way: it needs a debuggable Termux, runs as a user
who cannot read what adb pushed, and cannot be named as one program. Everywhere else Termux's own sshd is the way:
`adb forward tcp:8022 tcp:8022` and `ssh://127.0.0.1:8022`. Without Python, benchmark_binary measures.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from devices.adb_client import adb_program, check_server, check_shell, chosen, device_states
from devices.adb_describe import TERMUX_PYTHON, answer, facts, python_version, question
from devices.adb_process import AdbProcess, run_to_end
from devices.adb_push import push_file
from devices.adb_shell import Connection
from devices.address import Address
from devices.base import Description, Finished
from devices.places import below
from devices.plain_text import plain
from edgenet.errors import InputError, MissingError
from edgenet.progress import Report

HOME = PurePosixPath("/data/local/tmp/edgenet")
DESCRIBE_S = 60.0
SILENCE_S = 60.0
REMOVE_S = 120.0
NO_FILE_STATUS, OUTSIDE_STATUS = 21, 22

PULL = f'[ -f "$1" ] || exit {NO_FILE_STATUS}; cat -- "$1"'
# $1 path, $2 home: a link on the way must not lead out of home.
REMOVE = f"""\
folder=$(realpath "${{1%/*}}" 2>/dev/null) && [ -d "$folder" ] || exit 0
case "$folder/" in "$(realpath "$2")"/*) rm -rf -- "$1" ;; *) exit {OUTSIDE_STATUS} ;; esac
"""


class AdbDevice:
    """An Android device; `python` is an interpreter on it, "" looks for one."""

    def __init__(self, address: Address, python: str = "", home: PurePosixPath = HOME) -> None:
        self.address = str(address)
        self._serial, self._python, self._home = address.serial, python, home
        self._connected: Connection | None = None
        self._running: list[AdbProcess] = []

    def describe(self) -> Description:
        """Find the device and ask it what it is; raise MissingError with the mend, InputError for an unclear serial."""
        home = str(self._home)
        interpreters = [self._python] if self._python else [f"{home}/venv/bin/python", TERMUX_PYTHON, "python3"]
        told = answer(self.run(question(home, interpreters), DESCRIBE_S), self.address, home)
        if self._python and "python" not in told:
            raise MissingError(f"{self._python} does not run on {self.address}", mend="name another, or none")
        return Description(
            address=self.address,
            kind="adb",
            host=told.get("device") or told.get("node", ""),
            system="Android" if "android" in told else told["system"],
            machine=told["machine"],
            python=told.get("python", ""),
            python_version=python_version(told),
            home=self._home,
            facts=facts(told),
        )

    def push(self, source: Path, report: Report) -> PurePosixPath:
        """Bring a file to `home`/files; see Device.push."""
        return push_file(self._connection(), source, self._home, report)

    def run(self, arguments: Sequence[str], timeout_s: float, content: bytes = b"") -> Finished:
        """Run a program to its end; see Device.run. A program that is not there has the status 127, as in a shell."""
        return run_to_end(self._connection(), arguments, timeout_s, content)

    def start(self, arguments: Sequence[str]) -> AdbProcess:
        """Start a program; one that is not there ends with the status 127."""
        process = AdbProcess(self._connection(), arguments)
        self._running.append(process)
        return process

    def pull(self, path: PurePosixPath, destination: Path) -> None:
        """Bring a file to `destination`, whole or not at all; raise InputError, DeviceLost."""
        process = AdbProcess(self._connection(), ["sh", "-c", PULL, "sh", str(path)])
        temporary: Path | None = None
        try:
            descriptor, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
            temporary = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                for piece in process.pieces(SILENCE_S):
                    file.write(piece)
            done = process.finish(SILENCE_S)
            if done.status:
                why = "no such file" if done.status == NO_FILE_STATUS else plain(done.stderr)
                raise InputError(f"cannot bring {path} from {self.address}: {why}", mend="name a file that is there")
            temporary.replace(destination)
        except OSError as error:
            mend = "name a place that you may write to"
            raise InputError(f"cannot bring {path} to {destination}: {error.strerror}", mend=mend) from error
        finally:
            process.kill()
            if temporary:
                temporary.unlink(missing_ok=True)

    def remove(self, path: PurePosixPath) -> None:
        """Remove what is below `home`; see Device.remove."""
        target = below(path, self._home)
        done = self.run(["sh", "-c", REMOVE, "sh", str(target), str(self._home)], REMOVE_S)
        if done.status == OUTSIDE_STATUS:
            raise InputError(f"{path} leads out of {self._home}", allowed=f"what is below {self._home}")
        if done.status:
            raise InputError(f"cannot remove {path} on {self.address}: {plain(done.stderr)}", mend="see who owns it")

    def clean_up(self) -> None:
        """End what still runs; the adb server is the user's and stays."""
        while self._running:
            self._running.pop().kill()

    def _connection(self) -> Connection:
        if self._connected is None:
            adb = adb_program()
            check_server(adb)
            serial = chosen(self._serial, device_states(adb))
            check_shell(adb, serial)
            self._connected = Connection(adb, serial, self.address)
        return self._connected
