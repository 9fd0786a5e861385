"""Push 200 MB to a device over SSH on loopback, whole and cut in the middle: seconds, and what was sent twice.

    python -m benchmarks.peers.ssh_push [--json]

Starts a real sshd of this user (needs OpenSSH's server) behind a proxy that cuts the connection after 100 MB. The push
goes on by itself where it stopped, and the device checks the file's SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.ratios import arguments, exit_with, machine, show
from devices.address import parse
from devices.inventory import Entry
from devices.ssh import SshDevice
from edgenet.errors import MissingError
from edgenet.progress import silent
from tests.devices.cutting_proxy import cutting_proxy
from tests.devices.sshd import Sshd, missing, sshd

SIZE_BYTES, CUT_BYTES = 200_000_000, 100_000_000
# OpenSSH's server drops up to 2 MiB that it holds when a connection ends, and the push steps back a little itself.
MOST_TWICE_BYTES = 8_000_000


@dataclass(frozen=True)
class Pushed:
    """One push: its seconds, and the bytes that went through the proxy."""

    what: str
    took_s: float
    sent_bytes: int
    same: bool  # the file there has the SHA-256 of the file here

    @property
    def twice_bytes(self) -> int:
        """Return what was sent beside the content: what was sent twice, and SSH's own."""
        return self.sent_bytes - SIZE_BYTES

    @property
    def reached(self) -> bool:
        """Return whether the file arrived, and the push did not begin anew."""
        return self.same and self.twice_bytes < MOST_TWICE_BYTES

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        rate = f"{SIZE_BYTES / self.took_s / 1e6:.0f} MB/s"
        mark = f"sha256 equal, {self.twice_bytes / 1e6:.1f} MB beside the content" if self.reached else "MISSED"
        return (f"{self.what}: {rate}", f"{self.took_s:.2f} s", "", "", "", mark)

    def document(self) -> dict[str, Any]:
        """Return the row of the JSON document."""
        return {"what": self.what, "took_s": self.took_s, "sent_bytes": self.sent_bytes, "reached": self.reached}


def main() -> int:
    """Print both pushes; return the exit code."""
    given, host = arguments(str(__doc__), rounds=1).parse_args(), machine()
    if missing():
        raise MissingError(missing(), mend="apt-get install openssh-server")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "model.tflite"
        source.write_bytes(os.urandom(SIZE_BYTES))
        rows = [push(source, Path(name) / f"device-{cut}", cut) for cut in (0, CUT_BYTES)]
    notes = [f"{SIZE_BYTES / 1e6:.0f} MB of random bytes, through a proxy in Python; checked and synced on the device"]
    return show("ssh push", host, rows, notes, given.json, "one push each")


def push(source: Path, folder: Path, cut_bytes: int) -> Pushed:
    """Push a file to a fresh device, cutting the connection after some bytes if they are not 0."""
    with sshd(folder) as server, cutting_proxy(server.port) as proxy:
        device = SshDevice(parse(f"ssh://{server.user}@127.0.0.1:{proxy.port}"), _entry(server, proxy.port, folder))
        try:
            device.describe()
            if cut_bytes:
                proxy.cut_after(cut_bytes)
            before_bytes, begin_s = proxy.sent_bytes, time.perf_counter()
            path = device.push(source, silent)
            took_s = time.perf_counter() - begin_s
        finally:
            device.clean_up()
        there = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        same = there == hashlib.sha256(source.read_bytes()).hexdigest()
        what = f"cut at {cut_bytes / 1e6:.0f} MB" if cut_bytes else "no cut"
        print(f"{what}: {took_s:.2f} s", file=sys.stderr)
        return Pushed(what, took_s, proxy.sent_bytes - before_bytes, same)


def _entry(server: Sshd, port: int, folder: Path) -> Entry:
    known_hosts = folder / "known"
    known_hosts.write_text(server.host_key_line.replace(str(server.port), str(port)) + "\n")
    return Entry(
        name="device",
        address=parse(f"ssh://{server.user}@127.0.0.1:{port}"),
        source=folder / "devices.toml",
        identity_file=str(server.client_key),
        known_hosts=str(known_hosts),
    )


if __name__ == "__main__":
    exit_with(main)
