"""A file to a device, named by its content: what is there is not sent again, and what was cut goes on.

The content goes to `dd` over an exec channel, not over SFTP: 200 MB to a loopback sshd went at 176 MB/s against 164
(ChaCha20, the cipher for boards without AES instructions), one exchange of messages does all of it, the check included,
and boards with dropbear have no SFTP server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devices.base import DeviceFull, DeviceLost
from devices.ssh_process import START_S, SshProcess, plain
from devices.ssh_scripts import PUSH, script
from edgenet.errors import InputError, MissingError
from edgenet.progress import Report

BLOCK_BYTES = 256 << 10
CHECK_S = 900.0  # a card that writes 2 MB/s, and a slow board's SHA-256
# Waits before each new try; as long as a try brings the file further, they are counted from the first again.
WAITS_S = (0.5, 1.0, 2.0, 4.0)

Start = Callable[[Sequence[str]], SshProcess]


@dataclass
class Push:
    """One file on its way to `folder`/`digest`."""

    start: Start
    address: str
    folder: PurePosixPath
    source: Path
    digest: str
    size_bytes: int
    report: Report
    begun_bytes: int = 0  # what was there when the last try began

    def run(self) -> None:
        """Bring it there; raise DeviceLost, DeviceFull, MissingError, InputError."""
        changed = False
        failures = 0
        while True:
            before = self.begun_bytes
            try:
                if self._try():
                    return
            except DeviceLost as error:
                failures = 1 if self.begun_bytes > before else failures + 1
                if failures > len(WAITS_S):
                    raise self._given_up(error) from error
                time.sleep(WAITS_S[failures - 1])
            else:
                # What was there was no beginning of this file: it is gone now, so once more, from nothing.
                if changed:
                    raise self._spoilt()
                changed = True

    def _try(self) -> bool:
        """Send what is missing; return whether the whole is there, False if it is not this content."""
        process = self.start(script(PUSH, str(self.folder), self.digest, str(self.size_bytes)))
        try:
            return self._converse(process)
        except BaseException:
            process.kill()
            raise

    def _converse(self, process: SshProcess) -> bool:
        word, value = _words(next(process.lines(START_S), ""))
        if word == "begin":
            self.begun_bytes = value
            self._send(process)
        finished = process.finish(CHECK_S)
        if word == "begin":
            word, value = _words(finished.stdout)
        if word in ("have", "done"):
            self._tell(self.size_bytes)
            return True
        if word == "changed":
            return False
        if word == "full":
            raise self._full(value * 1024)
        if word == "short":
            raise DeviceLost(f"{self.address} took only a part of {self.source.name}")
        raise MissingError(
            f"{self.address} cannot take {self.source.name}: {plain(finished.stderr) or f'status {finished.status}'}",
            mend=f"see whether {self.folder} there can be written to",
        )

    def _send(self, process: SshProcess) -> None:
        done = self.begun_bytes
        self._tell(done)
        for block in _blocks(self.source, done):
            try:
                process.write(block)
            except DeviceLost:
                return  # why, its last words tell, if the connection is not what ended
            done += len(block)
            self._tell(done)

    def _tell(self, done: int) -> None:
        self.report(f"copying {self.source.name}", done, self.size_bytes)

    def _full(self, free_bytes: int) -> DeviceFull:
        return DeviceFull(
            f"{self.address} has no space for {self.source.name}: {self.size_bytes / 1e6:.1f} MB are needed, "
            f"{free_bytes / 1e6:.1f} MB free ({free_bytes} bytes)",
            mend=f"make room there, or remove what edgenet keeps: edgenet devices clean {self.address}",
        )

    def _spoilt(self) -> InputError:
        return InputError(
            f"{self.source.name} arrived twice at {self.address} with another content than it had",
            mend="see that nobody writes to the file here, and that the device's card is sound (dmesg there)",
        )

    def _given_up(self, error: DeviceLost) -> DeviceLost:
        return DeviceLost(
            f"lost {self.address} while {self.source.name} went there, {len(WAITS_S)} tries in a row: {error.what}",
            mend=f"run it again when the device answers: it goes on behind {self.begun_bytes / 1e6:.1f} MB at least",
        )


def unreadable(source: Path, error: OSError) -> InputError:
    """Return the error for a file here that cannot be read."""
    return InputError(f"cannot read {source}: {error.strerror}", mend="name a file")


def _blocks(source: Path, start: int) -> Iterator[bytes]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise unreadable(source, error) from error
    with file:
        file.seek(start)
        while block := file.read(BLOCK_BYTES):
            yield block


def _words(line: str) -> tuple[str, int]:
    """Return the word that the script answered, and its number."""
    word, _, value = line.strip().partition(" ")
    return word, int(value) if value.isdecimal() else 0
