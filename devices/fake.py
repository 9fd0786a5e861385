"""A device that is not there: it answers from a script, records the order of calls, and fails when it is told to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from devices.base import Description, DeviceLost, Finished
from devices.places import below
from edgenet.errors import InputError
from edgenet.progress import Report

HOME = PurePosixPath("/home/fake/.cache/edgenet")
NOT_FOUND = 127
ENDED_WELL = Finished(0, "", "")

Answer = Callable[[Sequence[str], bytes], Finished]
"""(arguments, standard input) -> how the program ends."""
Reply = Callable[[str], Sequence[str]]
"""A line that a program is sent -> the lines that it writes then."""


@dataclass(frozen=True)
class Call:
    """One call of a device's method or of a process': its name and what it was given, as text."""

    name: str
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """A program that is spoken to: what it writes first, its reply to each line, and how it ends.

    An error among the lines is raised where it stands: DeviceLost in the middle of a run.
    """

    opening: Sequence[str | Exception] = ()
    reply: Reply = lambda line: ()
    end: Finished = ENDED_WELL


def table(answers: Mapping[tuple[str, ...], Finished]) -> Answer:
    """Return an answer for each program by how its arguments begin; the longest beginning wins, and none is 127."""

    def answer(arguments: Sequence[str], content: bytes) -> Finished:
        for length in range(len(arguments), 0, -1):
            if tuple(arguments[:length]) in answers:
                return answers[tuple(arguments[:length])]
        return Finished(NOT_FOUND, "", f"{arguments[0]}: not found\n")

    return answer


def described(name: str, **changes: str) -> Description:
    """Return a fake's description; `changes` are facts."""
    return Description(
        address=f"fake:{name}",
        kind="fake",
        host=name,
        system="Linux",
        machine="aarch64",
        python="/usr/bin/python3",
        python_version=(3, 11),
        home=HOME,
        facts={"model": "a fake device", **changes},
    )


@dataclass
class FakeDevice:
    """See devices.base.Device.

    `failures` tells which call raises what, by its number from 0 among all `calls`; files live in `files`.
    """

    name: str
    answer: Answer = field(default_factory=lambda: table({}))
    programs: Sequence[Program] = ()  # what each `start` starts, in order; behind the last one, what `answer` says
    failures: Mapping[int, Exception] = field(default_factory=dict)
    files: dict[PurePosixPath, bytes] = field(default_factory=dict)
    description: Description | None = None  # None: `described(name)`
    calls: list[Call] = field(default_factory=list)
    address: str = field(init=False)

    def __post_init__(self) -> None:
        """Take the address that its name gives."""
        self.address = f"fake:{self.name}"

    @property
    def order(self) -> list[str]:
        """The names of all calls so far."""
        return [call.name for call in self.calls]

    def note(self, name: str, *given: str) -> None:
        """Record a call, and fail if this is the one that was to fail."""
        self.calls.append(Call(name, given))
        failure = self.failures.get(len(self.calls) - 1)
        if failure:
            raise failure

    def describe(self) -> Description:
        """Return its description."""
        self.note("describe")
        return self.description or described(self.name)

    def push(self, source: Path, report: Report) -> PurePosixPath:
        """Keep a file's content."""
        self.note("push", source.name)
        content = source.read_bytes()
        path = HOME / "files" / hashlib.sha256(content).hexdigest()
        self.files[path] = content
        report(f"copying {source.name}", len(content), len(content))
        return path

    def run(self, arguments: Sequence[str], timeout_s: float, content: bytes = b"") -> Finished:
        """Answer from the script."""
        del timeout_s
        self.note("run", *arguments)
        return self.answer(arguments, content)

    def start(self, arguments: Sequence[str]) -> FakeProcess:
        """Start a program of the script."""
        self.note("start", *arguments)
        started = self.order.count("start")
        known = started <= len(self.programs)
        return FakeProcess(self, self.programs[started - 1] if known else Program(end=self.answer(arguments, b"")))

    def pull(self, path: PurePosixPath, destination: Path) -> None:
        """Write a kept file's content."""
        self.note("pull", str(path))
        if path not in self.files:
            raise InputError(f"cannot bring {path} to {destination}: no such file on {self.address}")
        destination.write_bytes(self.files[path])

    def remove(self, path: PurePosixPath) -> None:
        """Forget what is at or below a path."""
        self.note("remove", str(path))
        below(path, HOME)
        self.files = {kept: content for kept, content in self.files.items() if not kept.is_relative_to(path)}

    def clean_up(self) -> None:
        """Record that the session is over."""
        self.note("clean_up")


class FakeProcess:
    """See devices.base.Process; its calls are recorded with its device's."""

    def __init__(self, device: FakeDevice, program: Program) -> None:
        self._device, self._program = device, program
        self._waiting: list[str | Exception] = list(program.opening)
        self._alive = True

    def send(self, line: str) -> None:
        """Give it a line."""
        self._device.note("send", line)
        if not self._alive:
            raise DeviceLost(f"the program on {self._device.address} has ended")
        self._waiting += self._program.reply(line)

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Yield what it has to say by now; it never keeps anybody waiting."""
        del timeout_s
        self._device.note("lines")
        yield from self._said()

    def finish(self, timeout_s: float) -> Finished:
        """End it."""
        del timeout_s
        self._device.note("finish")
        self._alive = False
        rest = "".join(f"{line}\n" for line in self._said())
        return Finished(self._program.end.status, rest + self._program.end.stdout, self._program.end.stderr)

    def kill(self) -> None:
        """End it."""
        self._device.note("kill")
        self._alive = False

    def _said(self) -> Iterator[str]:
        while self._waiting:
            line = self._waiting.pop(0)
            if isinstance(line, Exception):
                self._alive = False
                raise line
            yield line
