"""A board that is a fake: it answers setup's and check's small programs as a Raspberry Pi would."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from devices.base import Finished
from devices.fake import FakeDevice
from devices.probing import PACKAGE

# What a board's probe says, for the fake; each test changes what it is about.
BOARD: dict[str, object] = {
    "machine": "aarch64",
    "system": "Linux",
    "libc": ["glibc", "2.36"],
    "python": [3, 11, 2],
    "implementation": "CPython",
    "can_make_venv": True,
    "has_ensurepip": False,
    "packages": {},
    "model": "Raspberry Pi 4 Model B Rev 1.4",
    "governors": ["ondemand"],
    "free_bytes": 10**9,
    "cores": 4,
    "memory_bytes": 10**9,
}
PROGRAMS = {
    path.name.removesuffix(".py"): path.read_bytes() for path in resources.files(PACKAGE).iterdir() if path.is_file()
}


def board(changes: Mapping[str, object], unpacked: int = 0) -> FakeDevice:
    def answer(arguments: Sequence[str], content: bytes) -> Finished:
        del arguments
        if content == PROGRAMS["probe"]:
            return Finished(0, json.dumps({**BOARD, **changes}), "")
        if content == PROGRAMS["try_runtimes"]:
            return Finished(0, '{"tflite_runtime": "2.14.0"}\n', "")
        return Finished(unpacked if content == PROGRAMS["unpack"] else 0, "", "")

    return FakeDevice("pi", answer=answer)
