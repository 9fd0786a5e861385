"""A program in a Docker or Podman image: without a network, with one folder of this machine, gone afterwards."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from devices.plain_text import plain
from edgenet.errors import InputError, MissingError

ENGINES = ("docker", "podman")
# distribution/reference's grammar without its lengths; nothing begins with '-'.
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,200}(@sha256:[0-9a-f]{64})?")
INSIDE = "/work"
LOOK_S = 30.0


@dataclass(frozen=True)
class Container:
    """An image that is here, and the engine that runs it."""

    engine: str  # its path
    image: str
    owner: str  # user:group that files are to belong to

    def command(self, name: str, folder: PurePosixPath, largest_bytes: int, program: Sequence[str]) -> list[str]:
        """Return the arguments that run a program in a folder, as a container of that name."""
        if "," in str(folder):
            raise InputError(f"{folder} has a comma in its name", mend="set XDG_CACHE_HOME to a folder without one")
        # Podman without root has a user of its own for each container, unless it is told to keep ours.
        user = ["--userns", "keep-id"] if PurePosixPath(self.engine).name == "podman" else ["--user", self.owner]
        return [
            self.engine, "run", "--rm", "--name", name, "--network", "none", "--pull", "never", *user,
            "--cap-drop", "ALL", "--security-opt", "label=disable",  # SELinux would hide the folder
            "--ulimit", f"fsize={largest_bytes}",
            "--mount", f"type=bind,source={folder},target={INSIDE}", "--workdir", INSIDE,
            "--entrypoint", program[0], self.image, *program[1:],
        ]  # fmt: skip

    def end(self, name: str) -> list[str]:
        """Return the arguments that end a container: it outlives the program that started it."""
        return [self.engine, "rm", "--force", name]


def find_container(image: str, owner: str) -> Container:
    """Return an image that is here; raise InputError for a name that is none, MissingError with the mend."""
    if not IMAGE.fullmatch(image):
        raise InputError(f"{image!r} is no name of an image", allowed="docker:NAME[:TAG]")
    engine = next(filter(None, map(shutil.which, ENGINES)), "")
    if not engine:
        raise MissingError("neither docker nor podman is on PATH", mend="sudo apt-get install docker.io (or podman)")
    try:
        done = subprocess.run([engine, "image", "inspect", image], capture_output=True, timeout=LOOK_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{engine} does not answer", mend="see whether its service runs") from error
    if done.returncode:
        raise MissingError(
            f"{engine} has no image {image}: {plain(done.stderr.decode(errors='replace'), 200)}",
            mend=f"{PurePosixPath(engine).name} pull or build it, and see that its service runs",
        )
    return Container(engine, image, owner)
