"""The page's two halves, measured and emulated, as plain values for the template: nothing is shared between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.page_drawing import Drawing, Scale
from benchmarks.page_facts import (
    Facts,
    OpRow,
    StateRow,
    device_facts,
    environment_facts,
    measurement_facts,
    op_rows,
    result_facts,
    state_rows,
)
from benchmarks.page_plots import common_scale, histogram, milliseconds, strip, strip_axis, threads_plot
from benchmarks.page_timeline import timeline
from benchmarks.result import BenchmarkRecord, DeviceRecord, Provenance
from benchmarks.table import SummaryRow, of_provenance, plain, setting_text, summary_cells, summary_rows

PROVENANCES: tuple[Provenance, ...] = ("measured", "emulated")


@dataclass(frozen=True)
class Strip:
    """One measurement on the common axis."""

    device: str
    setting: str
    median: str
    drawing: Drawing


@dataclass(frozen=True)
class StripGroup:
    """One model on all its devices and settings."""

    model: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Threads:
    """One model on one device with several numbers of threads."""

    model: str
    place: str
    drawing: Drawing
    words: str


@dataclass(frozen=True)
class MeasurementView:
    """One setting's pictures and facts."""

    setting: str
    histogram: Drawing
    timeline: Drawing
    facts: Facts
    ops: tuple[OpRow, ...]
    ops_note: str


@dataclass(frozen=True)
class ResultView:
    """One result document."""

    anchor: str
    model: str
    device: str
    started_at: str
    facts: Facts
    measurements: tuple[MeasurementView, ...]


@dataclass(frozen=True)
class SessionState:
    """The device's state while some models were measured."""

    models: str
    started_at: str
    facts: Facts
    rows: tuple[StateRow, ...]


@dataclass(frozen=True)
class DeviceView:
    """One device with its runtime, and each session there."""

    name: str
    facts: Facts
    states: tuple[SessionState, ...]


@dataclass(frozen=True)
class Warned:
    """One warning, and which results it came with."""

    code: str
    message: str
    mend: str
    where: tuple[str, ...]


@dataclass(frozen=True)
class TableRow:
    """One measurement in the summary; `anchor` leads to its result, `warnings` counts that result's."""

    anchor: str
    cells: tuple[str, ...]
    warnings: int
    again: bool  # the model of the row above


@dataclass(frozen=True)
class Section:
    """All that is told of results of one provenance."""

    provenance: Provenance
    headlines: tuple[str, ...]
    table: tuple[TableRow, ...]
    axis: Drawing
    logarithmic: bool
    groups: tuple[StripGroup, ...]
    threads: tuple[Threads, ...]
    results: tuple[ResultView, ...]
    devices: tuple[DeviceView, ...]
    warnings: tuple[Warned, ...]


def sections(results: Sequence[BenchmarkRecord]) -> list[Section]:
    """Return one section a provenance that there are results of, measured first."""
    rows = summary_rows(results)
    found = {kind: of_provenance(rows, kind) for kind in PROVENANCES}
    return [_section(kind, some) for kind, some in found.items() if some]


def _section(provenance: Provenance, rows: list[SummaryRow]) -> Section:
    scale = common_scale(rows)
    results = list({id(row.result): row.result for row in rows}.values())
    anchors = {id(result): f"{provenance}-{index}" for index, result in enumerate(results, start=1)}
    return Section(
        provenance=provenance,
        headlines=tuple(_headlines(rows)),
        table=tuple(_table(rows, anchors)),
        axis=strip_axis(scale),
        logarithmic=scale.logarithmic,
        groups=tuple(_strip_groups(rows, scale)),
        threads=tuple(_threads(rows)),
        results=tuple(_result(result, anchors[id(result)]) for result in results),
        devices=tuple(_devices(results)),
        warnings=tuple(_warnings(results)),
    )


def _table(rows: Sequence[SummaryRow], anchors: dict[int, str]) -> Iterator[TableRow]:
    model = ""
    for row, cells in zip(rows, summary_cells(rows), strict=True):
        yield TableRow(anchors[id(row.result)], tuple(cells), len(row.result.warnings), row.model == model)
        model = row.model


