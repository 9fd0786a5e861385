"""One session at a time: a lock that the system lets go of when its holder ends, by whatever way."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path


class DeviceBusy(Exception):
    """Another session holds the device; `owner` and `age_s` tell whose and for how long."""

    def __init__(self, owner: str, age_s: float) -> None:
        super().__init__(f"{owner} has been measuring on this device for {age_s:.0f} s")
        self.owner, self.age_s = owner, age_s


LOCK_FILE = "runner.lock"
# Who measures without Python on the device holds this folder: devices/shell_lock.py.
SHELL_LOCK_FOLDER = "lock"


def take_lock(home: Path, owner: str) -> int:
    """Return a descriptor that holds the lock until it is closed; raise DeviceBusy."""
    shell = home / SHELL_LOCK_FOLDER
    if shell.is_dir():
        raise DeviceBusy(*_shell_holder(shell))
    path = home / LOCK_FILE
    descriptor = os.open(str(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(os.read(descriptor, 4096))
        os.close(descriptor)
        raise DeviceBusy(*holder) from error
    os.ftruncate(descriptor, 0)
    # devices/shell_lock.py, which cannot ask the kernel whose lock it is, looks for the process.
    os.write(descriptor, json.dumps({"owner": owner, "since_s": time.time(), "pid": os.getpid()}).encode())
    return descriptor


def _shell_holder(folder: Path) -> tuple[str, float]:
    try:
        return (folder / "owner").read_text().split()[0], max(0.0, time.time() - folder.stat().st_mtime)
    except (OSError, IndexError):
        return "another session", 0.0


def _holder(content: bytes) -> tuple[str, float]:
    try:
        record = json.loads(content.decode())
        return str(record["owner"]), max(0.0, time.time() - float(record["since_s"]))
    except (ValueError, KeyError, TypeError):  # the other session is about to write it
        return "another session", 0.0
