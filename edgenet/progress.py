"""Progress as a function that anything long calls and anything that shows it provides."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Report = Callable[[str, int, int], None]
"""(step, done, total): called as the work goes on; total 0 means that it is not known."""

Item = TypeVar("Item")


def silent(step: str, done: int, total: int) -> None:
    """Show nothing."""
    del step, done, total


def tracked(items: Iterable[Item], step: str, total: int, report: Report) -> Iterator[Item]:
    """Yield `items`, reporting each one that was asked for."""
    report(step, 0, total)
    for done, item in enumerate(items, 1):
        yield item
        report(step, done, total)
