"""Ask a device's Python about itself by small programs of ours, sent on standard input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from devices.base import Description, Device, Finished
from devices.runtimes import Target
from edgenet.errors import MissingError

PACKAGE = "devices.on_device_setup"
PROBE_TIMEOUT_S = 60.0
OLDEST_PYTHON = (3, 7)  # what the programs that run on a device are written for
NAME_ANOTHER = 'name another one in devices.toml: python = "/path/of/python"'


@dataclass(frozen=True)
class Findings:
    """What a device's interpreter says; memory and disk in bytes, `packages` are names and versions."""

    target: Target
    implementation: str  # CPython, PyPy
    can_make_venv: bool
    has_ensurepip: bool
    packages: dict[str, str]
    model: str  # "" where the device tree tells none
    governors: tuple[str, ...]  # empty where there are none
    free_bytes: int
    cores: int
    memory_bytes: int


def program(name: str) -> bytes:
    """Return the text of one of the small programs."""
    return (resources.files(PACKAGE) / f"{name}.py").read_bytes()


def run_program(device: Device, python: str, name: str, arguments: Sequence[str], timeout_s: float) -> Finished:
    """Run a small program on a device; nothing of the user's settings for Python reaches it."""
    return device.run([python, "-I", "-", *arguments], timeout_s, program(name))


def probe(device: Device, description: Description) -> Findings:
    """Return what a device's interpreter says; raise MissingError where there is none, or it does not run."""
    if not description.python:
        raise MissingError(
            f"no Python on {description.address}",
            mend='sudo apt-get install python3 there, or name one in devices.toml: python = "/path/of/python"',
        )
    if description.python_version < OLDEST_PYTHON:
        raise MissingError(
            f"{description.python} on {description.address} is Python {'.'.join(map(str, description.python_version))}",
            allowed=f"Python {'.'.join(map(str, OLDEST_PYTHON))} or later",
            mend=NAME_ANOTHER,
        )
    done = run_program(device, description.python, "probe", [str(description.home)], PROBE_TIMEOUT_S)
    if done.status:
        raise MissingError(
            f"{description.python} on {description.address} does not run: {last_line(done.stderr)}",
            mend=NAME_ANOTHER,
        )
    return parse_findings(json.loads(done.stdout), description.system)


def parse_findings(found: dict[str, Any], system: str) -> Findings:
    """Return the findings of the probe's JSON; `system` is the device's word, for Termux says Linux on Android."""
    library, version = found["libc"]
    return Findings(
        target=Target(
            system="Android" if system == "Android" else found["system"],
            machine=found["machine"],
            libc=(library, _two_numbers(version)),
            python=(found["python"][0], found["python"][1]),
        ),
        implementation=found["implementation"],
        can_make_venv=found["can_make_venv"],
        has_ensurepip=found["has_ensurepip"],
        packages=found["packages"],
        model=found["model"],
        governors=tuple(filter(None, found["governors"])),
        free_bytes=found["free_bytes"],
        cores=found["cores"],
        memory_bytes=found["memory_bytes"],
    )


def last_line(text: str) -> str:
    """Return the last line that says anything, for a message."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it says nothing")


def _two_numbers(version: str) -> tuple[int, int]:
    numbers = [int(part) for part in version.split(".") if part.isdecimal()]
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)
