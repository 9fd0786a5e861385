"""A device over SSH: any machine that lets a key in and has a POSIX shell.

`start` and `run` reach a program with its arguments as they are, whatever the login shell is. A program ends with its
connection if it ends at the end of its standard input; what does not is found by its mark and ended by `kill` and
`clean_up`, which connect again for it if they must.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import asyncssh

from devices.address import Address
from devices.base import Description, DeviceLost, Finished
from devices.places import below
from devices.ssh_connection import connect
from devices.ssh_describe import parse_answer
from devices.ssh_loop import LoopThread
from devices.ssh_process import SILENT, ByteChannel, Session, SshProcess, open_session, plain
from devices.ssh_push import Push, unreadable
from devices.ssh_scripts import DESCRIBE, KILL, PULL, REMOVE, command, script
from devices.ssh_settings import Target
from edgenet.errors import EdgenetError, InputError, MissingError
from edgenet.progress import Report
from edgenet.weights.cache import file_digest

if TYPE_CHECKING:
    from devices.inventory import Entry

DESCRIBE_S = 60.0  # an emulated board takes seconds to start Python
SCRIPT_S = 30.0
REMOVE_S = 120.0
PULL_STALL_S = 120.0
KILL_S = 10.0
# Ending what a lost connection left is tried, not waited for.
RECONNECT_S = 5.0
OPEN_S = 300.0  # beyond what connecting through several hosts may take: each has its own limit
CLOSE_S = 2.0


class SshDevice:
    """See devices.base.Device. An entry of the inventory may name the interpreter, the key and the known hosts."""

    def __init__(self, address: Address, entry: Entry | None = None) -> None:
        self.address = str(address)
        self._asked_python = entry.python if entry else ""
        self._target = Target(
            address.host,
            address.user,
            address.port,
            entry.identity_file if entry else "",
            entry.known_hosts if entry else "",
        )
        self._loop: LoopThread | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._description: Description | None = None
        self._cached: dict[str, int] = {}  # the sizes of the files that are there, by SHA-256
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._running: dict[str, SshProcess | None] = {}  # by mark; None: it may have been started

    def describe(self) -> Description:
        """Connect if need be and say what the device is, in one exchange; raise MissingError with the mend."""
        answer = self.run(script(DESCRIBE, self._asked_python), DESCRIBE_S)
        if answer.status != 0 and not answer.stdout:
            raise MissingError(
                f"{self.address} cannot say what it is: {plain(answer.stderr) or f'status {answer.status}'}",
                mend="a POSIX sh is needed there",
            )
        self._description, self._cached = parse_answer(answer.stdout, self.address, self._asked_python)
        return self._description

    def _described(self) -> Description:
        return self._description or self.describe()

    def push(self, source: Path, report: Report) -> PurePosixPath:
        """Bring a file to `home`/files; see Device.push.

        A whole file has got its name after its content was checked, so its size is enough to know it again; whoever
        loads it on the device checks the content once more.
        """
        folder = self._described().home / "files"
        try:
            digest, size_bytes = file_digest(source), source.stat().st_size
        except OSError as error:
            raise unreadable(source, error) from error
        if self._cached.get(digest) != size_bytes:
            Push(self.start, self.address, folder, source, digest, size_bytes, report).run()
            self._cached[digest] = size_bytes
        return folder / digest

    def run(self, arguments: Sequence[str], timeout_s: float, content: bytes = b"") -> Finished:
        """Run a program to its end; see Device.run. A program that is not there has the status 127, as in a shell."""
        process = self.start(arguments)
        try:
            with suppress(DeviceLost):  # it may end without reading; if it was lost, its end tells
                process.write(content, wait=False)
            return process.finish(timeout_s)
        except BaseException:
            process.kill()
            raise

    def start(self, arguments: Sequence[str]) -> SshProcess:
        """Start a program; raise DeviceLost, InputError, and MissingError where the login shell runs nothing."""
        mark = f"{self._session}.{next(self._numbers)}."
        self._running[mark] = None
        process = self._open(arguments, mark, lambda: self._end(mark, [self._running.get(mark)]), OPEN_S)
        self._running[mark] = process
        process.wait_for_start(SCRIPT_S)
        return process

    def pull(self, path: PurePosixPath, destination: Path) -> None:
        """Bring a file to `destination`, whole or not at all; raise DeviceLost, InputError."""
        temporary: Path | None = None
        process = self.start(script(PULL, str(path)))
        try:
            descriptor, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
            temporary = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                while (chunk := process.chunk(PULL_STALL_S)) is not None:
                    file.write(chunk)
            finished = process.finish(SCRIPT_S)
            if finished.status != 0:
                raise InputError(f"cannot bring {path} from {self.address}: {plain(finished.stderr)}")
            temporary.replace(destination)
        except OSError as error:
            raise InputError(
                f"cannot bring {path} to {destination}: {error.strerror}", mend="name another place"
            ) from error
        finally:
            process.kill()
            if temporary:
                temporary.unlink(missing_ok=True)

    def remove(self, path: PurePosixPath) -> None:
        """Remove what is below `home`; see Device.remove."""
        home = self._described().home
        place = below(path, home)
        finished = self.run(script(REMOVE, str(home), str(place.parent), place.name), REMOVE_S)
        if finished.status != 0:
            raise InputError(
                f"cannot remove {place} from {self.address}: {plain(finished.stderr)}", allowed=f"what is below {home}"
            )
        for digest in [digest for digest in self._cached if (home / "files" / digest).is_relative_to(place)]:
            del self._cached[digest]

    def clean_up(self) -> None:
        """End what still runs there, close the connection and end the thread; once more what was interrupted."""
        try:
            if any(process is None or not process.has_ended for process in self._running.values()):
                self._end(f"{self._session}.", list(self._running.values()))
            self._running.clear()
        finally:
            self._close()

    def _end(self, mark: str, processes: Sequence[SshProcess | None]) -> None:
        """End on the device all that bears a mark that begins so; a device that is gone has ended it itself."""
        groups = [str(process.process_group) for process in processes if process and process.process_group]
        # Not of this session's marks: it would end itself.
        with suppress(EdgenetError):
            process = self._open(script(KILL, mark, *groups), f"kill-{mark}", lambda: None, RECONNECT_S)
            process.wait_for_start(KILL_S)
            process.finish(KILL_S)

    def _open(self, arguments: Sequence[str], mark: str, end: Callable[[], None], within_s: float) -> SshProcess:
        text = command(mark, arguments)
        if self._loop is None:
            self._loop = LoopThread()
        loop = self._loop
        try:
            channel, session = loop.call(lambda: self._open_session(text, mark, within_s))
        except asyncssh.ChannelOpenError as error:
            if self._connection and not self._connection.is_closed():
                what = f"{self.address} does not start {arguments[0]} beside what runs there: {plain(str(error))}"
                raise MissingError(what, mend="sshd there allows too few sessions at once (MaxSessions)") from error
            raise DeviceLost(f"lost {self.address} when {arguments[0]} was to start", mend=SILENT) from error
        except (asyncssh.Error, OSError, asyncio.TimeoutError) as error:
            reason = plain(str(error)) or type(error).__name__
            raise DeviceLost(f"lost {self.address} when {arguments[0]} was to start: {reason}", mend=SILENT) from error
        return SshProcess(loop, session, channel, arguments[0], self.address, end)

    async def _open_session(self, text: str, mark: str, within_s: float) -> tuple[ByteChannel, Session]:
        async def connect_and_open() -> tuple[ByteChannel, Session]:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._target)
            return await open_session(self._connection, text, mark)

        return await asyncio.wait_for(connect_and_open(), within_s)

    def _close(self) -> None:
        loop = self._loop
        if loop:
            try:
                with suppress(ConnectionError):  # it was stopped, and that interrupted
                    loop.call(self._close_connection)
            finally:
                loop.stop()
                self._loop = None

    async def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()
            try:
                await asyncio.wait_for(connection.wait_closed(), CLOSE_S)
            except asyncio.TimeoutError:
                connection.abort()
