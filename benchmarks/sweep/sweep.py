"""One sweep while it runs: grid, folder, loop, and what was found; each kind of step is a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.pools.pool import Pool
from benchmarks.sweep.found import File, Found
from benchmarks.sweep.grid import Grid
from benchmarks.sweep.loop import Loop, failure
from benchmarks.sweep.record import Step
from benchmarks.sweep.store import Entry, Ran, Store
from edgenet.progress import Report


@dataclass
class Sweep:
    """What every step works with; `say` is told each step as it ends."""

    grid: Grid
    store: Store
    pool: Pool
    loop: Loop
    report: Report
    say: Callable[[str], None]
    found: Found = field(default_factory=Found)
    done: int = 0

    def steps_of_a_file(self) -> int:
        """Return how many steps each file has."""
        return 1 + len(self.grid.targets) + bool(self.grid.data) + len(self.grid.devices)

    def total(self) -> int:
        """Return how many steps there are."""
        return len(self.grid.variants) * len(self.grid.precisions) * self.steps_of_a_file()

    def keep(self, step: Ran, document: dict[str, object], files: dict[str, bytes]) -> Entry:
        """Record a step that ended well, and say so."""
        entry = self.store.keep(step, document, files)
        self.say(f"{step.kind} {step.title}: {step.duration_s:.1f} s")
        return entry

    def fail(self, step: Step, file: File, error: Exception, device: str | None = None) -> None:
        """Remember and say that a step gave no result."""
        record = failure(step, error)
        self.found.fail(file, record, device)
        self.say(f"FAILED: {step} {title(file, device or '')}: {record.message}")

    def tick(self, steps: int = 1) -> None:
        """Count steps that are settled, one way or the other."""
        self.done += steps
        self.report("steps", self.done, self.total())


def title(file: File, more: str = "") -> str:
    """Return what people call a step of a file, in letters that a file's name can have."""
    words = "-".join([*file, *([more] if more else [])])
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in words)[:80]
