"""This machine as a device: programs are children in a process group of their own, files are copied to `home`."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from devices.base import Description, DeviceFull, DeviceTimeout, Finished
from devices.local_process import LocalProcess, close_pipes, kill_group, started
from devices.places import below
from edgenet.errors import InputError, MissingError
from edgenet.progress import Report
from edgenet.weights.cache import CHUNK_BYTES, file_digest

DEVICE_TREE_MODEL = Path("/sys/firmware/devicetree/base/model")
FULL = (errno.ENOSPC, errno.EDQUOT)


def default_home() -> Path:
    """Return edgenet's private folder on this machine; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgenet"


class LocalDevice:
    """This machine; `home` and `python` are for tests and other interpreters, "" is the venv's in home or our own."""

    def __init__(self, home: Path | None = None, python: str = "") -> None:
        self.address = "local"
        self._home = default_home() if home is None else home.absolute()
        self._python = python
        self._running: list[LocalProcess] = []

    def describe(self) -> Description:
        """Say what this machine is; raise MissingError where `home` cannot be made, or its interpreter does not run."""
        _private_folder(self._home)
        python = self._interpreter()
        version = self.run([python, "-c", "import sys; print(*sys.version_info[:2])"], timeout_s=60).stdout.split()
        if len(version) != 2:
            raise MissingError(f"{python} does not run", mend="edgenet devices setup local makes a new venv")
        return Description(
            address=self.address,
            kind="local",
            host=platform.node(),
            system=platform.system(),
            machine=platform.machine(),
            python=python,
            python_version=(int(version[0]), int(version[1])),
            home=PurePosixPath(self._home),
            facts=_facts(),
        )

    def _interpreter(self) -> str:
        own = self._home / "venv" / "bin" / "python"
        return self._python or (str(own) if own.exists() else sys.executable)

    def push(self, source: Path, report: Report) -> PurePosixPath:
        """Copy a file to `home`/files; see Device.push."""
        folder = self._home / "files"
        _private_folder(self._home)
        _private_folder(folder)
        digest = _digest_of(source)
        target, part = folder / digest, folder / f"{digest}.part"
        if target.is_file() and file_digest(target) == digest:
            return PurePosixPath(target)
        with _full_is_device_full(source):
            _continue_copy(source, part, report)
            if file_digest(part) != digest:  # what was there was no beginning of this file: once more, from nothing
                part.unlink()
                _continue_copy(source, part, report)
        if file_digest(part) != digest:
            part.unlink()
            raise InputError(f"{source} changed while it was read", mend="try again when nobody writes to it")
        part.replace(target)
        return PurePosixPath(target)

    def run(self, arguments: Sequence[str], timeout_s: float, content: bytes = b"") -> Finished:
        """Run a program to its end; see Device.run. A program that is not there has the status 127, as in a shell."""
        try:
            child = started(arguments)
        except OSError as error:
            return Finished(127, "", f"{arguments[0]}: {error.strerror}\n")
        try:
            out, err = child.communicate(content, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise DeviceTimeout(
                f"{arguments[0]} ran over {timeout_s:.3g} s on {self.address} and was ended",
                mend="see what else runs on the device, or give it more time",
            ) from None
        finally:
            kill_group(child)
            close_pipes(child)
        return Finished(child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def start(self, arguments: Sequence[str]) -> LocalProcess:
        """Start a program; raise MissingError if there is none of that name."""
        process = LocalProcess(arguments, self.address)
        self._running.append(process)
        return process

    def pull(self, path: PurePosixPath, destination: Path) -> None:
        """Copy a file to `destination`, whole or not at all; raise InputError."""
        temporary: Path | None = None
        try:
            with Path(path).open("rb") as file:
                descriptor, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
                temporary = Path(name)
                with os.fdopen(descriptor, "wb") as copy:
                    shutil.copyfileobj(file, copy, CHUNK_BYTES)
            temporary.replace(destination)
        except OSError as error:
            raise InputError(
                f"cannot bring {path} to {destination}: {error.strerror}", mend="name another place"
            ) from error
        finally:
            if temporary:
                temporary.unlink(missing_ok=True)

    def remove(self, path: PurePosixPath) -> None:
        """Remove what is below `home`; see Device.remove."""
        target = Path(below(path, PurePosixPath(self._home)))
        if not target.parent.resolve().is_relative_to(self._home.resolve()):
            raise InputError(f"{path} leads out of {self._home}", allowed=f"what is below {self._home}")
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def clean_up(self) -> None:
        """End what still runs."""
        while self._running:
            self._running.pop().kill()


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise MissingError(
            f"cannot make {folder}: {error.strerror}", mend="set XDG_CACHE_HOME to a folder that you may write to"
        ) from error


def _digest_of(source: Path) -> str:
    try:
        return file_digest(source)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}", mend="name a file") from error


def _continue_copy(source: Path, part: Path, report: Report) -> None:
    """Append to `part` what it lacks of `source`."""
    total = source.stat().st_size
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with source.open("rb") as file, os.fdopen(descriptor, "ab") as copy:
        done = file.seek(min(copy.tell(), total))
        report(f"copying {source.name}", done, total)
        while chunk := file.read(CHUNK_BYTES):
            copy.write(chunk)
            done += len(chunk)
            report(f"copying {source.name}", done, total)


@contextmanager
def _full_is_device_full(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        mend = "make room, or remove what edgenet keeps: edgenet devices clean local"
        raise DeviceFull(f"no space for {source.name} on this machine", mend=mend) from error


def _facts() -> dict[str, str]:
    """Return what Description.facts may hold of this machine; what it does not tell is left out."""
    library, version = platform.libc_ver()
    facts = {"kernel": platform.release(), "libc": f"{library} {version}".strip()}
    if DEVICE_TREE_MODEL.is_file():
        facts["model"] = DEVICE_TREE_MODEL.read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
    return {key: value for key, value in facts.items() if value}
