"""One HTML page about a sweep, complete in itself: no request leaves it, and its figures need no script."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.page import inert, page_policy
from benchmarks.page_template import TEMPLATES, page_template
from benchmarks.sweep.record import CellRecord, SweepRecord
from benchmarks.sweep_report.answer import Question, ask, notes
from benchmarks.sweep_report.facts import Fact, file_facts
from benchmarks.sweep_report.links import link
from benchmarks.sweep_report.plot import SHAPES, Plot, plots
from benchmarks.sweep_report.points import TOP1, Group, Point, device_name, groups, yardstick
from benchmarks.sweep_report.tables import Figure, Row, failure_words, figures_of, group_rows, unfinished
from benchmarks.sweep_report.words import question_words, texts
from benchmarks.table import plain

STYLES = ("report.css", "sweep.css")
FIRST_FIGURE = 4  # columns: model, setting, front, then figures


@dataclass(frozen=True)
class Linked:
    """A fact with the address of the file that says more; "" where its path leads out of the sweep's folder."""

    fact: Fact
    address: str


@dataclass(frozen=True)
class FileView:
    """One file in all its detail, on all devices; `unfinished` are cells that failed or wait."""

    index: int
    variant: str
    precision: str
    unfinished: list[str]
    facts: list[Linked]


@dataclass(frozen=True)
class UnfinishedView:
    """One cell that failed or waits."""

    cell: CellRecord
    device: str
    variant: str
    failures: list[str]


@dataclass(frozen=True)
class GroupView:
    """One group's pictures and table; `first` is the number of its first row in the page's data."""

    group: Group
    plots: list[Plot]
    figures: list[Figure]
    rows: list[Row]
    first: int


def render_page(sweep: SweepRecord, question: Question, run: Path, page: Path) -> str:
    """Return the page with the answer to `question` on top; its links lead from `page` into `run`."""
    views = _group_views(sweep)
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in STYLES) + _column_names(views)
    script = (TEMPLATES / "sweep.js").read_text(encoding="utf-8")
    measure = yardstick(sweep)
    files = _file_views(sweep, run, page)
    return page_template("sweep.html").render(
        policy=page_policy(style, script),
        style=style,
        script=script,
        lead=_lead(sweep),
        answers=ask(sweep, question),
        question=question,
        asked=_asked(question, measure),
        measure=measure,
        evaluated=measure == TOP1,
        notes=notes(sweep),
        views=views,
        devices=list(dict.fromkeys(view.group.device for view in views if view.group.device)),
        variants=[plain(name) for name in sweep.grid.variants],
        precisions=list(sweep.grid.precisions),
        shapes=SHAPES,
        files=files,
        numbers={(file.variant, file.precision): file.index for file in files},
        left=[
            UnfinishedView(cell, device_name(cell), plain(cell.variant), failure_words(cell))
            for cell in unfinished(sweep.cells)
        ],
        words=lambda point: texts(point, measure).all,
        origin=_origin(sweep),
        data=inert(json.dumps(_data(views, measure), ensure_ascii=False, separators=(",", ":"), allow_nan=False)),
    )


def _lead(sweep: SweepRecord) -> str:
    grid, cells = sweep.grid, sweep.cells
    axes = {"variant": grid.variants, "precision": grid.precisions, "device": grid.devices}
    sides = " × ".join(f"{len(some)} {name if len(some) == 1 else f'{name}s'}" for name, some in axes.items() if some)
    counts = {status: sum(cell.status == status for cell in cells) for status in ("done", "failed", "waiting")}
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{sides or 'Nothing'}: {told or 'no cells'}."


def _asked(question: Question, measure: str) -> str:
    words = question_words(question.bounds, measure)
    place = f"on {question.device}" if question.device else "on each device"
    return f"Asked for {place}: {words}." if words else f"The front {place}: nothing more was asked for."


def _group_views(sweep: SweepRecord) -> list[GroupView]:
    views: list[GroupView] = []
    first = 0
    for group in groups(sweep):
        rows = group_rows(sweep, group)
        views.append(GroupView(group, plots(group, yardstick(sweep)), figures_of(rows), rows, first))
        first += len(rows)
    return views


def _column_names(views: list[GroupView]) -> str:
    """Return the rules that name each figure in the narrow layout: as attributes of its cells the names would be a
    seventh of the page.
    """
    rules = []
    for number, view in enumerate(views):
        for place, figure in enumerate(view.figures, start=FIRST_FIGURE):
            name = f"{figure.name}, {figure.source or view.group.provenance}"
            rules.append(f'#points-{number} td:nth-child({place})::before {{ content: "{name}"; }}')
    return "@media (max-width: 860px) {\n" + "\n".join(rules) + "\n}\n"


def _file_views(sweep: SweepRecord, run: Path, page: Path) -> list[FileView]:
    by_file: dict[tuple[str, str], list[CellRecord]] = {}
    for cell in sweep.cells:
        by_file.setdefault((plain(cell.variant), cell.precision), []).append(cell)
    return [_file_view(index, name, cells, run, page) for index, (name, cells) in enumerate(by_file.items())]


def _file_view(index: int, name: tuple[str, str], cells: list[CellRecord], run: Path, page: Path) -> FileView:
    left = [f"{cell.status} on {device_name(cell)}" if cell.device else cell.status for cell in unfinished(cells)]
    facts = [Linked(fact, link(fact.path, run, page)) for fact in file_facts(cells)]
    return FileView(index, *name, left, facts)


def _origin(sweep: SweepRecord) -> list[tuple[str, str]]:
    data, machine = sweep.data, sweep.machine
    evaluated = f"{data.images} images of {plain(data.place)}, labels by {plain(data.labels_by)}" if data else "none"
    place = f"{plain(machine.processor or machine.machine)}, {machine.cores} cores, {plain(machine.system)}"
    return [
        ("Images", evaluated),
        ("Converted on", place),
        ("Tools", ", ".join(f"{plain(name)} {plain(value)}" for name, value in sweep.tool_versions.items())),
    ]


def _data(views: list[GroupView], measure: str) -> dict[str, Any]:
    """Return what the page's script needs to answer other questions: the points' figures and words, and the scales."""
    return {
        "measure": measure,
        "groups": [_group_data(view) for view in views],
        "points": [
            _point_data(row.point, number, measure, row.wrong) for number, view in enumerate(views) for row in view.rows
        ],
    }


def _group_data(view: GroupView) -> dict[str, Any]:
    scales = {
        plot.kind: {name: [scale.low, scale.high, scale.logarithmic] for name, scale in (("x", plot.x), ("y", plot.y))}
        for plot in view.plots
    }
    group = view.group
    return {"device": group.device, "provenance": group.provenance, "title": group.title, "scales": scales}


def _point_data(point: Point, group: int, measure: str, wrong: bool) -> dict[str, Any]:
    words = texts(point, measure)
    accuracy, latency = point.accuracy, point.latency
    return {
        "group": group,
        "name": point.name,
        "remark": point.remark,
        "variant": point.variant,
        "precision": point.precision,
        "wrong": wrong,
        "accuracy": accuracy and [accuracy.value, accuracy.low, accuracy.high],
        "latency": latency and [latency.value, latency.low, latency.high],
        "size": None if point.size_bytes is None else [point.size_bytes] * 3,
        "words": {"accuracy": words.accuracy, "latency": words.latency, "size": words.size},
    }
