"""A TCP proxy on the loopback that fails on demand: the cable that a test pulls, in a thread of its own.

A cut reaches the client as a reset, and the server as an end after exactly the bytes that were let through: what it
answers to them goes nowhere.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.devices.processes import LOOPBACK

BLOCK_BYTES = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, without waiting for what is unsent
Result = TypeVar("Result")


class CuttingProxy:
    """A proxy to one port. Every method has had its effect when it returns; counts are over all connections."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.target_port = target_port
        self.sent_bytes = 0  # client to server, as forwarded
        self.received_bytes = 0  # server to client
        self.connections = 0  # accepted so far
        self.cuts = 0  # made so far, on demand or at a limit
        self._limit: int | None = None
        self._refusing = False
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def cut_after(self, count: int) -> None:
        """Cut all connections, once, when `count` more bytes have gone from clients to the server."""

        def set_limit() -> None:
            self._limit = self.sent_bytes + count

        self._call(set_limit)

    def cut(self) -> None:
        """Cut all connections now; new ones are taken."""
        self._call(self._cut)

    def stall(self) -> None:
        """Forward nothing more, on old connections and new, and close none."""
        self._call(self._open.clear)

    def refuse(self) -> None:
        """Cut all connections and each new one, as a device does that is switched off."""

        def shut() -> None:
            self._refusing = True
            self._cut()

        self._call(shut)

    def let_through(self) -> None:
        """Forward again after `stall` or `refuse`, what was held back first, and forget a limit not yet reached."""

        def reopen() -> None:
            self._refusing, self._limit = False, None
            self._open.set()

        self._call(reopen)

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._wait(self._listen())

    def close(self) -> None:
        """Cut what is left and stop listening."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        self._wait(act())

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._refusing = True
        self._cut()
        self._open.set()
        for link in self._links:
            link.to_server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            _reset(to_client)
            return
        try:
            from_server, to_server = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            _reset(to_client)
            return
        link = _Link(to_client, to_server)
        self._links.add(link)
        ways = (self._send(from_client, link), self._receive(from_server, link))
        tasks = {asyncio.create_task(way) for way in ways}
        self._tasks |= tasks
        await asyncio.wait(tasks)
        self._tasks -= tasks
        self._links.discard(link)
        for writer in (to_client, to_server):
            writer.close()

    async def _send(self, source: asyncio.StreamReader, link: _Link) -> None:
        with suppress(ConnectionError):  # cut, here or at one of the ends
            while block := await source.read(BLOCK_BYTES):
                await self._open.wait()
                if link.is_cut:
                    return
                self._forward(block, link)
                await link.to_server.drain()
            await self._open.wait()
            if not link.to_server.is_closing():
                link.to_server.write_eof()

    def _forward(self, block: bytes, link: _Link) -> None:
        if self._limit is None or self.sent_bytes + len(block) < self._limit:
            self.sent_bytes += len(block)
            link.to_server.write(block)
            return
        last = block[: self._limit - self.sent_bytes]
        self.sent_bytes += len(last)
        link.to_server.write(last)
        self._limit = None
        self._cut()

    async def _receive(self, source: asyncio.StreamReader, link: _Link) -> None:
        with suppress(ConnectionError):  # cut, here or at one of the ends
            while block := await source.read(BLOCK_BYTES):
                await self._open.wait()
                if link.is_cut:
                    continue
                self.received_bytes += len(block)
                link.to_client.write(block)
                await link.to_client.drain()
            await self._open.wait()
            if not link.to_client.is_closing():
                link.to_client.write_eof()

    def _cut(self) -> None:
        self.cuts += 1
        for link in self._links:
            link.cut()


@dataclass(eq=False)
class _Link:
    to_client: asyncio.StreamWriter
    to_server: asyncio.StreamWriter
    is_cut: bool = False

    def cut(self) -> None:
        if not self.is_cut:
            self.is_cut = True
            _reset(self.to_client)
            if not self.to_server.is_closing():
                self.to_server.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):  # closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


@contextmanager
def cutting_proxy(target_port: int) -> Iterator[CuttingProxy]:
    """Run a proxy to a port of the loopback, and cut all of its connections at the end."""
    proxy = CuttingProxy(target_port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
