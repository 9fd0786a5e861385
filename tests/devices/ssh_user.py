"""The user of a device over SSH: a home of their own with keys and a configuration, so that the tester's stays out."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def users_home(folder: Path, ssh_config: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `folder` the user's home and take their agent away; return the ~/.ssh/config that is written there."""
    path = folder / ".ssh" / "config"
    path.parent.mkdir(parents=True)
    path.write_text(ssh_config)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return path


def make_key(path: Path, passphrase: str = "") -> None:
    """Make a pair of keys; the public one is `path` with .pub."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True)


def until(happened: Callable[[], object], timeout_s: float = 5) -> None:
    """Wait until something has happened; fail if it does not."""
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.02)
