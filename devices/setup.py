"""Make a private environment with the right runtimes on a device: `home`/venv, new and whole, or as it was."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devices import wheels
from devices.base import Description, Device, DeviceFull, Finished
from devices.probing import Findings, last_line, probe, run_program
from devices.runtimes import Plan, plan
from edgenet.errors import EdgenetError, MissingError
from edgenet.progress import Report

Say = Callable[[str], None]
VENV_TIMEOUT_S = 300.0  # a Zero 2 W needs over a minute to unpack pip
UNPACK_TIMEOUT_S = 600.0
SHORT_TIMEOUT_S = 60.0
TRY_TIMEOUT_S = 120.0
PIP_SILENCE_S = 600.0  # pip says nothing while a wheel of 20 MB comes through a slow line
FULL = "No space left on device"


@dataclass(frozen=True)
class Prepared:
    """What setup made: where from, the interpreter that programs run under now, and the runtimes' versions."""

    origin: str  # network, wheels
    python: str
    requirements: tuple[str, ...]
    versions: dict[str, str]  # module -> version


def set_up(device: Device, offline: bool, report: Report, say: Say) -> Prepared:
    """Build the environment beside the old one, try its runtimes, and let it take the old one's place.

    Wheels come from the network, or pushed from here where the device reaches none (or with `offline`); `say` tells
    which. Raise MissingError, DeviceFull, DeviceLost; the earlier environment then stands as it was.
    """
    description = device.describe()
    findings = probe(device, description)
    chosen = _checked_plan(description, findings)
    place = description.home / "venv"
    _expect(run_program(device, description.python, "restore", [str(place)], SHORT_TIMEOUT_S), description, "clear")
    with _removed_on_failure(device, place.with_name("venv.new")) as new:
        # Without pip where it has nothing to do: unpacking it takes a small board most of the time.
        options = [] if findings.has_ensurepip and not offline else ["--without-pip"]
        _make_venv(device, description, [*options, *_system_packages(chosen)], new)
        python = str(new / "bin" / "python")
        origin = _install(_Work(device, description, findings, chosen, python, report, say), offline)
        versions = _try(device, description, python, chosen)
        _expect(run_program(device, description.python, "swap", [str(place)], SHORT_TIMEOUT_S), description, "rename")
    return Prepared(origin, str(place / "bin" / "python"), chosen.requirements, versions)


def _checked_plan(description: Description, findings: Findings) -> Plan:
    chosen = plan(findings.target)
    if findings.implementation != "CPython":
        raise MissingError(
            f"{description.python} on {description.address} is {findings.implementation}",
            allowed="CPython",
            mend='name one in devices.toml: python = "/usr/bin/python3"',
        )
    if not findings.can_make_venv:
        raise MissingError(
            f"{description.python} on {description.address} has no venv module",
            mend="sudo apt-get install python3-venv there",
        )
    numpy = findings.packages.get("numpy", "")
    if chosen.system_numpy and not numpy.startswith("1."):
        raise MissingError(
            f"{description.address} has {f'NumPy {numpy}' if numpy else 'no NumPy'}, which has no wheels for it",
            allowed="NumPy 1 of the system",
            mend="sudo apt-get install python3-numpy there",
        )
    return chosen


@contextmanager
def _removed_on_failure(device: Device, path: PurePosixPath) -> Iterator[PurePosixPath]:
    try:
        yield path
    except BaseException:
        with suppress(EdgenetError):  # a device that is gone keeps it until the next setup
            device.remove(path)
        raise


def _system_packages(chosen: Plan) -> list[str]:
    return ["--system-site-packages"] if chosen.system_numpy else []


def _make_venv(device: Device, description: Description, options: list[str], place: PurePosixPath) -> None:
    # pyvenv.cfg does not hold its own place, so the folder can be renamed; only the scripts in bin/ do, and nobody
    # starts those.
    made = device.run([description.python, "-I", "-m", "venv", *options, str(place)], VENV_TIMEOUT_S)
    _expect(made, description, "make a virtual environment")


@dataclass(frozen=True)
class _Work:
    """What both ways of installing need."""

    device: Device
    description: Description
    findings: Findings
    plan: Plan
    python: str  # of the new environment
    report: Report
    say: Say


def _install(work: _Work, offline: bool) -> str:
    """Install the runtimes and return where they came from."""
    address = work.description.address
    if offline:
        work.say(f"{address}: wheels are fetched here and pushed (--offline)")
    elif not work.findings.has_ensurepip:
        work.say(f"{address} has no ensurepip, so wheels are fetched here and pushed")
    else:
        work.say(f"{address}: installing {', '.join(work.plan.requirements)} from the network")
        failure = _install_from_network(work)
        if not failure:
            return "network"
        work.say(f"{address} could not install from the network ({failure}): wheels are fetched here and pushed")
    _install_from_wheels(work, wheels.fetch(work.plan, work.findings.target, work.report))
    return "wheels"


def _install_from_network(work: _Work) -> str:
    """Let the device's pip install; return "" if it did, else why not."""
    arguments = [work.python, "-I", "-m", "pip", "install", "--only-binary=:all:", "--no-input", "--no-cache-dir"]
    arguments += ["--disable-pip-version-check", "--progress-bar", "off", "--", *work.plan.requirements]
    process = work.device.start(arguments)
    try:
        for line in process.lines(PIP_SILENCE_S):
            words = line.split()
            if words and words[0] in ("Downloading", "Installing"):
                step = words[1].rsplit("/", 1)[-1] if words[0] == "Downloading" else "packages"
                work.report(f"{words[0].lower()} {step}", 0, 0)
        done = process.finish(SHORT_TIMEOUT_S)
    except BaseException:
        process.kill()
        raise
    if FULL in done.stderr:
        raise _full(work.description)
    return last_line(done.stderr) if done.status else ""


def _install_from_wheels(work: _Work, files: list[Path]) -> None:
    pushed = []
    try:
        for path in files:
            pushed.append(work.device.push(path, work.report))
        work.report("unpacking wheels", 0, 0)
        done = run_program(work.device, work.python, "unpack", [str(path) for path in pushed], UNPACK_TIMEOUT_S)
    finally:
        for copy in pushed:
            with suppress(EdgenetError):  # a device that is gone keeps them; `devices clean` removes them
                work.device.remove(copy)
    if done.status == errno.ENOSPC:
        raise _full(work.description)
    _expect(done, work.description, "unpack the wheels")


def _try(device: Device, description: Description, python: str, chosen: Plan) -> dict[str, str]:
    """Return the versions of the runtimes, each of which ran; raise MissingError for one that does not."""
    done = run_program(device, python, "try_runtimes", chosen.modules, TRY_TIMEOUT_S)
    names = ", ".join(chosen.requirements)
    if done.status < 0:
        raise MissingError(
            f"{names} crashes on {description.address}: ended by signal {-done.status}",
            mend="report it with the output of edgenet devices check",
        )
    _expect(done, description, f"run {names}")
    versions: dict[str, str] = json.loads(last_line(done.stdout))
    return versions


def _expect(done: Finished, description: Description, task: str) -> None:
    if FULL in done.stderr:
        raise _full(description)
    if done.status:
        raise MissingError(
            f"{description.address} could not {task}: {last_line(done.stderr or done.stdout)}",
            mend="edgenet devices check shows what it has",
        )


def _full(description: Description) -> DeviceFull:
    mend = f"make room there, or remove what edgenet keeps: edgenet devices clean {description.address}"
    return DeviceFull(f"no space left on {description.address}", mend=mend)
