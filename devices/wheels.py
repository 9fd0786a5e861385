"""Fetch wheels for a device that reaches no package index: this machine's pip downloads, and a folder keeps them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from devices.runtimes import Plan, Target
from edgenet.errors import InputError, MissingError
from edgenet.progress import Report
from edgenet.weights.cache import cache_folder

# The oldest C library that a wheel on the index names: manylinux2014.
OLDEST_GLIBC_MINOR = 17


def fetch(plan: Plan, target: Target, report: Report) -> list[Path]:
    """Return the wheels of a plan with all that they need, downloading them if they are not kept from before.

    Whoever wants newer ones deletes the folder. Raise MissingError where pip or the index is out of reach.
    """
    folder = wheel_folder(plan, target)
    if not folder.is_dir():
        _download(plan, target, folder, report)
    return sorted(folder.glob("*.whl"))


def wheel_folder(plan: Plan, target: Target) -> Path:
    """Return where the wheels of a plan are kept; it is there whole or not at all."""
    wanted = "\n".join((*plan.requirements, str(plan.system_numpy), *platforms(target)))
    python = "".join(map(str, target.python))
    return cache_folder() / "wheels" / f"cp{python}-{target.machine}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def platforms(target: Target) -> list[str]:
    """Return pip's names of the platforms whose wheels run on a Linux device, best first; raise MissingError."""
    name, (major, minor) = target.libc
    if target.system != "Linux" or name != "glibc" or major != 2:
        raise MissingError(
            f"wheels for {target.system} cannot be fetched from here",
            allowed="Linux with glibc",
            mend="connect the device to a network and repeat without --offline",
        )
    newest_first = range(minor, OLDEST_GLIBC_MINOR - 1, -1)
    return [*(f"manylinux_2_{one}_{target.machine}" for one in newest_first), f"manylinux2014_{target.machine}"]


def command(plan: Plan, target: Target, folder: Path) -> list[str]:
    """Return the arguments of the download."""
    arguments = [sys.executable, "-m", "pip", "download", "--dest", str(folder), "--only-binary=:all:"]
    arguments += ["--no-input", "--disable-pip-version-check", "--implementation", "cp"]
    arguments += ["--python-version", ".".join(map(str, target.python))]
    for platform in platforms(target):
        arguments += ["--platform", platform]
    if plan.system_numpy:  # which is all that tflite-runtime needs
        arguments.append("--no-deps")
    return [*arguments, "--", *plan.requirements]


def _download(plan: Plan, target: Target, folder: Path, report: Report) -> None:
    if find_spec("pip") is None:
        raise MissingError("this Python has no pip to fetch wheels with", mend=f"{sys.executable} -m ensurepip")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"cannot write {folder.parent}: {error.strerror}", mend="set EDGENET_CACHE to another folder"
        ) from error
    try:
        _run(command(plan, target, temporary), plan, report)
        if not folder.is_dir():  # somebody else may have been faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(arguments: list[str], plan: Plan, report: Report) -> None:
    """Run pip, reporting each file as its name appears; raise MissingError with its last error."""
    last_error = ""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout  # a pipe, as asked for above
        try:
            for line in pip.stdout:
                if line.strip().startswith("Downloading "):
                    report(f"fetching {_file_name(line)}", 0, 0)
                if line.startswith("ERROR:"):
                    last_error = line.removeprefix("ERROR:").strip()
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        raise MissingError(
            f"pip could not fetch {', '.join(plan.requirements)}: {last_error or f'it ended with {pip.returncode}'}",
            mend="see that this machine reaches a package index",
        )


def _file_name(line: str) -> str:
    return line.split()[1].rsplit("/", 1)[-1]
