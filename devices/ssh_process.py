"""A program on a device over SSH: the loop's side takes in what arrives, the other side waits for it in any thread."""

from __future__ import annotations

import asyncio
import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncssh

from devices.base import DeviceLost, DeviceTimeout, Finished
from devices.ssh_loop import LoopThread
from devices.ssh_scripts import GO
from edgenet.errors import GateFailed, MissingError

# mypy knows asyncssh's generics, the interpreter does not need them.
if TYPE_CHECKING:
    ByteSession = asyncssh.SSHClientSession[bytes]
    ByteChannel = asyncssh.SSHClientChannel[bytes]
else:
    ByteSession = asyncssh.SSHClientSession
    ByteChannel = asyncssh.SSHClientChannel

UNREAD_BYTES = 4 << 20  # the device waits when this much was not read here
LONGEST_LINE_BYTES = 64 << 20
ERRORS_BYTES = 64 << 10  # the end of the standard error that is kept
NOISE_BYTES = 64 << 10  # what start files of a login shell print before the program starts
START_S = 30.0
CLOSE_S = 1.0
STALL_S = 120.0  # a cheap card may write back for half a minute
UNNAMED_SIGNAL = 127  # the device has a signal that this machine has no number for
SILENT = "its network or its power was cut, or it restarted; try again when it answers"


