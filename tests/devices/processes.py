"""Free ports, and the processes of a device found in /proc: those that bear its mark, and those that one started."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "EDGENET_TEST_DEVICE"  # an environment variable that each program of a device inherits
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_for_greeting(port: int, timeout_s: float) -> bytes:
    """Return the first bytes that a server says; b"" if none answers in that time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
                if greeting := connection.recv(64):
                    return greeting
        except OSError:
            pass  # nobody listens yet
        time.sleep(0.02)
    return b""


def wait_until(happened: Callable[[], bool], timeout_s: float = 5) -> None:
    """Return as soon as it happened; raise AssertionError if it does not in that time."""
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.02)


def marked(mark: str) -> dict[int, str]:
    """Return the command line of each process whose environment bears the mark, by its id."""
    line = f"{MARK}={mark}".encode()
    found = {}
    for folder in _folders():
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
        if line in environment.split(b"\0") and command:  # a zombie has no command line
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def wait_until_gone(mark: str, timeout_s: float) -> list[str]:
    """Wait until no process bears the mark; return the command lines of those that still do after that time."""
    end_s = time.monotonic() + timeout_s
    while (left := marked(mark)) and time.monotonic() < end_s:
        time.sleep(0.05)
    return sorted(left.values())


def descendants(root: int) -> set[int]:
    """Return the ids of the processes that `root` started, and of those that these started."""
    parents = {}
    for folder in _folders():
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    layer = {root}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer} - found
        found |= layer
    return found


def is_alive(process: int) -> bool:
    """Say whether a process runs; one that is dead and not yet buried does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def end_all(root: int, mark: str) -> None:
    """Kill `root`, all that it started and all that bears the mark, until none is left."""
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        processes = {root, *descendants(root), *marked(mark)} if is_alive(root) else set(marked(mark))
        if not processes:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none tells of another's end
            for process in processes:
                with suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(process, number)
        time.sleep(0.02)
    raise RuntimeError(f"still running after SIGKILL: {marked(mark)}")


def _folders() -> Iterator[Path]:
    return (folder for folder in Path("/proc").iterdir() if folder.name.isdigit())
