"""Unpack wheels into this interpreter's site-packages, without pip. Arguments: the wheels' paths.

A wheel is a zip archive whose members go to site-packages as they are, but for NAME.data/purelib and NAME.data/platlib
(PEP 427). Scripts, headers and data are left out: nothing here is started by name. Exit status 28: the disk is full.
"""

from __future__ import annotations

import errno
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path


def main() -> None:
    """Unpack every wheel."""
    site = Path(sysconfig.get_paths()["platlib"])
    try:
        for path in sys.argv[1:]:
            with zipfile.ZipFile(path) as wheel:
                for member in wheel.infolist():
                    _unpack(wheel, member, site)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(errno.ENOSPC)
        raise


def _unpack(wheel: zipfile.ZipFile, member: zipfile.ZipInfo, site: Path) -> None:
    parts = member.filename.split("/")
    if len(parts) > 2 and parts[0].endswith(".data"):
        if parts[1] not in ("purelib", "platlib"):
            return
        parts = parts[2:]
    if ".." in parts or member.filename.startswith("/") or "\\" in member.filename:
        raise SystemExit("a member leads out of the wheel: " + repr(member.filename))
    if member.is_dir():
        return
    target = site.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


if __name__ == "__main__":
    main()
