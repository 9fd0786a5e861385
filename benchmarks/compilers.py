"""Where the Edge TPU compiler is: on this machine, in an image that the user names, or on another machine over SSH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devices.base import Device
from devices.containers import Container, find_container
from devices.local import LocalDevice
from devices.open import open_device
from edgenet.errors import EdgenetError, InputError, MissingError

PROGRAM = "edgetpu_compiler"
AUTO, IMAGE, HOST = "auto", "docker:", "ssh://"
FORMS = "auto (PATH), the path of edgetpu_compiler, docker:IMAGE, ssh://[user@]host[:port]"
WAYS = (
    "three ways forward: --compiler docker:IMAGE (an image that has it), --compiler ssh://HOST (an x86-64 Debian that "
    "has it), or install it here, on x86-64 Debian: the package source of coral.ai/software, then "
    "sudo apt-get install edgetpu-compiler"
)
END_S = 30.0


@dataclass(frozen=True)
class Compiler:
    """A compiler that can be called; `place` is where it is, as a manifest tells it."""

    place: str
    device: Device
    program: str
    container: Container | None = None

    def command(self, name: str, folder: PurePosixPath, largest_bytes: int, arguments: Sequence[str]) -> list[str]:
        """Return the arguments that call it in a folder; `name` is for the container, if it runs in one."""
        words = [self.program, *arguments]
        return self.container.command(name, folder, largest_bytes, words) if self.container else words

    def end(self, name: str) -> None:
        """End the container of that name, if it is one; say nothing if it is gone."""
        if self.container:
            with suppress(EdgenetError):  # an engine that hangs has been waited for long enough
                self.device.run(self.container.end(name), END_S)


def find_compiler(text: str) -> Compiler:
    """Return the compiler that the user means; raise InputError, and MissingError with the ways forward.

    Whether another machine or an image has it is found out when it is called.
    """
    if text.startswith(HOST):
        return Compiler(text, open_device(text), PROGRAM)
    if text.startswith(IMAGE):
        image = text.removeprefix(IMAGE)
        return Compiler(text, LocalDevice(), PROGRAM, find_container(image, f"{os.getuid()}:{os.getgid()}"))
    if ":" in text and not Path(text).exists():
        raise InputError(f"--compiler cannot be {text!r}", allowed=FORMS)
    path = shutil.which(PROGRAM if text == AUTO else text)
    if path is None:
        where = f"no {PROGRAM} on PATH" if text == AUTO else f"{text} is no program"
        raise MissingError(where, mend=WAYS)
    place = str(Path(path).absolute())
    return Compiler(place, LocalDevice(), place)
