"""Give a new folder the place of an old one. Argument: the place; the new one is PLACE.new, the old becomes PLACE.old.

Two renames with nothing between them: whoever is cut off there finds PLACE.old, which `restore.py` puts back.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def main() -> None:
    """Rename the old, then the new; put the old back if the new cannot be renamed."""
    place = Path(sys.argv[1])
    old, had_one = place.with_name(place.name + ".old"), place.is_dir()
    if had_one:
        place.rename(old)
    try:
        place.with_name(place.name + ".new").rename(place)
    except OSError:
        if had_one:
            old.rename(place)
        raise
    shutil.rmtree(str(old), ignore_errors=True)


if __name__ == "__main__":
    main()
