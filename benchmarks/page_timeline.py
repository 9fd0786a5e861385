"""Latency over time with the device's temperature, frequency and power below it, on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from benchmarks.page_drawing import (
    Bar,
    Curve,
    Dot,
    Drawing,
    Label,
    Scale,
    padded,
    path_through,
    y_of,
)
from benchmarks.page_plots import milliseconds, samples_of, shown_range_ms
from benchmarks.result import BenchmarkRecord, EnvironmentRecord, MeasurementRecord, SnapshotRecord
from benchmarks.table import plain

LATENCY_PX, STATE_PX, GAP_PX = 120, 54, 30
MOST_COLUMNS = 240  # what a screen can tell apart; up to half as many samples are drawn one by one
LEAST_TEMPERATURE_SPAN_C = 10.0  # a sensor's own steps must not look like a heating device


@dataclass(frozen=True)
class Line:
    """What one sensor said over time, in the unit of its panel."""

    name: str
    css: str
    points: tuple[tuple[float, float], ...]  # seconds, value


@dataclass(frozen=True)
class Panel:
    """Lines that share an axis."""

    title: str
    unit: str
    scale: Scale
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Column:
    """The samples of one share of the time axis, in milliseconds."""

    index: int
    low: float
    middle: float
    high: float


def timeline(result: BenchmarkRecord, measurement: MeasurementRecord) -> Drawing:
    """Draw one measurement's latencies over time, and what the device said of itself meanwhile."""
    timed = timed_samples(measurement)
    time = Scale(*padded(timed[0][0], timed[-1][0] + timed[-1][1] / 1e3, 0.01, least=0.001))
    panels = _panels(result.environment)
    bottom_px = 18 + LATENCY_PX + len(panels) * (GAP_PX + STATE_PX)
    drawing = Drawing(bottom_px + 34, _in_words(measurement, panels, time))
    drawing.x_axis(time, 18, bottom_px, 7, "seconds since the session began")
    _add_throttling(drawing, result.environment, time, bottom_px)
    _add_latency(drawing, time, timed, measurement)
    for index, panel in enumerate(panels):
        _add_panel(drawing, time, panel, 18 + LATENCY_PX + index * (GAP_PX + STATE_PX) + GAP_PX)
    return drawing


def timed_samples(measurement: MeasurementRecord) -> list[tuple[float, float]]:
    """Return (start in seconds, latency in milliseconds) of each sample, in order of time.

    A block stores when it began; within it, runs follow each other at once.
    """
    timed = []
    for block in measurement.blocks:
        start_s = block.start_s
        for sample_s in block.samples_s:
            timed.append((start_s, 1e3 * sample_s))
            start_s += sample_s
    return sorted(timed)


def columns_of(timed: Sequence[tuple[float, float]], time: Scale, count: int) -> list[Column]:
    """Return lowest, median and highest latency of each of `count` equal shares of time that has samples."""
    grouped = groupby(timed, lambda sample: min(count - 1, int(time.share(sample[0]) * count)))
    columns = []
    for index, group in grouped:
        values = [latency for _, latency in group]
        columns.append(Column(index, min(values), median(values), max(values)))
    return columns


def _unbroken(columns: Sequence[Column]) -> Iterator[list[Column]]:
    """Yield columns that touch: between blocks another model had its turn, and nothing is drawn there."""
    for _, group in groupby(enumerate(columns), lambda pair: pair[1].index - pair[0]):
        yield [column for _, column in group]


