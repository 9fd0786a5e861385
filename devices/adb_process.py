"""A program on an Android device: a long-lived `adb shell` that is spoken to by lines and ends as a whole."""

from __future__ import annotations

import os
import queue
import re
import secrets
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from devices.adb_shell import Connection, kill_marked, script
from devices.base import DeviceLost, DeviceTimeout, Finished
from devices.plain_text import plain

STALL_S = 60.0  # nobody takes a byte from us for so long: the connection is dead
GRACE_S = 2.0  # a child that left the program's group may hold its output open for ever; nobody waits for it
PIECE_BYTES = 1 << 16
LOST_MEND = "check the cable and adb devices, then run it again; what was sent is kept"
SLOW_MEND = "see what else runs on the device, or give it more time"


class AdbProcess:
    """See devices.base.Process. `finish` returns the part of its standard output that `lines` has not yielded.

    With `limit_s` the device ends it by itself some time after that.
    """

    def __init__(self, connection: Connection, arguments: Sequence[str], limit_s: float = 0.0) -> None:
        self._connection, self._name = connection, arguments[0]
        self._mark = f"edgenet-{secrets.token_hex(8)}"
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()  # b"": the end
        self._rest, self._at_end = b"", False
        self._errors = bytearray()
        self._group: int | None = None  # its process group on the device
        self._status: int | None = None
        self._heard_s = time.monotonic()
        self._closed = False
        self._client = subprocess.Popen(
            connection.command(script(arguments, self._mark, limit_s)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is ours to handle: the remote program has to be ended first
        )
        assert self._client.stdin and self._client.stdout and self._client.stderr  # pipes, as asked for above
        self._stdin = self._client.stdin
        os.set_blocking(self._stdin.fileno(), False)
        self._readers = [
            threading.Thread(target=self._read_output, args=(self._client.stdout.fileno(),), daemon=True),
            threading.Thread(target=self._read_errors, args=(self._client.stderr.fileno(),), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def send(self, line: str) -> None:
        """Write one line to its standard input; raise DeviceLost where nobody reads it any more."""
        if not self.write(line.encode() + b"\n", STALL_S):
            raise DeviceLost(f"{self._name} on {self._connection.address} has ended", mend="see what it wrote")

    def write(self, content: bytes, stall_s: float) -> bool:
        """Write to its standard input; return whether it takes it, raise DeviceTimeout where nothing moves."""
        view, moved_s = memoryview(content), time.monotonic()
        poll = select.poll()
        if not self._stdin.closed:
            poll.register(self._stdin.fileno(), select.POLLOUT)
        while view:
            if self._status is not None or self._stdin.closed:
                return False
            written = 0
            if poll.poll(200):
                try:
                    written = os.write(self._stdin.fileno(), view[:PIECE_BYTES])
                except BlockingIOError:
                    pass  # there was room, but for less than a piece
                except BrokenPipeError:
                    return False
            if written:
                view, moved_s = view[written:], time.monotonic()
            elif time.monotonic() - moved_s > stall_s:
                raise self._too_slow(stall_s)
        return True

    def pieces(self, timeout_s: float) -> Iterator[bytes]:
        """Yield its standard output as it comes; raise as `lines` does."""
        while not self._at_end:
            yield self._next_piece(timeout_s)
        self._check_end()

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Yield each line of its standard output; see Process.lines."""
        while not self._at_end or self._rest:
            while b"\n" in self._rest or (self._at_end and self._rest):
                line, _, self._rest = self._rest.partition(b"\n")
                yield line.decode(errors="replace")
            if not self._at_end:
                self._rest += self._next_piece(timeout_s)
        self._check_end()

    def finish(self, timeout_s: float) -> Finished:
        """Close its standard input and wait for its end; raise DeviceTimeout (and end it) or DeviceLost."""
        self._stdin.close()
        pieces, until_s = [self._rest], time.monotonic() + timeout_s
        self._rest = b""
        while not self._at_end:
            pieces.append(self._next_piece(max(0.0, until_s - time.monotonic()), timeout_s))
        status = self._check_end()
        self.kill()
        return Finished(status, b"".join(pieces).decode(errors="replace"), self._error_text())

    def kill(self) -> None:
        """End it and all that it started; say nothing if it has ended already, or the device is gone."""
        if self._closed:
            return
        self._closed = True
        if self._status is None:
            # A device that was restarted has given the group's number to others.
            group = self._group if self._client.poll() is None else None
            kill_marked(self._connection, self._mark, group)
        with suppress(subprocess.TimeoutExpired):
            self._client.wait(GRACE_S)
        self._client.kill()
        self._client.wait()
        for reader in self._readers:
            reader.join(GRACE_S)
        for pipe in (self._client.stdin, self._client.stdout, self._client.stderr):
            if pipe:
                pipe.close()

    def _next_piece(self, timeout_s: float, told_s: float = 0.0) -> bytes:
        """Return what it wrote next, b"" at the end; raise DeviceTimeout where nothing comes in time."""
        until_s = time.monotonic() + timeout_s
        while True:
            try:
                piece = self._pieces.get(timeout=min(GRACE_S, max(0.0, until_s - time.monotonic())))
            except queue.Empty:
                if self._status is not None and time.monotonic() - self._heard_s > GRACE_S:
                    piece = b""  # it has ended, and only a child that left its group holds the line
                elif time.monotonic() < until_s:
                    continue
                else:
                    raise self._too_slow(told_s or timeout_s) from None
            self._at_end = not piece
            return piece

    def _check_end(self) -> int:
        """Return the program's status; raise DeviceLost where the connection ended before the program."""
        if self._status is None:
            self._readers[1].join(GRACE_S)
        if self._status is None:
            self.kill()
            told = plain(self._error_text().strip().rpartition("\n")[2])
            what = f"{self._connection.address} was lost while {self._name} ran" + (f" ({told})" if told else "")
            raise DeviceLost(what, mend=LOST_MEND)
        return -(self._status - 128) if 128 < self._status <= 128 + 64 else self._status

    def _too_slow(self, timeout_s: float) -> DeviceTimeout:
        self.kill()
        what = f"{self._name} on {self._connection.address} gave no sign for {timeout_s:.3g} s and was ended"
        return DeviceTimeout(what, mend=SLOW_MEND)

    def _error_text(self) -> str:
        return self._errors.decode(errors="replace")

    def _read_output(self, descriptor: int) -> None:
        while piece := os.read(descriptor, PIECE_BYTES):
            self._heard_s = time.monotonic()
            self._pieces.put(piece)
        self._pieces.put(b"")

    def _read_errors(self, descriptor: int) -> None:
        pattern = re.compile(rb"%s (started|ended) (\d+)\n" % self._mark.encode())
        while piece := os.read(descriptor, PIECE_BYTES):
            self._heard_s = time.monotonic()
            self._errors += piece
            start = max(0, len(self._errors) - len(piece) - 64)
            while found := pattern.search(self._errors, start):
                word, number = found[1], int(found[2])
                del self._errors[found.start() : found.end()]
                if word == b"started":
                    self._group = number
                else:
                    self._status = number


def run_to_end(connection: Connection, arguments: Sequence[str], timeout_s: float, content: bytes = b"") -> Finished:
    """Run a program to its end; see Device.run. Whatever happens, nothing of it is left on the device."""
    process = AdbProcess(connection, arguments, limit_s=timeout_s)
    try:
        process.write(content, timeout_s)
        return process.finish(timeout_s)
    except DeviceTimeout:
        what = f"{arguments[0]} ran over {timeout_s:.3g} s on {connection.address} and was ended"
        raise DeviceTimeout(what, mend=SLOW_MEND) from None
    finally:
        process.kill()
