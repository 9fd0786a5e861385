"""Bring a file to an Android device so that a push that was cut goes on at the very byte.

`adb push` can only begin anew. A stream into `cat >> file` writes a beginning of the file and nothing else, however it
ends, so its size tells where to go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devices.adb_describe import OLD_ANDROID_MEND
from devices.adb_process import LOST_MEND, STALL_S, AdbProcess, run_to_end
from devices.adb_shell import Connection
from devices.base import DeviceFull, DeviceLost, DeviceTimeout, Finished
from devices.plain_text import plain
from edgenet.errors import InputError, MissingError
from edgenet.progress import Report
from edgenet.weights.cache import CHUNK_BYTES, file_digest

ANSWER_S = 30.0
SLOWEST_DIGEST_BYTES_PER_S = 5e6  # sha256sum of an old 32-bit core, with room to spare
WRITE_STATUS, DAMAGED_STATUS, SHORT_STATUS, TOOL_STATUS = 21, 22, 23, 24
NO_SPACE = "No space left on device"

# $1 is the file's place; Available is the third from the right, whatever the file system's name.
STATE = """\
stat -c 'whole %s' "$1" 2>/dev/null
stat -c 'part %s' "$1.part" 2>/dev/null
df -Pk "${1%/*}" | tail -n 1 | while read line; do set -- $line; shift $(($# - 3)); echo "free $1"; done
"""
# $1 place, $2 size, $3 SHA-256, $4 the byte that the input begins at. Input that ends early was cut: what came is kept.
RECEIVE = f"""\
umask 077; mkdir -p "${{1%/*}}"
command -v sha256sum >/dev/null || exit {TOOL_STATUS}
[ "$4" = 0 ] && rm -f "$1.part"
cat >> "$1.part" || exit {WRITE_STATUS}
[ "$(stat -c %s "$1.part")" = "$2" ] || exit {SHORT_STATUS}
set -- "$1" "$3" $(sha256sum "$1.part")
[ "$2" = "$3" ] || {{ rm -f "$1.part"; exit {DAMAGED_STATUS}; }}
mv -f "$1.part" "$1"
"""


@dataclass(frozen=True)
class _Push:
    connection: Connection
    source: Path
    size_bytes: int
    sha256: str
    target: PurePosixPath  # on the device


def push_file(connection: Connection, source: Path, home: PurePosixPath, report: Report) -> PurePosixPath:
    """Bring `source` to `home`/files/<SHA-256>; see Device.push. Raise DeviceLost, DeviceFull, InputError."""
    try:
        sha256, size_bytes = file_digest(source), source.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}", mend="name a file") from error
    push = _Push(connection, source, size_bytes, sha256, home / "files" / sha256)
    for _ in range(2):  # what was there may be no beginning of this file: then once more, from nothing
        state = _state(push)
        if state.get("whole") == size_bytes:
            return push.target
        start = state.get("part", 0) if state.get("part", 0) <= size_bytes else 0
        if size_bytes - start > state.get("free", size_bytes) * 1024:
            raise _full(push, size_bytes - start)
        done = _send(push, start, report)
        if done.status == 0:
            return push.target
        if done.status != DAMAGED_STATUS:
            _complain(push, done)
    raise InputError(f"{source} changed while it was read", mend="try again when nobody writes to it")


def _state(push: _Push) -> dict[str, int]:
    """Return the sizes of the whole file and of its part in bytes, and the free space in KiB, as far as known."""
    done = run_to_end(push.connection, ["sh", "-c", STATE, "sh", str(push.target)], ANSWER_S)
    words = [line.split() for line in done.stdout.splitlines()]
    return {name: int(number) for name, number in (pair for pair in words if len(pair) == 2) if number.isdecimal()}


def _send(push: _Push, start: int, report: Report) -> Finished:
    """Stream the file from byte `start` on and return how the device's side ended."""
    arguments = [str(push.target), str(push.size_bytes), push.sha256, str(start)]
    process = AdbProcess(push.connection, ["sh", "-c", RECEIVE, "sh", *arguments])
    try:
        report(f"copying {push.source.name}", start, push.size_bytes)
        for done_bytes, chunk in _chunks(push.source, start):
            if not process.write(chunk, STALL_S):
                break  # it ended early; its status says why
            report(f"copying {push.source.name}", done_bytes, push.size_bytes)
        return process.finish(STALL_S + push.size_bytes / SLOWEST_DIGEST_BYTES_PER_S)
    except DeviceTimeout as error:
        what = f"{push.connection.address} takes nothing more of {push.source.name}"
        raise DeviceLost(what, mend=LOST_MEND) from error
    except DeviceLost as error:
        raise _lost(push) from error
    finally:
        process.kill()


def _chunks(source: Path, start: int) -> Iterator[tuple[int, bytes]]:
    with source.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            start += len(chunk)
            yield start, chunk


def _complain(push: _Push, done: Finished) -> None:
    """Raise what the device's side of a push that failed means."""
    address = push.connection.address
    if done.status == SHORT_STATUS:
        raise _lost(push)
    if NO_SPACE in done.stderr:
        with suppress(DeviceLost):  # a part fills the device as well as a whole
            run_to_end(push.connection, ["rm", "-f", f"{push.target}.part"], ANSWER_S)
        raise _full(push, push.size_bytes)
    if done.status == TOOL_STATUS:
        raise MissingError(f"{address} has no sha256sum", mend=OLD_ANDROID_MEND)
    raise MissingError(
        f"cannot write {push.target} on {address}: {plain(done.stderr) or f'status {done.status}'}",
        mend="see adb shell ls -la on that folder",
    )


def _lost(push: _Push) -> DeviceLost:
    return DeviceLost(f"{push.connection.address} was lost while {push.source.name} was copied", mend=LOST_MEND)


def _full(push: _Push, needed_bytes: int) -> DeviceFull:
    what = f"no space on {push.connection.address} for {push.source.name}: {needed_bytes / 1e6:.1f} MB are needed"
    return DeviceFull(what, mend=f"make room, or remove what edgenet keeps: adb shell rm -r {push.target.parent}")
