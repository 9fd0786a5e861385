"""A drawing that is as wide as its place: x in percent of the plot's width, y in pixels, so text is never scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

PATH_UNITS = 1000  # x units of a path over the plot's width; SVG paths know no percent


@dataclass(frozen=True)
class Scale:
    """A range of values, laid out from 0 to 1."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where `value` lies, 0 at `low` and 1 at `high`."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def percent(self, value: float) -> float:
        """Return where `value` lies along the x axis."""
        return round(100 * self.share(value), 2)

    def ticks(self, wanted: int) -> list[float]:
        """Return about `wanted` round values within the range."""
        return _powers(self.low, self.high, wanted) if self.logarithmic else _steps(self.low, self.high, wanted)


def _steps(low: float, high: float, wanted: int) -> list[float]:
    rough = (high - low) / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    # Rounded, for 3 * 0.1 is not 0.3 and would be printed so.
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float, wanted: int) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        inside = [value for value in values if low <= value <= high]
        if len(inside) <= wanted:
            break
    return inside


def padded(low: float, high: float, share: float = 0.06, least: float = 0.0) -> tuple[float, float]:
    """Return a range with some room at both ends, `least` wide at least; a single value gets room as well."""
    room = max((high - low) * share, (least - (high - low)) / 2, 1e-9 * max(abs(high), 1.0))
    return low - room, high + room


@dataclass(frozen=True)
class Bar:
    """A filled rectangle; `title` is shown under the pointer."""

    css: str
    x: float
    width: float
    y_px: float
    height_px: float
    title: str = ""


@dataclass(frozen=True)
class Rule:
    """A straight line between two points."""

    css: str
    x1: float
    y1_px: float
    x2: float
    y2_px: float


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    css: str
    x: float
    y_px: float
    radius_px: float
    title: str = ""


@dataclass(frozen=True)
class Label:
    """A line of text; `anchor` is the side of it that stands at x, `shift_px` moves it from there."""

    css: str
    x: float
    y_px: float
    text: str
    anchor: str = "middle"
    shift_px: int = 0


@dataclass(frozen=True)
class Curve:
    """A path in a window from `top_px` on; x runs to PATH_UNITS, y in pixels from the top of the window."""

    css: str
    top_px: float
    height_px: float
    path: str


@dataclass
class Drawing:
    """What a picture is made of, in the order of painting within each kind; `summary` says it in words."""

    height_px: int
    summary: str
    bars: list[Bar] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def x_axis(self, scale: Scale, top_px: float, bottom_px: float, wanted: int = 5, name: str = "") -> None:
        """Add a grid line and a number at each round value, and the axis' name at its right end, below them."""
        for value in scale.ticks(wanted):
            x = scale.percent(value)
            self.rules.append(Rule("grid", x, top_px, x, bottom_px))
            self.labels.append(Label("tick", x, bottom_px + 14, f"{value:,g}"))
        if name:
            self.labels.append(Label("axis", 100, bottom_px + 29, name, "end"))

    def y_axis(self, scale: Scale, top_px: float, height_px: float, wanted: int = 3) -> None:
        """Add a grid line and a number at each round value of a panel that begins at `top_px`."""
        for value in scale.ticks(wanted):
            y_px = y_of(scale, value, top_px, height_px)
            self.rules.append(Rule("grid", 0, y_px, 100, y_px))
            self.labels.append(Label("tick", 0, y_px + 4, f"{value:,g}", "end", -7))


def y_of(scale: Scale, value: float, top_px: float, height_px: float) -> float:
    """Return the y of a value in a panel; larger values stand higher."""
    return round(top_px + height_px * (1 - scale.share(value)), 1)


def path_through(points: Sequence[tuple[float, float]], pen: str = "M") -> str:
    """Return path commands through points (share of the width, y in pixels); `pen` "L" goes on with a path."""
    commands = [f"{PATH_UNITS * x:.1f},{y_px:.1f}" for x, y_px in points]
    return f"{pen}{' '.join(commands)}"
