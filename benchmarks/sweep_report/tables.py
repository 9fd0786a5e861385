"""A sweep as rows: for the page's tables and for Markdown; one row a point, provenance in the headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.sweep.record import CellRecord, SweepRecord
from benchmarks.sweep_report.answer import Answer, notes
from benchmarks.sweep_report.choice import Reading
from benchmarks.sweep_report.facts import share_words
from benchmarks.sweep_report.points import Group, Point, device_name, groups
from benchmarks.sweep_report.words import percent
from benchmarks.table import plain, setting_text

MISSING = "–"


@dataclass(frozen=True)
class Row:
    """A point with its cell, and whether no other of its group beats it."""

    point: Point
    cell: CellRecord
    on_front: bool
    wrong: bool

    @property
    def setting(self) -> str:
        """Return the setting in words."""
        return MISSING if self.point.setting is None else setting_text(self.cell.latencies[self.point.setting].setting)


@dataclass(frozen=True)
class Figure:
    """A column: its name with the unit, where its figures come from ("" = the group's own way), and how to read one."""

    name: str
    source: str
    read: Callable[[Row], str]


def _milliseconds(row: Row, read: Callable[[Reading], Sequence[float]]) -> str:
    latency = row.point.latency
    return "–".join(f"{1e3 * value:,.{_digits(latency.low)}f}" for value in read(latency)) if latency else MISSING


def _digits(seconds: float) -> int:
    return 1 if seconds >= 0.1 else 2 if seconds >= 0.001 else 3


def _p90(row: Row) -> str:
    if row.point.setting is None:
        return MISSING
    p90_s = row.cell.latencies[row.point.setting].p90_s
    return f"{1e3 * p90_s:,.{_digits(p90_s)}f}"


def _golden(row: Row) -> str:
    told = None if row.point.setting is None else row.cell.latencies[row.point.setting].golden
    return MISSING if told is None else "right" if told else "WRONG"


def _top1(row: Row) -> str:
    return share_words(row.cell.accuracy.top1).replace(" %", "") if row.cell.accuracy else MISSING


def _agreement(row: Row) -> str:
    held = row.cell.accuracy and row.cell.accuracy.agreement
    return share_words(held.same_top1).replace(" %", "") if held else MISSING


def _verified(row: Row) -> str:
    held = row.cell.model and row.cell.model.verification
    if not held:
        return MISSING
    return f"{percent(held.agreement)} ({percent(held.agreement_low)}–{percent(held.agreement_high)})"


VERIFIED = Figure("Same as float %", "measured", _verified)  # on the images of the conversion
FIGURES = (
    Figure("Top-1 %", "measured", _top1),
    Figure("Same as float %", "measured", _agreement),  # on the images that top-1 is of
    VERIFIED,
    Figure("Median ms", "", lambda row: _milliseconds(row, lambda each: [each.value])),
    Figure("95 % interval", "", lambda row: _milliseconds(row, lambda each: [each.low, each.high])),
    Figure("p90 ms", "", _p90),
    Figure("Golden answers", "", _golden),
    Figure("Size MB", "measured", lambda row: f"{row.cell.model.size_bytes / 1e6:.2f}" if row.cell.model else MISSING),
    Figure("MACs M", "computed", lambda row: f"{row.cell.model.macs / 1e6:,.0f}" if row.cell.model else MISSING),
)


def group_rows(sweep: SweepRecord, group: Group) -> list[Row]:
    """Return a row for each point of a group, in the sweep's order, those with wrong answers last."""
    best = set(group.front)
    right = [Row(point, sweep.cells[point.cell], point in best, False) for point in group.points]
    return right + [Row(point, sweep.cells[point.cell], False, True) for point in group.wrong]


def figures_of(rows: Sequence[Row]) -> list[Figure]:
    """Return the columns that any of the rows has a figure in; agreement on one set of images only."""
    found = [figure for figure in FIGURES if any(figure.read(row) != MISSING for row in rows)]
    alike = [figure for figure in found if figure.name == VERIFIED.name]
    return [figure for figure in found if figure is not VERIFIED or alike == [VERIFIED]]


def unfinished(cells: Sequence[CellRecord]) -> list[CellRecord]:
    """Return the cells that failed or wait."""
    return [cell for cell in cells if cell.status != "done"]


def failure_words(cell: CellRecord) -> list[str]:
    """Return the errors of a cell."""
    return [f"{row.step}: {plain(row.message)} (exit code {row.exit_code})" for row in cell.failures]


def markdown(sweep: SweepRecord, answers: Sequence[Answer]) -> str:
    """Return the answers and all rows as Markdown."""
    lines = ["# Sweep report", ""]
    for answer in answers:
        lines += [f"## {_escaped(answer.group.title)}", ""]
        lines += [f"{'  ' if line.kind == 'why' else ''}- {_escaped(line.text)}" for line in answer.lines]
        lines.append("")
    lines += [f"> {_escaped(note)}\n" for note in notes(sweep)]
    for group in groups(sweep):
        lines += [f"## All of {_escaped(group.title)}", "", *_markdown_table(sweep, group), ""]
    left = unfinished(sweep.cells)
    if left:
        lines += ["## Failed and waiting", "", *map(_unfinished_line, left), ""]
    return "\n".join(lines)


def _unfinished_line(cell: CellRecord) -> str:
    place = f" on {device_name(cell)}" if cell.device else ""
    words = [f"{plain(cell.variant)} {cell.precision}{place} {cell.status}", *failure_words(cell)]
    return f"- {_escaped('; '.join(words))}"


def _markdown_table(sweep: SweepRecord, group: Group) -> list[str]:
    rows = group_rows(sweep, group)
    figures = figures_of(rows)
    head = [
        "Variant",
        "Precision",
        "Setting",
        "Front",
        *(row.name + f" ({row.source or group.provenance})" for row in figures),
    ]
    table = [head, [*["---"] * 4, *["---:"] * len(figures)]]
    for row in rows:
        texts = [figure.read(row) for figure in figures]
        cells = [row.point.variant, row.point.precision, row.setting, "front" if row.on_front else "", *texts]
        table.append([_escaped(cell) for cell in cells])
    return [f"| {' | '.join(cells)} |" for cells in table]


def _escaped(text: str) -> str:
    """Return text in which Markdown finds no link, no HTML and no end of a table's cell."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text)
