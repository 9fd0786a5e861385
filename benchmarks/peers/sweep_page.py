"""Open the page about a sweep of 500 cells in a real Chromium, and ask it other questions: how long each takes.

    python -m benchmarks.peers.sweep_page [--json]

Needs Chromium (apt-get install chromium). The sweep is made up. Opening is from the call to two frames after the load
event, in a browser that has shown an empty page and never this one; filtering from a change of an input to two frames
after it, all rows, marks, labels and answers included. Two frames: what changed is on the screen by then.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers.ratios import Limit, arguments, exit_with, machine, show
from benchmarks.sweep_report.answer import Question
from benchmarks.sweep_report.choice import Bounds
from benchmarks.sweep_report.page import render_page
from edgenet.errors import MissingError
from tests.chromium import Chromium, find_chromium
from tests.sweeps import large_sweep

BAR_S = 1.0
SIZES = {"wide": (1280, 900), "narrow": (360, 800)}
TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
CHANGES = {
    "another device": "form.elements.device.value = 'pi4'",
    "all devices again": "form.elements.device.value = ''",
    "one precision less": "form.querySelector('input[value=fp32]').click()",
    "another bound": "form.elements.latency.value = '12'",
}


def main() -> int:
    """Print the times; return the exit code."""
    given, host = arguments(str(__doc__)).parse_args(), machine()
    program = find_chromium()
    if program is None:
        raise MissingError("no Chromium here", mend="apt-get install chromium")
    rows: list[Limit] = []
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        question = Question("", Bounds(max_s=0.03, min_accuracy=0.74))
        page.write_text(render_page(large_sweep(), question, page.parent, page), encoding="utf-8")
        size = (
            f"a page of {page.stat().st_size / 1e6:.2f} MB with 500 cells; the browser had shown an empty page before"
        )
        for name, pixels in SIZES.items():
            runs = [_measure(program, page, pixels, number) for number in range(given.rounds)]
            rows += [Limit(f"{what}, {name}", tuple(run[what] for run in runs), "s", BAR_S) for what in runs[0]]
    return show("sweep_page", host, rows, [size], given.json)


def _empty(folder: Path) -> str:
    page = folder / "empty.html"
    page.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    return page.as_uri()


def _measure(program: str, page: Path, pixels: tuple[int, int], number: int) -> dict[str, float]:
    """Return the seconds of opening and of each change in a browser of its own, so that nothing is cached."""
    with Chromium(program, page.parent / f"profile-{pixels[0]}-{number}") as browser:
        browser.show(_empty(page.parent), *pixels, dark=False)
        start = time.perf_counter()
        browser.show(page.as_uri(), *pixels, dark=False)
        browser.value(TWO_FRAMES)
        took = {"open": time.perf_counter() - start}
        for what, change in CHANGES.items():
            code = f"""(async () => {{
                const start = performance.now();
                {change};
                form.dispatchEvent(new Event("input", {{ bubbles: true }}));
                return (await {TWO_FRAMES}) - start;
            }})()"""
            took[what] = browser.value(code) / 1000
    print(f"{pixels[0]} px: {', '.join(f'{what} {seconds:.2f} s' for what, seconds in took.items())}", file=sys.stderr)
    return took


if __name__ == "__main__":
    exit_with(main)
