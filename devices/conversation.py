"""The host's side of the conversation with the on-device runner: start it, keep it company, read what it says.

The runner holds the device's lock while it runs, so models are pushed after it has started: a push would disturb
another session's measurement. It ends by itself when its input ends or when nothing is heard for 30 s.
"""

from __future__ import annotations

import getpass
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devices.base import Description, Device, DeviceLost, DeviceTimeout, Process
from devices.plain_text import plain
from devices.runner import runner_source
from edgenet.errors import EdgenetError, GateFailed, InputError, MissingError
from edgenet.progress import Report

ALIVE_EVERY_S = 5.0
START_S = 60.0  # Python's start on a slow board
END_S = 10.0
LONGEST_SHOWN = 200
VERSION = 1  # of the words that are spoken
# Beyond the time that the runner gives its own processes before it ends them and says so.
GRACE_S = 30.0
MENDS = {
    "missing-runtime": "edgenet devices setup DEVICE installs a runtime there",
    "delegate": "--delegate xnnpack, cpu, edgetpu or the path of a delegate library on the device",
    "governor": "measure without --fix-governor, or as a user that may set it",
    "golden": "the device's runtime computes this file differently: install another runtime (edgenet devices setup)",
    "crash": "try --delegate cpu, another runtime (edgenet devices setup), or a smaller model",
    "load": "the device's runtime cannot read this file: install a newer one (edgenet devices setup), or convert again",
    "hang": "give it more time with --timeout, or take a smaller model",
    "memory": "take a smaller model or batch",
    "affinity": "name cores of the device with --affinity",
    "file": "try again: the file on the device was damaged and is sent anew",
}
# Its interface to the runtime is C++ in part, and is of one TensorFlow version: google-coral/edgetpu 674, 845, 871.
EDGETPU_MEND = (
    "libedgetpu and the runtime have to fit each other: try a libedgetpu that is built for a newer TensorFlow, or "
    "another runtime (edgenet devices setup)"
)
# What of a model may be damaged on the device when it says so: removed there, it is sent anew.
DAMAGED = {"file": "path", "golden": "golden"}
WRONG_KINDS = ("affinity",)
MISSING_KINDS = ("missing-runtime", "delegate", "edgetpu", "governor")  # edgetpu: the device tells the mend


Steps = Annotated[int, Field(ge=0, le=2**53)]


