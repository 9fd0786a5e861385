"""Pictures of measurements: how latencies are spread, settings side by side, and what more threads bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.page_drawing import Bar, Dot, Drawing, Label, Rule, Scale, padded, y_of
from benchmarks.result import MeasurementRecord, StatisticsRecord
from benchmarks.table import SummaryRow, decimals

HISTOGRAM_PX = 132
FEWEST_BINS, MOST_BINS = 8, 48
# Beyond this ratio between the slowest and the fastest, the fast ones would lie on one spot of a linear axis.
LOGARITHMIC_FROM = 12
STRIP_PX, AXIS_PX = 24, 20
THREADS_PX = 120


def milliseconds(seconds: float) -> str:
    """Return a time with three digits that count."""
    return f"{1e3 * seconds:,.{decimals([1e3 * seconds])}f} ms"


def samples_of(measurement: MeasurementRecord) -> list[float]:
    """Return all samples in seconds, block after block."""
    return [sample for block in measurement.blocks for sample in block.samples_s]


def shown_range_ms(samples_s: Sequence[float]) -> tuple[float, float]:
    """Return what an axis has to show: all but the few samples far above the 90th percentile, which would squeeze the
    rest into a line. Whoever leaves them out says so.
    """
    ordered = sorted(samples_s)
    low_s, p90_s, high_s = ordered[0], ordered[int(0.9 * (len(ordered) - 1))], ordered[-1]
    far_s = p90_s + max(2 * (p90_s - low_s), 0.02 * p90_s)
    return padded(1e3 * low_s, 1e3 * min(high_s, far_s))


def histogram(measurement: MeasurementRecord) -> Drawing:
    """Draw how often each latency came, with the median and its interval, p90 and p99."""
    statistics = measurement.statistics
    samples_s = samples_of(measurement)
    scale = Scale(*shown_range_ms(samples_s))
    shown = [1e3 * sample_s for sample_s in samples_s if 1e3 * sample_s <= scale.high]
    top_px, bottom_px = 44, 44 + HISTOGRAM_PX
    drawing = Drawing(bottom_px + 34, _spread_in_words(statistics))
    drawing.x_axis(scale, top_px, bottom_px, 6, "latency, ms")
    _add_bins(drawing, scale, shown, len(samples_s), bottom_px)
    _add_marks(drawing, scale, statistics, top_px, bottom_px)
    above = len(samples_s) - len(shown)
    if above > 0:
        text = f"{above:,} above, to {milliseconds(max(samples_s))} →"
        drawing.labels.append(Label("note", 100, top_px + 13, text, "end", -4))
    return drawing


def _spread_in_words(statistics: StatisticsRecord) -> str:
    return (
        f"Distribution of {statistics.count:,} latencies from {milliseconds(statistics.min_s)} to "
        f"{milliseconds(statistics.max_s)}: median {milliseconds(statistics.median_s)}, "
        f"p90 {milliseconds(statistics.p90_s)}, p99 {milliseconds(statistics.p99_s)}."
    )


def _add_bins(drawing: Drawing, scale: Scale, shown: Sequence[float], total: int, bottom_px: float) -> None:
    wanted = min(MOST_BINS, max(FEWEST_BINS, round(math.sqrt(len(shown)))))
    width = (scale.high - scale.low) / wanted
    counts = [0] * wanted
    for sample in shown:
        counts[min(wanted - 1, int((sample - scale.low) / width))] += 1
    tallest = max(counts)
    digits = decimals([width]) + 1
    for index, count in enumerate(counts):
        if count:
            low = scale.low + index * width
            height_px = round((HISTOGRAM_PX - 4) * count / tallest, 1)
            title = f"{low:.{digits}f}–{low + width:.{digits}f} ms: {count:,} of {total:,}"
            x = 100 * index / wanted
            drawing.bars.append(Bar("bin", x, 100 / wanted, bottom_px - height_px, height_px, title))


def _add_marks(drawing: Drawing, scale: Scale, statistics: StatisticsRecord, top_px: float, bottom_px: float) -> None:
    low, high = scale.percent(1e3 * statistics.median_low_s), scale.percent(1e3 * statistics.median_high_s)
    drawing.bars.append(Bar("interval", low, max(high - low, 0.2), top_px, bottom_px - top_px))
    marks = (("median", statistics.median_s), ("p90", statistics.p90_s), ("p99", statistics.p99_s))
    for line, (name, value) in enumerate(marks):
        beyond = 1e3 * value > scale.high
        x = 100.0 if beyond else scale.percent(1e3 * value)
        # Each on a line of its own: they often stand close together.
        y_px = 11 + 13 * line
        if not beyond:
            drawing.rules.append(Rule(f"mark {name}", x, y_px + 3, x, bottom_px))
        left = x < 55
        text = f"{name} {milliseconds(value)}{' →' if beyond else ''}"
        drawing.labels.append(Label(f"mark {name}", x, y_px + 2, text, "start" if left else "end", 4 if left else -4))


def common_scale(rows: Sequence[SummaryRow]) -> Scale:
    """Return the axis that all rows share, in milliseconds."""
    lows = [1e3 * row.measurement.statistics.min_s for row in rows]
    highs = [1e3 * row.measurement.statistics.p99_s for row in rows]
    if max(highs) > LOGARITHMIC_FROM * min(lows):
        return Scale(min(lows) / 1.15, max(highs) * 1.15, logarithmic=True)
    return Scale(0, max(highs) * 1.04)


def strip(row: SummaryRow, scale: Scale) -> Drawing:
    """Draw one measurement on the common axis: fastest run to p99, p90, and the median with its interval."""
    statistics = row.measurement.statistics
    middle = STRIP_PX / 2
    drawing = Drawing(STRIP_PX, _spread_in_words(statistics))
    for value in scale.ticks(6):
        x = scale.percent(value)
        drawing.rules.append(Rule("grid", x, 0, x, STRIP_PX))

    def at(seconds: float) -> float:
        return scale.percent(1e3 * seconds)

    drawing.rules.append(Rule("reach", at(statistics.min_s), middle, at(statistics.p99_s), middle))
    for value in (statistics.p90_s, statistics.p99_s):
        drawing.rules.append(Rule("reach", at(value), middle - 5, at(value), middle + 5))
    low, high = at(statistics.median_low_s), at(statistics.median_high_s)
    drawing.bars.append(Bar("interval", low, max(high - low, 0.2), middle - 7, 14))
    drawing.dots.append(Dot("point", at(statistics.median_s), middle, 4.5, _spread_in_words(statistics)))
    return drawing


def strip_axis(scale: Scale) -> Drawing:
    """Draw the numbers of the common axis."""
    kind = "logarithmic" if scale.logarithmic else "linear"
    drawing = Drawing(AXIS_PX, f"Latency in milliseconds, {kind}, from {scale.low:.3g} to {scale.high:.3g}.")
    for value in scale.ticks(6):
        drawing.labels.append(Label("tick", scale.percent(value), 13, f"{value:,g}"))
    return drawing


def threads_plot(rows: Sequence[SummaryRow]) -> Drawing:
    """Draw the median latency over the number of threads, and what an ideal division of the work would give."""
    points = sorted((row.measurement.setting.threads, row.measurement.statistics.median_s) for row in rows)
    (first, slowest_s), (last, _) = points[0], points[-1]
    medians = ", ".join(f"{threads}: {milliseconds(median_s)}" for threads, median_s in points)
    top_px, bottom_px = 14, 14 + THREADS_PX
    drawing = Drawing(bottom_px + 34, f"Median latency by number of threads. {medians}.")
    # Room at the right: each number stands right of its dot, where a falling curve leaves it free.
    x_scale = Scale(first - 0.08 * (last - first), last + 0.36 * (last - first))
    y_scale = Scale(0, 1e3 * max(median_s for _, median_s in points) * 1.08)
    drawing.rules.append(Rule("base", 0, bottom_px, 100, bottom_px))
    drawing.labels.append(Label("axis", 100, bottom_px + 29, "threads", "end"))

    def place(threads: int, seconds: float) -> tuple[float, float]:
        return x_scale.percent(threads), y_of(y_scale, 1e3 * seconds, top_px, THREADS_PX)

    ideal = [place(threads, slowest_s * first / threads) for threads, _ in points]
    found = [place(threads, median_s) for threads, median_s in points]
    drawing.rules += [Rule("ideal", *start, *end) for start, end in pairwise(ideal)]
    drawing.rules += [Rule("line", *start, *end) for start, end in pairwise(found)]
    drawing.labels.append(Label("ideal", ideal[-1][0], ideal[-1][1] + 12, "ideal", "start", 7))
    for (threads, median_s), (x, y_px) in zip(points, found, strict=True):
        drawing.dots.append(Dot("point", x, y_px, 4))
        drawing.labels.append(Label("value", x, y_px - 4, milliseconds(median_s), "start", 7))
        drawing.labels.append(Label("tick", x, bottom_px + 14, str(threads)))
    return drawing
