"""The cells that both tables of `edgenet verify` have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgenet.cli.console import Column

if TYPE_CHECKING:
    from edgenet.agreement import Accuracy

ACCURACY_FIGURES = (
    Column("top-1\nfloat", numeric=True),
    Column("top-1\nfile", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("drop in\npoints", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("top-5\nfile", numeric=True),
)


def accuracy_figures(accuracy: Accuracy) -> list[str]:
    """Return the cells of `ACCURACY_FIGURES`."""
    drop = accuracy.drop
    return [
        f"{100 * accuracy.reference_top1.fraction:.1f} %",
        f"{100 * accuracy.test_top1.fraction:.1f} %",
        interval(accuracy.test_top1),
        f"{drop.points:.1f}",
        f"{drop.low_points:.1f} to {drop.high_points:.1f}",
        f"{100 * accuracy.test_top5.fraction:.1f} %",
    ]


class Interval(Protocol):
    """A share's interval, as fractions."""

    @property
    def low(self) -> float:
        """Its lower end."""

    @property
    def high(self) -> float:
        """Its upper end."""


def interval(share: Interval) -> str:
    """Return a share's 95 % interval."""
    return f"{100 * share.low:.1f}–{100 * share.high:.1f} %"
