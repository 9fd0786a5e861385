"""What a device says of itself, from the answer of one script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from devices.base import Description
from devices.ssh_process import plain
from edgenet.errors import MissingError

FACTS = ("model", "os", "kernel", "libc")
# The system of a 64-bit kernel with 32-bit programs (Raspberry Pi OS has it so) is that of its programs.
NARROW = {"aarch64": "armv7l", "arm64": "armv7l", "x86_64": "i686"}
FREE_KIB = re.compile(r" ([0-9]+) +[0-9]+% ")
CACHED = re.compile(r"^-\S+ +\S+ +\S+ +\S+ +([0-9]+) .* ([0-9a-f]{64})$", re.MULTILINE)


def parse_answer(answer: str, address: str, asked_python: str) -> tuple[Description, dict[str, int]]:
    """Return a device's description and the sizes of the whole files that it keeps, by SHA-256; raise MissingError."""
    said = dict(item.split("=", 1) for item in answer.split("\0") if "=" in item)
    if "refused" in said:
        raise MissingError(
            f"{address} has no place for edgenet: {plain(said['refused'])}",
            mend="~/.cache/edgenet there has to be a folder of your own (or nothing: it is made)",
        )
    if "home" not in said or "files" not in said:
        raise MissingError(
            f"{address} does not say what it is: {plain(answer)}", mend="see what its shell prints at the start"
        )
    python, version = _python(said, address, asked_python)
    machine = said["machine"]
    description = Description(
        address=address,
        kind="ssh",
        host=plain(said["host"]),
        system=plain(said["system"]),
        machine=plain(NARROW.get(machine, machine) if said["bits"] == "32" else machine),
        python=python,
        python_version=version,
        home=PurePosixPath(said["home"]),
        facts=_facts(said),
    )
    return description, {name: int(size) for size, name in CACHED.findall(said["files"])}


def _python(said: Mapping[str, str], address: str, asked: str) -> tuple[str, tuple[int, int]]:
    home = said["home"]
    if asked:
        version = _version(said.get("asked", ""))
        if version is None:
            raise MissingError(f"{asked} does not run on {address}", mend="correct `python` in devices.toml")
        return asked, version[0]
    if (version := _version(said.get("venv", ""))) is not None:
        return f"{home}/venv/bin/python", version[0]
    if (version := _version(said.get("path", ""))) is not None:
        return version[1] or "python3", version[0]
    return "", (0, 0)


def _version(text: str) -> tuple[tuple[int, int], str] | None:
    """Return what an interpreter said of itself, its version and its path; None if it said nothing of the kind."""
    match = re.fullmatch(r"([0-9]+) ([0-9]+) (.*)", text)
    return ((int(match[1]), int(match[2])), match[3]) if match else None


def _facts(said: Mapping[str, str]) -> dict[str, str]:
    facts = {key: plain(said[key]) for key in FACTS if said.get(key)}
    if free := FREE_KIB.search(said["disk"]):
        facts["free_bytes"] = str(int(free[1]) * 1024)
    if said.get("venv") == "":
        facts["venv"] = "does not run; `edgenet devices setup` makes it anew"
    return facts
