"""How the tests get into a device over SSH: keys made for it, and the lines of an ssh configuration."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.devices.processes import LOOPBACK


class Reachable(Protocol):
    """A device that ssh can get into."""

    port: int
    user: str
    client_key: Path
    known_hosts: Path


def make_keys(folder: Path, port: int) -> str:
    """Make `host_key`, `client_key`, `authorized_keys` and `known_hosts` in the folder; return the line of the last."""
    for key in ("host_key", "client_key"):
        if not (folder / key).exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", str(folder / key)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    shutil.copy(folder / "client_key.pub", folder / "authorized_keys")
    public = " ".join((folder / "host_key.pub").read_text().split()[:2])
    line = f"[{LOOPBACK}]:{port} {public}"
    (folder / "known_hosts").write_text(f"{line}\n")
    return line


def client_lines(device: Reachable, hosts: str, more: Sequence[str] = ()) -> str:
    """Return the part of an ssh configuration that leads to the device by each of these names."""
    values = [
        f"HostName {LOOPBACK}",
        f"Port {device.port}",
        f"User {device.user}",
        f"IdentityFile {device.client_key}",
        "IdentitiesOnly yes",
        "IdentityAgent none",
        f"UserKnownHostsFile {device.known_hosts}",
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "BatchMode yes",
        *more,
    ]
    return f"Host {hosts}\n" + "".join(f"    {value}\n" for value in values)
