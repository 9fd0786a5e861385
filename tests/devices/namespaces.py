"""A root folder, mounts and processes of a device's own, which end with it: Linux namespaces.

A process made by `unshare` sees mounts that nobody else sees, and is the first of its own processes. When it dies, the
kernel ends them all and takes the mounts away, however the tests ended.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.devices.processes import descendants, is_alive

# As in <linux/mount.h> and <linux/prctl.h>.
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 32, 4096, 16384
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# A shell is the first process: it buries whatever loses its parent, which no program of ours does.
FIRST = ["/bin/sh", "-c", '"$@" & wait "$!"', "sh"]


def as_user(user: int, command: Sequence[str]) -> list[str]:
    """Return the command in namespaces of its own, where whoever runs the tests is `user` and may mount."""
    mapped = ["--user", f"--map-user={user}", f"--map-group={user}", "--keep-caps"]
    return [*_unshare(), *mapped, *FIRST, *command]


def as_root(command: Sequence[str]) -> list[str]:
    """Return the command in namespaces of its own, with the machine's users, a host name apart; for root alone."""
    return [*_unshare(), "--uts", *FIRST, *command]


def _unshare() -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]


@cache
def missing() -> str:
    """Say why `as_user` cannot run here; "" if it can."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has no namespaces"
    if lacking := [name for name in ("setpriv", "unshare") if shutil.which(name) is None]:
        return f"not installed: {', '.join(lacking)}"
    program = "from tests.devices.namespaces import mount; mount('proc', '/proc', 'proc')"
    command = as_user(2000, [sys.executable, "-c", program])
    tried = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = tried.stderr.strip().splitlines()[-1:]
    return f"user namespaces cannot be used here: {last[0] if last else tried.returncode}" if tried.returncode else ""


ROOT = Path(__file__).parents[2]  # where `tests` can be imported from


def mount(source: str | Path, target: str | Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount as mount(2) does; mount(8) wants the user number to be 0, whatever may be done."""
    library = ctypes.CDLL(None, use_errno=True)
    words = [str(word).encode() or None for word in (source, target, kind)]
    if library.mount(*words, ctypes.c_ulong(flags), options.encode() or None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or 'bind'}: {os.strerror(number)}", str(target))


def bind(source: Path, target: Path) -> None:
    """Make a folder or a file of this machine, with what is mounted below it, show at another place."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(source, target, "", MS_BIND | MS_REC)


def keep_no_privileges() -> None:
    """Let no program that is started from here on inherit the right to mount."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def end(process: subprocess.Popen[bytes], timeout_s: float = 10) -> None:
    """Kill the namespace's maker, which ends all in it, and wait until none of them is left."""
    inside = descendants(process.pid)
    process.kill()
    process.wait()
    end_s = time.monotonic() + timeout_s
    while left := [number for number in inside if is_alive(number)]:
        if time.monotonic() > end_s:
            raise RuntimeError(f"still running after SIGKILL: {left}")
        time.sleep(0.02)


def run(command: Sequence[str], log: Path) -> None:
    """Run a command made by `as_root` to its end, and leave nothing of it running; raise RuntimeError if it fails."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        status = process.wait()
    finally:
        end(process)
    if status:
        raise RuntimeError(f"{command[-1]} failed: {log.read_text(errors='replace')[-2000:]}")
