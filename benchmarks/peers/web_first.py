"""Time a web bundle of lite0 w8a8 from opening the page to its first answers, in headless Chromium.

    python -m benchmarks.peers.web_first [--rounds N] [--json]

A fresh browser each time, with nothing in its cache. The clock is the page's own, from the navigation on; it stops when
the page is ready, which is after three photos: its golden vectors.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.peers.ratios import Limit, arguments, exit_with, interleaved, machine, show
from converters.api import convert
from edgenet.bundle.content import Wishes
from edgenet.bundle.make import make_bundle
from edgenet.errors import MissingError
from tests.bundle.static_server import StaticServer
from tests.chromium import Chromium, find_chromium

BAR_S = 1.5
READY = "document.documentElement.dataset.readyMs"
LONGEST_S = 30.0


def first_answers_s(program: str, folder: Path) -> float:
    """Return the seconds from the navigation to the golden vectors' answers."""
    with (
        tempfile.TemporaryDirectory() as profile,
        StaticServer(folder) as server,
        Chromium(program, Path(profile)) as browser,
    ):
        browser.show(server.url, 1280, 800, dark=False)
        end_s = time.monotonic() + LONGEST_S
        while not (ready_ms := browser.value(READY)):
            if time.monotonic() > end_s:
                raise RuntimeError("the page did not get ready")
            time.sleep(0.01)
        return float(ready_ms) / 1000


def main() -> int:
    """Print the times; return the exit code."""
    given, host = arguments(str(__doc__)).parse_args(), machine()
    program = find_chromium()
    if program is None:
        raise MissingError("there is no Chromium", mend="apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        [artifact] = convert("lite0", "w8a8", out=Path(name))
        folder = Path(name) / "page"
        make_bundle(artifact, "web", folder, Wishes())
        runs = interleaved({"page": lambda: first_answers_s(program, folder)}, given.rounds)
    row = Limit("lite0 w8a8: the page opened to three photos answered", runs["page"], "s", BAR_S)
    return show("web_first", host, [row], ["a fresh browser each time"], given.json)


if __name__ == "__main__":
    exit_with(main)
