"""Links from a page to the files of a sweep: only to what lies inside its folder, whatever the record says."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote


def link(path: str, run: Path, page: Path) -> str:
    """Return the address of a file of the sweep's folder as seen from the page, "" for a path that leads elsewhere.

    A record's path is relative to `run`, with `/` between its parts.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or not path.isprintable():
        return ""
    start = Path(os.path.relpath(run.resolve(), page.resolve().parent)).as_posix()
    # It begins with a dot and every colon in it is quoted, so that no part of it can be read as a scheme.
    return quote("/".join([start if start.startswith(".") else f"./{start}", *parts]))
