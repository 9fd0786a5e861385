"""A program on this machine that is spoken to by lines, in a process group of its own that ends as a whole."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

from devices.base import DeviceLost, DeviceTimeout, Finished
from edgenet.errors import InputError, MissingError

# A child of the program that left its group may hold the pipes open for ever; nobody waits for it.
READERS_END_S = 1.0


def started(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program that leads a session of its own; raise OSError, and InputError for impossible arguments."""
    if any("\0" in argument for argument in arguments):
        raise InputError(f"an argument of {arguments[0]!r} holds a NUL", allowed="text without NUL")
    return subprocess.Popen(
        list(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that leads its own session, with whatever is left of its group, and take note of its end."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of which only a zombie is left
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def close_pipes(child: subprocess.Popen[bytes]) -> None:
    """Close the pipes of a child that has ended."""
    for pipe in (child.stdin, child.stdout, child.stderr):
        with suppress(BrokenPipeError):
            if pipe:
                pipe.close()


class LocalProcess:
    """See devices.base.Process. `finish` returns the part of its standard output that `lines` has not yielded."""

    def __init__(self, arguments: Sequence[str], address: str) -> None:
        self._name, self._address = arguments[0], address
        try:
            self._child = started(arguments)
        except OSError as error:
            raise MissingError(f"cannot start {self._name} on {address}: {error.strerror}") from error
        assert self._child.stdin and self._child.stdout and self._child.stderr  # pipes, as asked for above
        self._stdin = self._child.stdin
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: the end
        self._errors: list[str] = []
        self._ended = False  # the end was taken out of the queue
        self._killed = False
        self._readers = [
            threading.Thread(target=_read_lines, args=(self._child.stdout, self._lines), daemon=True),
            threading.Thread(target=_read_errors, args=(self._child.stderr, self._errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def send(self, line: str) -> None:
        """Write one line to its standard input; raise DeviceLost where nobody reads it any more."""
        try:
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise DeviceLost(f"{self._name} on {self._address} has ended", mend="see what it wrote") from error

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Yield each line of its standard output; see Process.lines."""
        while not self._ended:
            line = self._next_line(timeout_s)
            if line is not None:
                yield line

    def finish(self, timeout_s: float) -> Finished:
        """Close its standard input and wait for its end; raise DeviceTimeout (and end it)."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        rest, until_s = [], time.monotonic() + timeout_s
        while not self._ended:
            line = self._next_line(max(0.0, until_s - time.monotonic()))
            if line is not None:
                rest.append(f"{line}\n")
        try:
            status = self._child.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._too_slow(timeout_s) from None
        self.kill()
        return Finished(status, "".join(rest), "".join(self._errors))

    def kill(self) -> None:
        """End it and its process group."""
        if self._killed:
            return  # the number of its group may be another's by now
        self._killed = True
        kill_group(self._child)
        for reader in self._readers:
            reader.join(READERS_END_S)
        if not any(reader.is_alive() for reader in self._readers):
            close_pipes(self._child)

    def _next_line(self, timeout_s: float) -> str | None:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise self._too_slow(timeout_s) from None
        self._ended = line is None
        return line

    def _too_slow(self, timeout_s: float) -> DeviceTimeout:
        self.kill()
        return DeviceTimeout(
            f"{self._name} on {self._address} gave no sign for {timeout_s:.3g} s and was ended",
            mend="see what else runs on the device, or give it more time",
        )


def _read_lines(pipe: IO[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    for line in pipe:
        lines.put(line.decode(errors="replace").removesuffix("\n"))
    lines.put(None)


def _read_errors(pipe: IO[bytes], texts: list[str]) -> None:
    for line in pipe:
        texts.append(line.decode(errors="replace"))