def _headlines(rows: Sequence[SummaryRow]) -> Iterator[str]:
    """Yield the fastest measurement of each device in a sentence, right answers only."""
    by_device: dict[str, list[SummaryRow]] = defaultdict(list)
    for row in rows:
        by_device[row.device].append(row)
    for device, some in by_device.items():
        wrong = sum(row.golden == "FAILED" for row in some)
        right = [row for row in some if row.golden != "FAILED"]
        if right:
            yield _fastest(device, right)
        if wrong:
            yield f"{device}: {wrong} of {len(some)} measurements FAILED the golden check: the answers are wrong."


def _fastest(device: str, rows: Sequence[SummaryRow]) -> str:
    best = min(rows, key=lambda row: row.measurement.statistics.median_s / row.measurement.setting.batch)
    figures = best.measurement.statistics
    low, high = milliseconds(figures.median_low_s).removesuffix(" ms"), milliseconds(figures.median_high_s)
    lead = f"{device}: {best.model} ({best.setting})" + (" is the fastest" if len(rows) > 1 else "")
    return f"{lead}, median {milliseconds(figures.median_s)}, 95 % interval {low} to {high}."


def _strip_groups(rows: Sequence[SummaryRow], scale: Scale) -> Iterator[StripGroup]:
    by_model: dict[str, list[SummaryRow]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(row)
    for model, some in by_model.items():
        strips = [
            Strip(row.device, row.setting, milliseconds(row.measurement.statistics.median_s), strip(row, scale))
            for row in some
        ]
        yield StripGroup(model, tuple(strips))


def _threads(rows: Sequence[SummaryRow]) -> Iterator[Threads]:
    """Yield a picture for each result that was measured with several numbers of threads and nothing else changed."""
    alike: dict[tuple[object, ...], list[SummaryRow]] = defaultdict(list)
    for row in rows:
        setting = row.measurement.setting.model_copy(update={"threads": 0, "affinity": ()})
        alike[(id(row.result), setting)].append(row)
    for some in alike.values():
        numbers = [row.measurement.setting.threads for row in some]
        if len(set(numbers)) == len(numbers) > 1 and min(numbers) >= 1:
            others = setting_text(some[0].measurement.setting).partition(", ")[2]
            place = f"{some[0].device}, {others}" if others else some[0].device
            yield Threads(some[0].model, place, threads_plot(some), _gain(some))


def _gain(rows: Sequence[SummaryRow]) -> str:
    by_threads = sorted(rows, key=lambda row: row.measurement.setting.threads)
    first, last = by_threads[0].measurement, by_threads[-1].measurement
    gain = first.statistics.median_s / last.statistics.median_s
    return f"{last.setting.threads} threads: {gain:.2f} × as fast as {first.setting.threads}"


def _result(result: BenchmarkRecord, anchor: str) -> ResultView:
    measurements = [
        MeasurementView(
            setting_text(measurement.setting),
            histogram(measurement),
            timeline(result, measurement),
            measurement_facts(measurement),
            tuple(op_rows(measurement.ops)),
            plain(measurement.ops_note),
        )
        for measurement in result.measurements
    ]
    return ResultView(
        anchor,
        plain(result.model.file),
        plain(result.device.name),
        plain(result.session.started_at),
        result_facts(result),
        tuple(measurements),
    )


def _devices(results: Sequence[BenchmarkRecord]) -> Iterator[DeviceView]:
    """Yield each device once; what it said in one session may belong to several models."""
    by_device: dict[DeviceRecord, list[BenchmarkRecord]] = defaultdict(list)
    for result in results:
        by_device[result.device].append(result)
    for device, some in by_device.items():
        yield DeviceView(plain(device.name), device_facts(device), tuple(_states(some)))


def _states(results: Sequence[BenchmarkRecord]) -> Iterator[SessionState]:
    states: dict[str, list[BenchmarkRecord]] = defaultdict(list)
    for result in results:
        states[result.environment.model_dump_json()].append(result)
    for alike in states.values():
        environment = alike[0].environment
        yield SessionState(
            ", ".join(plain(result.model.file) for result in alike),
            plain(alike[0].session.started_at),
            environment_facts(environment),
            tuple(state_rows(environment)),
        )


def _warnings(results: Sequence[BenchmarkRecord]) -> Iterator[Warned]:
    where: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for result in results:
        for warning in result.warnings:
            place = f"{plain(result.model.file)} on {plain(result.device.name)}"
            where[plain(warning.code), plain(warning.message), plain(warning.mend)].append(place)
    for (code, message, mend), places in where.items():
        yield Warned(code, message, mend, tuple(dict.fromkeys(places)))
