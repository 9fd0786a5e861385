"""Set the frequency governor to `performance`, and set it back whatever happens.

What stood there is written to a file first. A guard process holds a pipe's end: when this process is gone, by whatever
way, the guard reads the end of the pipe and sets the governors back. A guard that was killed as well leaves the file,
which the next session sets back from; a restart of the device sets them back by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from devices.on_device.board import read_text

PERFORMANCE = "performance"
GOVERNOR_MEND = (
    "run as root, or allow it without a password: "
    "USER ALL=(root) NOPASSWD: /usr/bin/tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
)


class GovernorError(Exception):
    """A governor that cannot be set."""


class Governors:
    """The governors of all cpufreq policies under `root`; `record` is the file that remembers them."""

    def __init__(self, root: Path, record: Path) -> None:
        self._files = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor"))
        self._record = record
        self._release = -1

    def restore_left_over(self) -> bool:
        """Set back what an earlier session left behind; return whether there was any."""
        if not self._record.exists():
            return False
        restore_governors(self._record)
        return True

    def fix(self) -> None:
        """Set every governor to performance, guarded; raise GovernorError where that is not possible."""
        before = {str(path): read_text(path) for path in self._files}
        if not before:
            raise GovernorError("this machine has no cpufreq governor to set")
        if all(name == PERFORMANCE for name in before.values()):
            return
        temporary = self._record.with_name(self._record.name + ".new")
        temporary.write_text(json.dumps(before))
        temporary.replace(self._record)
        self._release = _start_guard(self._record)
        try:
            for path in self._files:
                write_governor(path, PERFORMANCE)
        except GovernorError:
            self.restore()
            raise

    def restore(self) -> None:
        """Set them back and let the guard go."""
        if self._release >= 0:
            restore_governors(self._record)
            os.close(self._release)
            self._release = -1


def write_governor(path: Path, name: str) -> None:
    """Write one governor, by sudo where the file is not ours to write; raise GovernorError."""
    if os.access(str(path), os.W_OK):
        path.write_text(name)
    else:
        command = ["sudo", "-n", "tee", str(path)]
        try:
            subprocess.run(
                command, input=name.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise GovernorError(f"cannot set the governor in {path}; {GOVERNOR_MEND}") from error
    if read_text(path) != name:
        raise GovernorError(f"{path} stayed {read_text(path)}")


def restore_governors(record: Path) -> None:
    """Set back what a record holds, then remove it; a governor that stands right already is left alone."""
    try:
        before = json.loads(record.read_text())
    except FileNotFoundError:  # the other of guard and session was quicker
        return
    for path, name in before.items():
        if read_text(Path(path)) != name:
            write_governor(Path(path), name)
    if record.exists():
        record.unlink()


def _start_guard(record: Path) -> int:
    """Return the pipe's end whose closing, by this process or by its death, wakes the guard."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        _guard(reading, writing, record)
    os.close(reading)
    os.set_inheritable(writing, False)
    return writing


def _guard(reading: int, writing: int, record: Path) -> None:
    os.setsid()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    os.close(writing)
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):  # a session's end must not wait for the guard
        os.dup2(quiet, descriptor)
    os.read(reading, 1)
    status = 1
    try:
        restore_governors(record)
        status = 0
    finally:
        os._exit(status)
