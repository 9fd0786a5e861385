"""What every kind of device offers, and the records that it speaks in.

DeviceError tells what a device did; its exit code is that of its class:

DeviceLost       3   the connection broke, or the device was switched off or restarted
DeviceTimeout    1   a program on the device ran past its time and was ended
DeviceFull       3   no space is left on the device
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from edgenet.errors import GateFailed, MissingError
from edgenet.progress import Report


class DeviceLost(MissingError):
    """The connection to a device broke, or the device went away."""


class DeviceFull(MissingError):
    """A device has no space left for a file."""


class DeviceTimeout(GateFailed):
    """A program on a device ran past its time and was ended."""


@dataclass(frozen=True)
class Description:
    """What a device is, as it says itself.

    `python` is the interpreter that programs run under ("" where there is none); `home` is edgenet's private folder.
    """

    address: str
    kind: str  # local, ssh, adb, fake
    host: str  # the name that the device gives itself
    system: str  # Linux, Android, Darwin
    machine: str  # aarch64, armv7l, x86_64, ...
    python: str
    python_version: tuple[int, int]  # (0, 0) where there is none
    home: PurePosixPath
    facts: Mapping[str, str] = field(default_factory=dict)  # model, soc, libc, android release, ...


@dataclass(frozen=True)
class Finished:
    """A program that ended: its exit status (negative: ended by that signal) and what it wrote."""

    status: int
    stdout: str
    stderr: str


class Process(Protocol):
    """A program on a device that is spoken to by lines."""

    def send(self, line: str) -> None:
        """Write one line to its standard input; raise DeviceLost where nobody reads it any more."""

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Yield each line of its standard output, without the line feed, until it ends.

        Raise DeviceTimeout (and end the program) if nothing comes for `timeout_s`, DeviceLost if the connection breaks.
        """

    def finish(self, timeout_s: float) -> Finished:
        """Close its standard input and wait for its end; raise DeviceTimeout (and end it) or DeviceLost."""

    def kill(self) -> None:
        """End it and all that it started; say nothing if it has ended already."""


class Device(Protocol):
    """A machine that programs run on. Arguments reach the program as they are: no shell reads them."""

    address: str

    def describe(self) -> Description:
        """Connect if need be and say what the device is; raise MissingError with the mend."""

    def push(self, source: Path, report: Report) -> PurePosixPath:
        """Bring a file to `home`/files/<sha256 of its content>, and return that path; once there, it is not sent again.

        A push that was cut goes on where it stopped. The content is checked by its SHA-256 on the device before it gets
        its name; the file is readable by its owner alone. Raise DeviceLost, DeviceFull.
        """

    def run(self, arguments: Sequence[str], timeout_s: float, content: bytes = b"") -> Finished:
        """Run a program to its end with `content` on its standard input; raise DeviceTimeout, DeviceLost."""

    def start(self, arguments: Sequence[str]) -> Process:
        """Start a program and return while it runs."""

    def pull(self, path: PurePosixPath, destination: Path) -> None:
        """Bring a file of the device to `destination`, whole or not at all; raise DeviceLost, InputError."""

    def remove(self, path: PurePosixPath) -> None:
        """Remove a file or a folder below `home`, if it is there; raise InputError for any other place."""

    def clean_up(self) -> None:
        """Remove what this session left besides cached files, and let go of the device; may be called twice."""
