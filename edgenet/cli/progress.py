"""Progress on stderr: a bar on a terminal, one plain line a step elsewhere."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from edgenet.cli.console import say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


# Steps that count bytes, and those that count to 100 %; all others count things.
BYTE_STEPS, PERCENT_STEPS = ("copying ", "downloading "), ("measure",)
MB = 1_000_000


class StepProgress:
    """Show the steps of a long command; to be called as an `edgenet.progress.Report`."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: set[str] = set()

    def __enter__(self) -> StepProgress:
        """Begin to show."""
        if sys.stderr.isatty():
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the finished bars on the screen."""
        if self._bars:
            self._bars.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note of `done` of `total` in a step."""
        if self._bars is None:
            if step not in self._said:
                self._said.add(step)
                say(f"{step}{_amount(step, total)} ...")
            return
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=total, amount="")
        self._bars.update(self._tasks[step], completed=done, amount=_of(step, done, total))


def _amount(step: str, total: int) -> str:
    """Return how much a step is to do, in brackets, where that is worth saying."""
    if total <= 1 or step.startswith(PERCENT_STEPS):
        return ""
    return f" ({total / MB:.1f} MB)" if step.startswith(BYTE_STEPS) else f" ({total})"


def _of(step: str, done: int, total: int) -> str:
    if step.startswith(BYTE_STEPS):
        return f"{done / MB:.1f}/{total / MB:.1f} MB"
    if step.startswith(PERCENT_STEPS):
        return f"{100 * done // max(1, total)} %"
    return f"{done}/{total or '?'}"


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    amount = TextColumn("{task.fields[amount]:>12}")
    columns = (TextColumn("{task.description:<24}"), BarColumn(), amount, TimeElapsedColumn())
    # A descriptor of its own: while native code is kept quiet, descriptor 2 leads nowhere.
    terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
    return Progress(*columns, console=Console(file=terminal, highlight=False))
