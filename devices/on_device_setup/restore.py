"""Clear what an interrupted setup left. Argument: the place whose PLACE.new and PLACE.old are meant; see `swap.py`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def main() -> None:
    """Put the old folder back if nothing stands in its place, and remove what is left."""
    place = Path(sys.argv[1])
    old, new = place.with_name(place.name + ".old"), place.with_name(place.name + ".new")
    if old.is_dir() and not place.is_dir():
        old.rename(place)
    for left in (old, new):
        shutil.rmtree(str(left), ignore_errors=True)


if __name__ == "__main__":
    main()
