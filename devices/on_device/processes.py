"""Measuring processes as the session sees them: asked by lines, watched while they work."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST_MESSAGE = 500  # characters of what a process said before it fell
LOOK_UP_S = 0.5  # how often a waiting session looks whether it is still wanted


class SessionFailed(Exception):
    """A measurement that cannot go on; `kind` is crash, hang, load, golden, delegate, edgetpu, memory, file, ..."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class MeasuringProcess:
    """One child of this file; `label` names its model in messages."""

    def __init__(self, label: str, timeout_s: float, attend: Callable[[], None]) -> None:
        self._label, self._timeout_s, self._attend = label, timeout_s, attend
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._doing = "starting"
        self._unread = b""
        program = [sys.executable, str(Path(__file__).resolve()), "--child"]
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0
        )

    def ask(self, do: str, **values: object) -> None:
        """Send a command; `answer` waits for what comes back."""
        self._doing = do
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(dict(values, do=do)) + "\n").encode())
        except BrokenPipeError:
            raise self._fallen() from None

    def answer(self) -> dict[str, Any]:
        """Return the answer to the last command; raise SessionFailed for an error, a crash or a hang."""
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + self._timeout_s
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._process.stdout], [], [], LOOK_UP_S)
            if ready:
                content = os.read(self._process.stdout.fileno(), 1 << 20)
                if not content:
                    raise self._fallen()
                self._unread += content
            self._attend()
            if time.monotonic() > deadline_s:
                self.close()
                raise SessionFailed(
                    "hang", f"{self._label} gave no answer for {self._timeout_s:g} s while {self._what()}"
                )
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line.decode())
        if "error" in answer:
            raise SessionFailed(answer["error"], "{}: {}".format(self._label, answer["message"]))
        return answer

    def close(self) -> None:
        """End the process; may be called twice."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def _what(self) -> str:
        return {
            "load": "loading",
            "block": "running",
            "golden": "checking its golden vectors",
            "answer": "running",
        }.get(self._doing, self._doing)

    def _fallen(self) -> SessionFailed:
        status = self._process.wait()
        self._stderr.seek(0)
        said = self._stderr.read().decode("utf-8", "replace").strip()[-LONGEST_MESSAGE:]
        how = f"ended with status {status}"
        if status < 0:
            how = f"crashed ({signal.Signals(-status).name})"
            if status == -signal.SIGKILL:
                how = "was killed, most likely for want of memory"
        tail = f": {said}" if said else ""
        return SessionFailed("crash", f"the runtime {how} while {self._what()} {self._label}{tail}")