def _add_latency(
    drawing: Drawing, time: Scale, timed: Sequence[tuple[float, float]], measurement: MeasurementRecord
) -> None:
    scale = Scale(*shown_range_ms(samples_of(measurement)))
    drawing.y_axis(scale, 18, LATENCY_PX, 4)
    drawing.labels.append(Label("panel", 0, 10, "Latency, ms", "start"))
    if measurement.statistics.max_s * 1e3 > scale.high:
        text = f"highest {milliseconds(measurement.statistics.max_s)} ↑"
        drawing.labels.append(Label("note", 100, 10, text, "end"))
    if 2 * len(timed) <= MOST_COLUMNS:
        for start_s, latency in timed:
            y_px = y_of(scale, min(latency, scale.high), 18, LATENCY_PX)
            drawing.dots.append(Dot("sample", time.percent(start_s), y_px, 2))
        return
    count = min(MOST_COLUMNS, max(40, len(timed) // 4))
    reach, middle = [], []
    for run in _unbroken(columns_of(timed, time, count)):
        reach.append(_steps(run, count, scale, "high") + _steps(run[::-1], count, scale, "low", back=True) + "Z")
        middle.append(_steps(run, count, scale, "middle"))
    drawing.curves.append(Curve("reach", 18, LATENCY_PX, "".join(reach)))
    drawing.curves.append(Curve("middle", 18, LATENCY_PX, "".join(middle)))


def _steps(columns: Sequence[Column], count: int, scale: Scale, name: str, back: bool = False) -> str:
    """Return a path that goes along one value of columns as wide as their share of time."""
    points = []
    for column in columns:
        # A reach is a pixel high at least, or equal samples would not be seen.
        y_px = LATENCY_PX * (1 - scale.share(min(getattr(column, name), scale.high))) + (0.5 if back else -0.5)
        edges = (column.index + 1, column.index) if back else (column.index, column.index + 1)
        points += [(edge / count, y_px) for edge in edges]
    return path_through(points, "L" if back else "M")


def snapshots_of(environment: EnvironmentRecord) -> list[SnapshotRecord]:
    """Return all snapshots in order of time."""
    every = (environment.before, *environment.during, environment.after)
    return sorted(every, key=lambda snapshot: snapshot.at_s)


def _panels(environment: EnvironmentRecord) -> list[Panel]:
    """Return a panel for each thing that the device tells."""
    snapshots = snapshots_of(environment)
    panels = [_temperature(snapshots), _frequency(snapshots), _power(snapshots)]
    return [panel for panel in panels if panel]


def _temperature(snapshots: Sequence[SnapshotRecord]) -> Panel | None:
    zones = sorted({zone for snapshot in snapshots for zone in snapshot.temperatures_c})
    if not zones:
        return None
    values = [value for snapshot in snapshots for value in snapshot.temperatures_c.values()]
    peaks = {zone: max(each.temperatures_c.get(zone, -273.0) for each in snapshots) for zone in zones}
    hottest = max(peaks, key=lambda zone: peaks[zone])
    lines = [
        Line(
            plain(zone) if zone == hottest else "",
            "temperature" if zone == hottest else "other",
            tuple((each.at_s, each.temperatures_c[zone]) for each in snapshots if zone in each.temperatures_c),
        )
        for zone in sorted(zones, key=lambda zone: zone == hottest)
    ]
    scale = Scale(*padded(min(values), max(values), 0.15, LEAST_TEMPERATURE_SPAN_C))
    return Panel("Temperature", "°C", scale, tuple(lines))


def _frequency(snapshots: Sequence[SnapshotRecord]) -> Panel | None:
    policies = max(len(snapshot.frequencies_hz) for snapshot in snapshots)
    if not policies:
        return None
    highest = max(max(each.frequencies_hz + each.max_frequencies_hz, default=1) for each in snapshots)
    lines = []
    for policy in range(policies):
        told = [each for each in snapshots if len(each.frequencies_hz) > policy]
        points = tuple((each.at_s, each.frequencies_hz[policy] / 1e9) for each in told)
        lines.append(Line(f"policy {policy}" if policies > 1 else "", "frequency", points))
    return Panel("Processor frequency", "GHz", Scale(0, 1.15 * highest / 1e9), tuple(lines))


def _power(snapshots: Sequence[SnapshotRecord]) -> Panel | None:
    points = tuple((each.at_s, each.power_w) for each in snapshots if each.power_w is not None)
    if not points:
        return None
    highest = max(max(power for _, power in points), 0.1)
    return Panel("Power", "W", Scale(0, 1.15 * highest), (Line("", "power", points),))


def _add_panel(drawing: Drawing, time: Scale, panel: Panel, top_px: float) -> None:
    drawing.y_axis(panel.scale, top_px, STATE_PX, 3)
    drawing.labels.append(Label("panel", 0, top_px - 7, f"{panel.title}, {panel.unit}", "start"))
    taken: list[float] = []
    for line in panel.lines:
        points = [(time.share(at_s), STATE_PX * (1 - panel.scale.share(value))) for at_s, value in line.points]
        if len(points) > 1:
            drawing.curves.append(Curve(line.css, top_px, STATE_PX, path_through(_thinned(points))))
        elif 0 <= points[0][0] <= 1:
            drawing.dots.append(Dot(line.css, round(100 * points[0][0], 2), top_px + points[0][1], 3))
        if line.name:
            y_px = top_px + points[-1][1] - 5
            while any(abs(y_px - other_px) < 12 for other_px in taken):
                y_px += 12
            taken.append(y_px)
            drawing.labels.append(Label("note", 100, y_px, _shortened(line.name), "end"))


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most two points a column, its lowest and its highest, in their order."""
    if len(points) <= MOST_COLUMNS:
        return list(points)
    size = len(points) / MOST_COLUMNS
    kept = []
    for _, group in groupby(enumerate(points), lambda pair: int(pair[0] / size)):
        column = [point for _, point in group]
        kept += sorted({min(column, key=lambda point: point[1]), max(column, key=lambda point: point[1])})
    return kept


def _shortened(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _add_throttling(drawing: Drawing, environment: EnvironmentRecord, time: Scale, bottom_px: float) -> None:
    """Mark the time in which the device said that it held itself back."""
    first = True
    for now, later in pairwise(snapshots_of(environment)):
        start, end = max(0.0, time.percent(now.at_s)), min(100.0, time.percent(later.at_s))
        if now.throttled and now.throttled.now and start < end:
            title = ", ".join(plain(name) for name in now.throttled.now)
            drawing.bars.append(Bar("throttled", start, end - start, 18, bottom_px - 18, title))
            if first:
                anchor = "start" if start < 60 else "end"
                x = start if anchor == "start" else end
                drawing.labels.append(Label("throttled", x, 30, "throttled", anchor, 4 if anchor == "start" else -4))
            first = False


def _in_words(measurement: MeasurementRecord, panels: Sequence[Panel], time: Scale) -> str:
    words = [f"Latency of {measurement.statistics.count:,} runs over {time.high - time.low:,.1f} seconds."]
    for panel in panels:
        values = [value for line in panel.lines for _, value in line.points]
        words.append(f"{panel.title} between {min(values):.3g} and {max(values):.3g} {panel.unit}.")
    return " ".join(words)
