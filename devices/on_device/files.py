"""Pushed files: checked before they are used, and forgotten when nobody has used them for long."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from devices.on_device.processes import SessionFailed

KEPT_S = 14 * 86400.0


def check_content(model: dict[str, Any]) -> None:
    """Check a pushed file by its SHA-256; raise SessionFailed where it is not what was sent."""
    path = Path(model["path"])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() != model["sha256"]:
        raise SessionFailed("file", f"{model['name']} is not the file that was sent (sha256 differs): {path}")


def forget_unused(folder: Path) -> None:
    """Remove pushed files and parts of them that no session has used for two weeks."""
    for path in folder.glob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > KEPT_S:
            path.unlink()


def mark_used(model: dict[str, Any]) -> None:
    """Note that a session uses a model and its golden vectors, if they are pushed files."""
    for name in (model["path"], model["golden"]):
        if name and os.access(name, os.W_OK):
            os.utime(name)