class Session(ByteSession):
    """What arrives from a program; its methods run in the loop, which asyncssh calls them from."""

    def __init__(self, mark: str) -> None:
        self.chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # b"": it has started; None: the end
        self.errors = bytearray()
        self.status: int | None = None
        self.process_group = 0
        self.failure: Exception | None = None
        self.is_closed = False
        self.writable = asyncio.Event()
        self.writable.set()
        self._mark = mark.encode()
        self._noise: bytearray | None = bytearray()  # None: the mark has come
        self._error_noise = True
        self._unread_bytes = 0
        self._paused = False
        self._channel: ByteChannel

    def connection_made(self, chan: ByteChannel) -> None:
        """Keep the channel, which is opened for this session."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Sort what comes by its stream."""
        if datatype is not None:
            self._error_received(data)
        elif self._noise is not None:
            self._noise += data
            self._look_for_start(self._noise)
        else:
            self._put(data)

    def _look_for_start(self, noise: bytearray) -> None:
        _, mark, tail = noise.partition(self._mark)
        line, feed, rest = tail.partition(b"\n")
        if mark and feed:
            self.process_group = int(line)
            self._noise = None
            self.chunks.put(b"")
            self._put(bytes(rest))
        elif not mark:
            del noise[:-NOISE_BYTES]

    def _put(self, data: bytes) -> None:
        if not data:
            return
        self.chunks.put(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > UNREAD_BYTES and not self._paused:
            self._paused = True
            self._channel.pause_reading()

    def taken(self, size_bytes: int) -> None:
        """Note that so much was read, and let more come."""
        self._unread_bytes -= size_bytes
        if self._paused and self._unread_bytes < UNREAD_BYTES / 2 and not self.is_closed:
            self._paused = False
            self._channel.resume_reading()

    def _error_received(self, data: bytes) -> None:
        self.errors += data
        if self._error_noise and (self._mark + b"\n") in self.errors:
            self._error_noise = False
            del self.errors[: self.errors.index(self._mark) + len(self._mark) + 1]
        del self.errors[:-ERRORS_BYTES]

    def said(self) -> str:
        """Return the end of what it wrote before and beside its output, for a message."""
        return plain((bytes(self._noise or b"") + b" " + bytes(self.errors)).decode(errors="replace"))

    def eof_received(self) -> bool:
        """Keep our side open: a program may close its output and go on."""
        return True

    def exit_status_received(self, status: int) -> None:
        """Keep the status."""
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Keep the signal as a negative status."""
        del core_dumped, msg, lang
        self.status = -signal_number(signal)

    def pause_writing(self) -> None:
        """Hold writers back."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, be it the program's or the connection's."""
        self.failure, self.is_closed = exc, True
        self.writable.set()
        self.chunks.put(None)


def signal_number(name: str) -> int:
    """Return the number of a signal that SSH names without SIG."""
    number: int = getattr(signal, f"SIG{name}", UNNAMED_SIGNAL)
    return number


def plain(text: str, longest: int = 600) -> str:
    """Return a device's words as one printable line, its end if it is long."""
    line = " ".join(text.split())[-longest:]
    return "".join(character if character.isprintable() else "?" for character in line)


class SshProcess:
    """See devices.base.Process. `finish` returns the part of its standard output that `lines` has not yielded."""

    def __init__(
        self, loop: LoopThread, session: Session, channel: ByteChannel, name: str, address: str, end: Callable[[], None]
    ) -> None:
        self._loop, self._session, self._channel = loop, session, channel
        self._name, self._address = name, address
        self._end = end  # ends it on the device
        self._rest = bytearray()  # read, and not yet a line
        self._ended = False  # the end was taken out of the queue

    @property
    def has_ended(self) -> bool:
        """Whether it ended as programs do; what it left behind on purpose, a daemon, stays."""
        return self._session.is_closed and self._session.status is not None

    @property
    def process_group(self) -> int:
        """The number of the group that it leads on the device."""
        return self._session.process_group

    def wait_for_start(self, timeout_s: float) -> None:
        """Wait until the device is about to start it, and let it; raise MissingError if its login shell does not."""
        if self.chunk(min(timeout_s, START_S)) is None:
            raise MissingError(
                f"the login shell of {self._address} does not run programs: {self._session.said() or 'it only ended'}",
                mend="see what `ssh` to it runs (a shell that runs commands is needed: chsh -s /bin/sh)",
            )
        self.send(GO)

    def send(self, line: str) -> None:
        """Write one line to its standard input; raise DeviceLost where nobody reads it any more."""
        self.write(line.encode() + b"\n", wait=False)

    def write(self, data: bytes, wait: bool = True) -> None:
        """Write to its standard input and `wait` until most of it has gone out; raise DeviceLost."""
        try:
            self._loop.call(lambda: self._write(data, wait))
        except asyncio.TimeoutError as error:
            raise DeviceLost(
                f"{self._name} on {self._address} took nothing for {STALL_S:.0f} s", mend=SILENT
            ) from error
        except (OSError, asyncssh.Error) as error:
            reason = plain(str(error))
            raise DeviceLost(f"{self._name} on {self._address} reads no more: {reason}", mend=SILENT) from error

    async def _write(self, data: bytes, wait: bool) -> None:
        if self._session.is_closed:
            raise BrokenPipeError("it has ended")
        self._channel.write(data)
        if wait:
            await asyncio.wait_for(self._session.writable.wait(), STALL_S)

    def close_input(self) -> None:
        """End its standard input."""
        with suppress(OSError, asyncssh.Error):  # it has ended, or the connection has: its end will tell
            self._loop.call(self._close_input)

    async def _close_input(self) -> None:
        if not self._session.is_closed:
            self._channel.write_eof()

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Yield each line of its standard output; see Process.lines."""
        while (line := self._next_line(timeout_s)) is not None:
            yield line.decode(errors="replace")

    def _next_line(self, timeout_s: float) -> bytes | None:
        while (at := self._rest.find(b"\n")) < 0:
            chunk = self.chunk(timeout_s)
            if chunk is None:
                last, self._rest = bytes(self._rest), bytearray()
                return last or None
            self._keep(chunk)
        line = bytes(self._rest[:at])
        del self._rest[: at + 1]
        return line

    def _keep(self, chunk: bytes) -> None:
        self._rest += chunk
        if len(self._rest) > LONGEST_LINE_BYTES:
            self.kill()
            raise GateFailed(
                f"{self._name} on {self._address} wrote over {LONGEST_LINE_BYTES >> 20} MiB at once and was ended",
                mend="see what it writes there",
            )

    def chunk(self, timeout_s: float) -> bytes | None:
        """Return what came of its standard output, None at the end; raise DeviceTimeout (and end it) or DeviceLost."""
        return self._chunk(timeout_s, f"gave no sign for {timeout_s:.3g} s")

    def _chunk(self, timeout_s: float, else_it: str) -> bytes | None:
        if self._ended:
            return None
        try:
            chunk = self._session.chunks.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            self.kill()
            mend = "see what else runs on the device, or give it more time"
            raise DeviceTimeout(f"{self._name} on {self._address} {else_it} and was ended", mend=mend) from None
        except BaseException:  # an interrupt
            self.kill()
            raise
        if chunk is None:
            self._ended = True
            self._raise_if_lost()
            return None
        self._loop.soon(partial(self._session.taken, len(chunk)))
        return chunk

    def _raise_if_lost(self) -> None:
        if self._session.status is None:
            reason = plain(str(self._session.failure or "it closed the channel"))
            raise DeviceLost(f"lost {self._address} while {self._name} ran there: {reason}", mend=SILENT)

    def finish(self, timeout_s: float) -> Finished:
        """Close its standard input and wait for its end; raise DeviceTimeout (and end it) or DeviceLost."""
        self.close_input()
        until_s = time.monotonic() + timeout_s
        while (chunk := self._chunk(until_s - time.monotonic(), f"ran over {timeout_s:.3g} s")) is not None:
            self._keep(chunk)
        self._raise_if_lost()
        out, self._rest = bytes(self._rest), bytearray()
        status = self._session.status
        assert status is not None  # or it was lost
        return Finished(status, out.decode(errors="replace"), self._session.errors.decode(errors="replace"))

    def kill(self) -> None:
        """End it and all that it started; say nothing if it has ended already."""
        if self.has_ended:
            return
        if not self._session.is_closed:
            self._end()
        with suppress(OSError):
            self._loop.call(self._close)

    async def _close(self) -> None:
        """Let the channel end by itself, so that its status is known, or close it."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._channel.wait_closed(), CLOSE_S)
        self._channel.close()


async def open_session(
    connection: asyncssh.SSHClientConnection, command: str, mark: str
) -> tuple[ByteChannel, Session]:
    """Start a command; raise asyncssh.Error or OSError."""
    options: dict[str, Any] = {"encoding": None, "request_pty": False, "x11_forwarding": False}
    channel, session = await connection.create_session(lambda: Session(mark), command, **options)
    assert isinstance(session, Session)  # as the factory above made it
    return channel, session
