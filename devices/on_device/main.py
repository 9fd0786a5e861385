"""Run edgenet's measurement on this device: python runner.py model.tflite

Needs Python 3.7 or newer and a runtime: ai-edge-litert or tflite-runtime, onnxruntime for .onnx files. Prints one JSON
document on stdout, which `edgenet report` and `edgenet compare` read. With --serve a host speaks to it, in JSON lines.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from devices.on_device.answers import collect_answers
from devices.on_device.child import child_main
from devices.on_device.files import forget_unused
from devices.on_device.governor import GovernorError
from devices.on_device.lock import DeviceBusy, take_lock
from devices.on_device.processes import SessionFailed
from devices.on_device.session import Session

SILENCE_S = 30.0  # a host that says nothing for so long is gone
# Exit codes: edgenet's, and 4 for a device that another session holds.
FAILED, WRONG, MISSING, BUSY, INTERRUPTED = 1, 2, 3, 4, 130
MISSING_KINDS = ("missing-runtime", "delegate", "edgetpu")


class HostGone(Exception):
    """Nobody waits for the result any more."""


class Host:
    """The other side of stdin and stdout: commands come as JSON lines, events go as JSON lines."""

    def __init__(self) -> None:
        self._unread = b""
        self._commands: list[dict[str, Any]] = []
        self._heard_s = time.monotonic()
        self._events = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what native code prints must not stand between the events

    def emit(self, event: str, **values: object) -> None:
        """Send an event; raise HostGone where nobody reads it."""
        try:
            self._events.write(json.dumps(dict(values, event=event)) + "\n")
            self._events.flush()
        except OSError as error:
            raise HostGone from error

    def attend(self, wait_s: float = 0.0) -> None:
        """Take in what the host has sent; raise HostGone at its end, at `stop`, and after a long silence."""
        if select.select([0], [], [], wait_s)[0]:
            content = os.read(0, 1 << 16)
            if not content:
                raise HostGone
            self._heard_s = time.monotonic()
            *lines, self._unread = (self._unread + content).split(b"\n")
            commands = [json.loads(line.decode()) for line in lines]
            if any(command["do"] == "stop" for command in commands):
                raise HostGone
            self._commands += [command for command in commands if command["do"] != "alive"]
        elif time.monotonic() - self._heard_s > SILENCE_S:
            raise HostGone

    def command(self) -> dict[str, Any]:
        """Wait for the next command."""
        while not self._commands:
            self.attend(1.0)
        return self._commands.pop(0)


def serve(home: Path, owner: str) -> int:
    """Measure what the host asks for until it stops or is gone."""
    host = Host()
    try:
        lock = take_lock(home, owner)
    except DeviceBusy as busy:
        host.emit("busy", owner=busy.owner, age_s=busy.age_s)
        return BUSY
    try:
        forget_unused(home / "files")
        host.emit("ready", version=1)
        while True:
            command = host.command()
            job, progress = command["job"], _Progress(host)
            try:
                if command["do"] == "answer":
                    document = collect_answers(job, Path("/"), progress.report, host.attend)
                else:
                    document = Session(job, home, Path("/"), progress.report, host.attend).measure()
            except SessionFailed as error:
                host.emit("failed", kind=error.kind, message=str(error))
            except GovernorError as error:
                host.emit("failed", kind="governor", message=str(error))
            else:
                host.emit("result", document=document)
    except HostGone:
        return 0
    finally:
        os.close(lock)


class _Progress:
    """Sends progress at most every 0.2 s for one step."""

    def __init__(self, host: Host) -> None:
        self._host, self._step, self._sent_s = host, "", 0.0

    def report(self, step: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if step != self._step or now_s - self._sent_s > 0.2 or done == total:
            self._step, self._sent_s = step, now_s
            self._host.emit("progress", step=step, done=done, total=total)


def alone(arguments: argparse.Namespace, home: Path) -> int:
    """Measure the named files on this device and print the document."""
    job = _job(arguments)
    try:
        lock = take_lock(home, _owner())
    except DeviceBusy as busy:
        return _fail(BUSY, f"{busy}; wait, or end that session")
    try:
        document = Session(job, home, Path("/"), _say, lambda: None).measure()
    except SessionFailed as error:
        return _fail(MISSING if error.kind in MISSING_KINDS else FAILED, str(error))
    except GovernorError as error:
        return _fail(MISSING, str(error))
    finally:
        os.close(lock)
    print(json.dumps(document, indent=1))
    return 0


def _job(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "models": [_model(Path(name), arguments.delegate) for name in arguments.model],
        "threads": arguments.threads,
        "processes": [1],
        "batches": [1],
        "affinity": [],
        "cached": False,
        "fix_governor": arguments.fix_governor,
        "timeout_s": 120.0,
        "protocol": {
            "name": "standard", "warmup_runs": 10, "warmup_s": 1.0, "min_runs": arguments.runs,
            "min_s": arguments.seconds, "max_s": 300.0, "block_s": 0.25, "cooldown_s": 0.0, "cold_starts": 5,
        },
    }  # fmt: skip


def _model(path: Path, delegate: str) -> dict[str, Any]:
    content = path.read_bytes()
    golden = path.with_name(path.stem + ".golden.npz")
    is_tflite = content[4:8] == b"TFL3"
    return {
        "name": path.name,
        "path": str(path.resolve()),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "format": "tflite" if is_tflite else "onnx",
        "golden": str(golden.resolve()) if golden.exists() else "",
        "delegate": delegate or ("xnnpack" if is_tflite else "cpu"),
    }


def _positive_int(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)  # which argparse turns into a usage error
    return int(text)


def _positive_float(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ValueError(text)
    return float(text)


def _counts(text: str) -> list[int]:
    return [_positive_int(word) for word in text.split(",")]


def _say(step: str, done: int, total: int) -> None:
    if done in (0, total):
        sys.stderr.write(f"{step} ...\n" if done == 0 else f"{step}: done\n")


def _fail(code: int, message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


def _owner() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run one command line; return its exit code."""
    if arguments[:1] == ["--child"]:
        return child_main()
    parser = argparse.ArgumentParser(prog="runner.py", description="Measure models on this device; prints JSON.")
    parser.add_argument("model", nargs="*", help=".tflite or .onnx files; several take turns")
    parser.add_argument("--threads", type=_counts, default=[1], help="numbers of threads, with commas (default 1)")
    parser.add_argument("--delegate", default="", help="xnnpack, cpu, edgetpu or a library's path")
    parser.add_argument("--runs", type=_positive_int, default=100, help="at least so many runs (default 100)")
    parser.add_argument(
        "--seconds", type=_positive_float, default=10.0, help="and at least so many seconds (default 10)"
    )
    parser.add_argument("--fix-governor", action="store_true", help="set the governor to performance meanwhile")
    parser.add_argument("--home", default=str(Path.home() / ".cache" / "edgenet"), help="folder of the lock")
    parser.add_argument("--serve", metavar="OWNER", help="be spoken to by a host, in JSON lines")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    home = Path(options.home)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    try:
        home.mkdir(parents=True, exist_ok=True)
        if options.serve:
            return serve(home, options.serve)
        if not options.model:
            parser.error("name a model file")
        return alone(options, home)
    except KeyboardInterrupt:
        return _fail(INTERRUPTED, "interrupted")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        return _fail(WRONG, f"cannot use {error.filename}: {error.strerror}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
