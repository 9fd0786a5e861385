"""The shell service of the adb protocol: its second form, which keeps the streams apart, the first, and `exec`.

Source: shell_service of the Android Open Source Project (packages/modules/adb). As there: when a client of the second
form goes away, the shell is hung up on (SIGHUP), and nothing that it started is. A terminal is not offered: who asks
for one gets pipes.
"""

from __future__ import annotations

import asyncio
import signal
import struct
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from tests.devices.adb_wire import Closed, Stream

PACKET = struct.Struct("<BI")
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
NO_KIND = -1  # the first form has one stream, without packets
BLOCK_BYTES = 65536


async def serve(stream: Stream, command: str, environment: Mapping[str, str], separate: bool) -> None:
    """Run a command line to its end; `separate` is the second form."""
    # Popen, not asyncio's: that one cannot let go of a program's pipes without killing it.
    process = subprocess.Popen(
        ["/bin/sh", *(["-c", command] if command else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if separate else subprocess.STDOUT,
        cwd="/",
        env=dict(environment),
        start_new_session=True,
    )
    feeding = asyncio.create_task(_feed(stream, process, separate))
    kinds = ((process.stdout, STDOUT), (process.stderr, STDERR)) if separate else ((process.stdout, NO_KIND),)
    pumps = [asyncio.create_task(_pump(stream, pipe, kind)) for pipe, kind in kinds if pipe]
    try:
        await asyncio.gather(*pumps)
        status = await asyncio.to_thread(process.wait)
        if separate:
            await stream.write(PACKET.pack(EXIT, 1) + bytes([status if status >= 0 else 0x80 | -status]))
    except Closed:
        if separate:
            with suppress(ProcessLookupError):  # it ended by itself
                process.send_signal(signal.SIGHUP)
        else:
            await asyncio.wait({feeding})  # what the client sent before it closed is for the program
        raise
    finally:
        for task in (feeding, *pumps):
            task.cancel()
        await asyncio.gather(feeding, *pumps, return_exceptions=True)


async def _pump(stream: Stream, pipe: IO[bytes], kind: int) -> None:
    """Send what the program writes, until it closes that pipe or the client is gone."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    try:
        while block := await stream.unless_closed(reader.read(BLOCK_BYTES)):
            await stream.write(block if kind == NO_KIND else PACKET.pack(kind, len(block)) + block)
    finally:
        transport.close()


async def _feed(stream: Stream, process: subprocess.Popen[bytes], separate: bool) -> None:
    """Give the program what the client writes, until the client closes its input or is gone."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, process.stdin)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        while separate:
            kind, size = PACKET.unpack(await stream.exactly(PACKET.size))
            content = await stream.exactly(size)
            if kind == CLOSE_STDIN:
                break
            if kind == STDIN:
                await _give(writer, content)
        while not separate:
            await _give(writer, await stream.block())
    except Closed:
        pass  # the end of its input
    finally:
        transport.close()
    while True:  # what comes now is for nobody, but has to be read
        await stream.block()


async def _give(writer: asyncio.StreamWriter, content: bytes) -> None:
    with suppress(ConnectionError):  # a program need not read its input
        writer.write(content)
        await writer.drain()
