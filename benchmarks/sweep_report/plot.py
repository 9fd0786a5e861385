"""Accuracy over latency and over size, a mark for each point with its intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.page_drawing import Drawing, Scale, padded, y_of
from benchmarks.page_plots import LOGARITHMIC_FROM
from benchmarks.sweep_report.choice import Reading
from benchmarks.sweep_report.points import Group, Point

PLOT_PX, TOP_PX = 300, 10
# A shape a precision, about 5 pixels in radius: colour alone would not tell them apart.
SHAPES = {
    "fp32": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "fp16": "M-4.5,-4.5h9v9h-9z",
    "w8": "M0,-5.5L5.4,4.4H-5.4z",
    "w8d": "M0,5.5L5.4,-4.4H-5.4z",
    "w8a8": "M0,-6.2L6.2,0L0,6.2L-6.2,0z",
    "w8a16": "M-5.5,-2h3.5v-3.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5z",
}


@dataclass(frozen=True)
class Mark:
    """A point on a plot: x in percent of its width, y in pixels, each with the ends of its bar."""

    point: Point
    place: int  # of the point in its group
    x: Reading
    y_px: Reading
    shape: str
    on_front: bool


@dataclass(frozen=True)
class Plot:
    """Axes and marks; the scales say where a bound lies: latencies in ms or sizes in MB, accuracies in percent."""

    kind: str  # latency, size
    title: str
    drawing: Drawing
    marks: tuple[Mark, ...]
    x: Scale
    y: Scale


def plots(group: Group, measure: str) -> list[Plot]:
    """Return the plots that a group has figures for: accuracy over latency, and over size."""
    return [plot for kind in ("latency", "size") if (plot := _plot(group, kind, measure))]


def _plot(group: Group, kind: str, measure: str) -> Plot | None:
    placed = [(place, *pair) for place, point in enumerate(group.points) if (pair := _figures(point, kind))]
    if not placed:
        return None
    x = _x_scale([across for _, across, _ in placed])
    y = Scale(*padded(*_reach([up for _, _, up in placed]), least=1.0))
    unit = "median latency, ms" if kind == "latency" else "file size, MB"
    words = f"{measure[:1].upper()}{measure[1:]} over {unit} of {len(placed)} points on {group.title}"
    bottom_px = TOP_PX + PLOT_PX
    drawing = Drawing(bottom_px + 34, f"{words}; the table below has the figures.")
    drawing.x_axis(x, TOP_PX, bottom_px, 5, f"{unit}{' (logarithmic)' if x.logarithmic else ''}")
    drawing.y_axis(y, TOP_PX, PLOT_PX, 6)
    best = set(group.front)
    marks = tuple(
        Mark(point, place, _along(across, x), _up(up, y), SHAPES[point.precision], point in best)
        for place, across, up in placed
        if (point := group.points[place])
    )
    return Plot(kind, f"{measure}, %, over {unit}", drawing, marks, x, y)


def _figures(point: Point, kind: str) -> tuple[Reading, Reading] | None:
    accuracy, latency, size = point.accuracy, point.latency, point.size_bytes
    if accuracy is None or (latency is None if kind == "latency" else size is None):
        return None
    up = _times(accuracy, 100)
    if kind == "latency" and latency:
        return _times(latency, 1e3), up
    return _times(Reading(size or 0, size or 0, size or 0), 1e-6), up


def _times(reading: Reading, factor: float) -> Reading:
    return Reading(factor * reading.value, factor * reading.low, factor * reading.high)


def _reach(readings: Sequence[Reading]) -> tuple[float, float]:
    return min(row.low for row in readings), max(row.high for row in readings)


def _x_scale(readings: Sequence[Reading]) -> Scale:
    low, high = _reach(readings)
    if high > LOGARITHMIC_FROM * low > 0:
        return Scale(low / 1.15, high * 1.15, logarithmic=True)
    return Scale(*padded(low, high))


def _along(reading: Reading, x: Scale) -> Reading:
    return Reading(x.percent(reading.value), x.percent(reading.low), x.percent(reading.high))


def _up(reading: Reading, y: Scale) -> Reading:
    value, low, high = (y_of(y, each, TOP_PX, PLOT_PX) for each in (reading.value, reading.low, reading.high))
    return Reading(value, low, high)