class Event(BaseModel):
    """One line of the runner; the document of a `result` is validated by its reader."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    event: Literal["ready", "busy", "progress", "failed", "result"]
    version: Steps = 0
    owner: str = ""
    age_s: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    step: str = ""
    done: Steps = 0
    total: Steps = 0
    kind: str = ""
    message: str = ""
    document: dict[str, Any] = {}


class Conversation:
    """A running runner; use as a context. Raises MissingError for a device that has no Python or is in use."""

    def __init__(self, device: Device, report: Report) -> None:
        self._device, self._report = device, report
        self._silent, self._sending = threading.Event(), threading.Lock()
        self._company = threading.Thread(target=self._keep_alive, daemon=True)
        self.description: Description
        self._process: Process

    def __enter__(self) -> Conversation:
        """Push the runner, start it and wait until it holds the device."""
        self._report(f"connecting {self._device.address}", 0, 1)
        self.description = self._device.describe()
        if not self.description.python:
            raise MissingError(
                f"no Python 3 on {self._device.address}", mend="install python3 there, or name a benchmark binary (adb)"
            )
        self._process = self._device.start([
            self.description.python, "-u", str(self._push_runner()),
            "--home", str(self.description.home), "--serve", owner(),
        ])  # fmt: skip
        try:
            self._await_ready()
        except BaseException:
            self._process.kill()
            raise
        self._company.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the runner end, or end it."""
        self._silent.set()
        if error is not None:
            self._process.kill()
            return
        self._company.join(END_S)  # its line must not meet a closed pipe
        try:
            self._send(do="stop")
            self._process.finish(END_S)
        except (DeviceLost, DeviceTimeout):  # too late to spoil what was measured: the answer is here
            self._process.kill()

    def push(self, source: Path) -> PurePosixPath:
        """Bring a file to the device; see Device.push."""
        return self._device.push(source, self._report)

    def measure(self, job: dict[str, Any]) -> bytes:
        """Return the runner's document for a job as JSON; raise GateFailed or MissingError for what went wrong."""
        return self._work("measure", job)

    def answer(self, job: dict[str, Any]) -> bytes:
        """Return the runner's document of a model's answers as JSON; raise GateFailed or MissingError."""
        return self._work("answer", job)

    def _work(self, do: str, job: dict[str, Any]) -> bytes:
        self._send(do=do, job=job)
        for event in self._read(float(job["timeout_s"]) + GRACE_S):
            if event.event == "result":
                return json.dumps(event.document).encode()
            if event.event == "failed":
                raise self._failure(event, job)
            if event.event != "progress":
                raise self._nonsense(f"{event.event!r} in the middle of a measurement")
            self._report(plain(event.step), event.done, event.total)
        raise self._ended()

    def _send(self, **command: Any) -> None:
        with self._sending:  # two threads do
            self._process.send(json.dumps(command))

    def _push_runner(self) -> PurePosixPath:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "runner.py"
            path.write_text(runner_source(), encoding="utf-8")
            return self._device.push(path, self._report)

    def _await_ready(self) -> None:
        for event in self._read(START_S):
            if event.event == "busy":
                raise MissingError(
                    f"{self._device.address} is in use by {plain(event.owner)} for {event.age_s:.0f} s",
                    mend="wait until that session has ended; two at once would measure each other",
                )
            if (event.event, event.version) != ("ready", VERSION):
                raise self._nonsense(f"{event.event!r} of version {event.version}, not 'ready' of version {VERSION}")
            return
        raise self._ended()

    def _read(self, timeout_s: float) -> Iterator[Event]:
        lines = self._process.lines(timeout_s)
        try:
            for line in lines:
                yield self._event(line, lines)
        except DeviceTimeout as error:
            raise DeviceTimeout(
                f"{self._device.address} said nothing for {timeout_s:.0f} s", mend="see whether it is still there"
            ) from error

    def _event(self, line: str, later: Iterator[str]) -> Event:
        """Parse a line; raise InputError, and DeviceLost for one that broke off as nothing came after it."""
        try:
            return Event.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            if line.startswith("{") and "EOF" in first["msg"] and next(later, None) is None:
                raise self._ended() from error
            place = ".".join(map(str, first["loc"]))
            raise self._nonsense(f"{line[:LONGEST_SHOWN]!r} ({place + ': ' if place else ''}{first['msg']})") from error

    def _nonsense(self, found: str) -> InputError:
        return InputError(
            f"the runner on {self._device.address} says what is none of its words: {plain(found)}",
            mend="see what the login shell on the device prints; it must be silent",
        )

    def _failure(self, event: Event, job: dict[str, Any]) -> EdgenetError:
        for model in [*job["models"], *job.get("inputs", ())]:
            if damaged := model.get(DAMAGED.get(event.kind, "")):
                self._device.remove(PurePosixPath(damaged))
        what, mend = f"on {self._device.address}: {plain(event.message)}", MENDS.get(event.kind, "")
        if event.kind in ("crash", "load") and any(model.get("delegate") == "edgetpu" for model in job["models"]):
            mend = EDGETPU_MEND
        if event.kind in WRONG_KINDS:
            return InputError(what, mend=mend)
        return (MissingError if event.kind in MISSING_KINDS else GateFailed)(what, mend=mend)

    def _ended(self) -> EdgenetError:
        """Return what the end of the runner means: it fell, or the device did."""
        finished = self._process.finish(END_S)
        said = plain(finished.stderr) or "it said nothing"
        return DeviceLost(
            f"the runner on {self._device.address} ended with status {finished.status}: {said}",
            mend="edgenet devices check DEVICE shows what is there",
        )

    def _keep_alive(self) -> None:
        while not self._silent.wait(ALIVE_EVERY_S):
            try:
                self._send(do="alive")
            except (DeviceLost, DeviceTimeout):  # which the thread that reads will meet as well
                return
            except (OSError, ValueError):
                if not self._silent.is_set():
                    raise
                return  # the session was broken off meanwhile, and the pipe closed


def owner() -> str:
    """Return who measures, as the lock on a device tells others."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
