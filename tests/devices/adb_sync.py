"""The file service of the adb protocol: stat, list, push and pull, in its first and second form.

Source: file_sync_service of the Android Open Source Project (packages/modules/adb). As there: a push removes the file
that was there, gives group and others the owner's rights, makes the folders it needs, leaves nothing if it was cut or
failed, and reads on to the end after a failure, because the client looks for an answer only then.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.devices.adb_wire import Closed, Stream

WORD = struct.Struct("<4sI")
STAT_1 = struct.Struct("<4s3I")
STAT_2 = struct.Struct("<4sI2Q4IQ3q")
ENTRY_1 = struct.Struct("<4s4I")
ENTRY_2 = struct.Struct("<4sI2Q4IQ3qI")
BLOCK_BYTES = 65536  # the largest that the protocol allows


async def serve(stream: Stream) -> None:
    """Answer requests until the client quits."""
    while True:
        name, size = WORD.unpack(await stream.exactly(WORD.size))
        if name == b"QUIT":
            return
        path = (await stream.exactly(size)).decode()
        if name == b"STAT":
            await stream.write(_stat_1(path))
        elif name in (b"STA2", b"LST2"):
            await stream.write(_stat_2(name, path, os.stat if name == b"STA2" else os.lstat))
        elif name == b"LIST":
            await _list(stream, path, _entry_1, ENTRY_1.pack(b"DONE", *[0] * 4))
        elif name == b"LIS2":
            await _list(stream, path, _entry_2, ENTRY_2.pack(b"DONE", *[0] * 12))
        elif name == b"SEND":
            path, _, mode = path.rpartition(",")
            await _receive(stream, Path(path), int(mode))
        elif name == b"SND2":
            _, mode_number, _ = struct.unpack("<4s2I", await stream.exactly(12))
            await _receive(stream, Path(path), mode_number)
        elif name in (b"RECV", b"RCV2"):
            if name == b"RCV2":
                await stream.exactly(8)  # the flags: no compression was offered
            await _send(stream, path)
        else:
            await _fail(stream, f"unknown command {name!r}")
            return


async def _fail(stream: Stream, message: str) -> None:
    await stream.write(WORD.pack(b"FAIL", len(message.encode())) + message.encode())


def _stat_1(path: str) -> bytes:
    try:
        found = os.lstat(path)
    except OSError:
        return STAT_1.pack(b"STAT", 0, 0, 0)
    return STAT_1.pack(b"STAT", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))


def _stat_2(name: bytes, path: str, look: Callable[[str], os.stat_result]) -> bytes:
    try:
        found = look(path)
    except OSError as error:
        return STAT_2.pack(name, error.errno or 0, *[0] * 10)
    return STAT_2.pack(name, 0, *_long_facts(found))


def _long_facts(found: os.stat_result) -> tuple[int, ...]:
    owner = (found.st_mode, found.st_nlink, found.st_uid, found.st_gid)
    times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
    return (found.st_dev, found.st_ino, *owner, found.st_size, *times)


async def _list(stream: Stream, path: str, describe: Callable[[os.DirEntry[str]], bytes], end: bytes) -> None:
    with suppress(OSError), os.scandir(path) as entries:  # a folder that is not there is an empty list
        for entry in entries:
            await stream.write(describe(entry))
    await stream.write(end)


def _entry_1(entry: os.DirEntry[str]) -> bytes:
    found, name = entry.stat(follow_symlinks=False), entry.name.encode()
    facts = (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime), len(name))
    return ENTRY_1.pack(b"DENT", *facts) + name


def _entry_2(entry: os.DirEntry[str]) -> bytes:
    found, name = entry.stat(follow_symlinks=False), entry.name.encode()
    return ENTRY_2.pack(b"DNT2", 0, *_long_facts(found), len(name)) + name


async def _receive(stream: Stream, path: Path, mode: int) -> None:
    """Store what the client pushes."""
    failure, file = "", -1
    if not stat.S_ISREG(mode):
        failure = "only plain files can be pushed here"
    try:
        if not failure:
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        failure = f"couldn't create file: {error.strerror}"
    try:
        while True:
            name, number = WORD.unpack(await stream.exactly(WORD.size))
            if name == b"DONE":
                break
            block = await stream.exactly(number)
            if not failure:
                failure = _store(file, block)
    except Closed:
        _abandon(file, path)
        raise
    if failure:
        _abandon(file, path)
        await _fail(stream, failure)
        return
    owner = mode & 0o700
    os.fchmod(file, (mode & 0o777) | owner >> 3 | owner >> 6)
    os.utime(file, (number, number))
    os.close(file)
    await stream.write(WORD.pack(b"OKAY", 0))


def _store(file: int, block: bytes) -> str:
    try:
        while block:
            block = block[os.write(file, block) :]
    except OSError as error:
        return f"write failed: {error.strerror}"
    return ""


def _abandon(file: int, path: Path) -> None:
    if file >= 0:
        os.close(file)
        path.unlink(missing_ok=True)


async def _send(stream: Stream, path: str) -> None:
    """Give the client a file that it pulls."""
    try:
        with Path(path).open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                await stream.write(WORD.pack(b"DATA", len(block)) + block)
    except Closed:
        raise
    except OSError as error:
        await _fail(stream, f"open failed: {error.strerror}")
        return
    await stream.write(WORD.pack(b"DONE", 0))
