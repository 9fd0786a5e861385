"""The device's end of the adb protocol: packets, and the streams that they carry.

Source: packages/modules/adb/protocol.txt of the Android Open Source Project, and `adb` 36 as it behaves.
A stream has one packet under way at a time: each is answered by OKAY when it has been read, not before.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

CNXN, OPEN, OKAY, CLSE, WRTE, AUTH = (
    int.from_bytes(name, "little")
    for name in (
        b"CNXN",
        b"OPEN",
        b"OKAY",
        b"CLSE",
        b"WRTE",
        b"AUTH",
    )
)
VERSION = 0x01000001  # from this one on, nobody looks at a packet's checksum
PAYLOAD_BYTES = 1 << 20
AUTH_TOKEN, AUTH_SIGNATURE = 1, 2
HEADER = struct.Struct("<6I")
Result = TypeVar("Result")


class Closed(ConnectionError):
    """The other end closed the stream, or the connection is gone."""


class Stream:
    """One stream of a connection, as the service at this end reads and writes it."""

    def __init__(self, connection: Connection, number: int, peer: int) -> None:
        self.connection, self.number, self.peer = connection, number, peer
        self.closed = asyncio.Event()
        self._blocks: asyncio.Queue[bytes] = asyncio.Queue()
        self._held = b""
        self._acknowledged = asyncio.Event()
        self._writing = asyncio.Lock()

    def take(self, block: bytes) -> None:
        """Keep what came until the service reads it."""
        self._blocks.put_nowait(block)

    def acknowledge(self) -> None:
        """Let the next packet be sent."""
        self._acknowledged.set()

    async def block(self) -> bytes:
        """Return what came next, at least one byte of it; raise Closed at the end."""
        if self._held:
            block, self._held = self._held, b""
            return block
        block = await self.unless_closed(self._blocks.get())
        await self.connection.send(OKAY, self.number, self.peer)
        return block

    async def exactly(self, count: int) -> bytes:
        """Return so many bytes; raise Closed if the stream ends before."""
        parts = b""
        while len(parts) < count:
            parts += await self.block()
        parts, self._held = parts[:count], parts[count:]
        return parts

    async def write(self, content: bytes) -> None:
        """Send it all, each packet when the one before was read; raise Closed."""
        async with self._writing:
            for start in range(0, len(content), self.connection.payload_bytes):
                self._acknowledged.clear()
                block = content[start : start + self.connection.payload_bytes]
                await self.connection.send(WRTE, self.number, self.peer, block)
                await self.unless_closed(self._acknowledged.wait())

    async def unless_closed(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what the work gives; raise Closed if the stream ends first."""
        wanted = asyncio.create_task(work)
        end = asyncio.create_task(self.closed.wait())
        try:
            await asyncio.wait({wanted, end}, return_when=asyncio.FIRST_COMPLETED)
            if not wanted.done():
                raise Closed
            return wanted.result()
        finally:
            wanted.cancel()
            end.cancel()


Service = Callable[[str, Stream], Awaitable[None]]


class Connection:
    """A connection of an adb server; each stream that it opens is served by `service` with the name it asks for."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        banner: str,
        service: Service,
        authorized: bool,
    ) -> None:
        self.payload_bytes = PAYLOAD_BYTES
        self._reader, self._writer = reader, writer
        self._banner, self._service, self._authorized = banner, service, authorized
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 1

    async def send(self, command: int, first: int, second: int, content: bytes = b"") -> None:
        """Send one packet; raise Closed."""
        header = HEADER.pack(command, first, second, len(content), 0, command ^ 0xFFFFFFFF)
        try:
            self._writer.write(header + content)
            await self._writer.drain()
        except ConnectionError as error:
            raise Closed from error

    async def run(self) -> None:
        """Serve until the connection ends; then each service finds its stream closed."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                command, first, second, size, _, magic = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                if magic != command ^ 0xFFFFFFFF or size > PAYLOAD_BYTES:
                    break
                await self._handle(command, first, second, await self._reader.readexactly(size))
        for stream in self._streams.values():
            stream.closed.set()
        self._writer.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _handle(self, command: int, first: int, second: int, content: bytes) -> None:
        if command == CNXN and self._authorized:
            self.payload_bytes = min(PAYLOAD_BYTES, second)
            await self.send(CNXN, VERSION, PAYLOAD_BYTES, self._banner.encode())
        elif command == CNXN or (command == AUTH and first == AUTH_SIGNATURE):
            # A phone whose owner has not said yes knows no key, so it asks again; when the client has no more and gives
            # its public one, the owner is asked, and says nothing.
            await self.send(AUTH, AUTH_TOKEN, 0, os.urandom(20))
        elif command == OPEN:
            await self._open(first, content.rstrip(b"\0").decode())
        elif stream := self._streams.get(second):
            if command == WRTE:
                stream.take(content)
            elif command == OKAY:
                stream.acknowledge()
            elif command == CLSE:
                stream.closed.set()

    async def _open(self, peer: int, name: str) -> None:
        stream = Stream(self, self._next, peer)
        self._next += 1
        self._streams[stream.number] = stream
        await self.send(OKAY, stream.number, peer)
        task = asyncio.create_task(self._serve(name, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, name: str, stream: Stream) -> None:
        with suppress(Closed):
            await self._service(name, stream)
        del self._streams[stream.number]
        with suppress(Closed):
            await self.send(CLSE, stream.number, stream.peer)
