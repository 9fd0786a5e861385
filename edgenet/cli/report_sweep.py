"""What `edgenet report` does with a sweep, and how an answer about one is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet.cli.console import emit_json, next_command, say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.sweep.record import SweepRecord
    from benchmarks.sweep_report.answer import Answer, Question
    from benchmarks.sweep_report.choice import Bounds
    from benchmarks.sweep_report.points import Group, Point

INDENTED = ("why", "front")


@dataclass(frozen=True)
class Places:
    """Where to write: the page, and the tables that were asked for."""

    page: Path
    csv: Path | None
    markdown: Path | None


def report_sweep(file: Path, places: Places, device: str, bounds: Bounds, as_json: bool) -> None:
    """Write the page about the sweep in `file` and what else was asked for, and show the answer."""
    from benchmarks.sweep_report.answer import Question, ask
    from benchmarks.sweep_report.csv_file import csv_text
    from benchmarks.sweep_report.page import render_page
    from benchmarks.sweep_report.read import read_sweep
    from benchmarks.sweep_report.tables import markdown
    from edgenet.atomic import write_files

    sweep, question = read_sweep(file), Question(device, bounds)
    answers = ask(sweep, question)
    contents = {places.page: render_page(sweep, question, file.parent, places.page)}
    contents |= {places.csv: csv_text(sweep)} if places.csv else {}
    contents |= {places.markdown: markdown(sweep, answers)} if places.markdown else {}
    write_files({path: text.encode() for path, text in contents.items()})
    if as_json:
        written = {"report": places.page, "csv": places.csv, "markdown": places.markdown}
        told = {name: str(path) if path else None for name, path in written.items()}
        emit_json({**told, **answers_document(sweep, question, answers)})
    else:
        show_answers(sweep, answers)
        left = Counter(cell.status for cell in sweep.cells if cell.status != "done")
        if left:
            say(f"not done: {', '.join(f'{count} {status}' for status, count in left.items())}; the page says why")
    for words, path in (("lines for a spreadsheet", places.csv), ("Markdown", places.markdown)):
        if path:
            say(f"{words}: {path}")
    next_command(f"open {places.page} in a browser")


def show_answers(sweep: SweepRecord, answers: Sequence[Answer]) -> None:
    """Show what is said of each group, and what has to be known beside it."""
    from benchmarks.sweep_report.answer import notes

    for answer in answers:
        show(f"{answer.group.title}:")
        for line in answer.lines:
            show(f"{'    - ' if line.kind in INDENTED else '  '}{line.text}")
    for note in notes(sweep):
        say(f"note: {note}")


def answers_document(sweep: SweepRecord, question: Question, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the question and what is said of each group, as --json gives it."""
    from benchmarks.sweep_report.answer import notes
    from benchmarks.sweep_report.points import yardstick

    return {
        "question": {"device": question.device or None, **asdict(question.bounds)},
        "accuracy_is": yardstick(sweep),
        "notes": notes(sweep),
        "answers": [_answer_document(sweep, answer, question.bounds) for answer in answers],
        "cells": {
            status: sum(cell.status == status for cell in sweep.cells) for status in ("done", "failed", "waiting")
        },
    }


def _answer_document(sweep: SweepRecord, answer: Answer, bounds: Bounds) -> dict[str, Any]:
    from benchmarks.sweep_report.choice import choose

    group = answer.group
    choice = choose(group.points, bounds)
    asked = {"pick": choice.pick, "runner_up": choice.runner_up, "nearest": choice.nearest} if bounds.any else {}
    return {
        "device": group.device or None,
        "provenance": group.provenance,
        "words": [line.text for line in answer.lines],
        **{name: point and _point_document(sweep, group, point, bounds) for name, point in asked.items()},
        "front": [_point_document(sweep, group, point, bounds) for point in group.front],
    }


def _point_document(sweep: SweepRecord, group: Group, point: Point, bounds: Bounds) -> dict[str, Any]:
    from benchmarks.sweep_report.choice import hold

    cell = sweep.cells[point.cell]
    latency = None if point.setting is None else cell.latencies[point.setting]
    return {
        "variant": point.variant,
        "precision": point.precision,
        "file": cell.model.file if cell.model else None,
        "setting": latency.setting.model_dump(mode="json") if latency else None,
        "accuracy": point.accuracy and {**asdict(point.accuracy), "provenance": "measured"},
        "latency_s": point.latency and {**asdict(point.latency), "provenance": group.provenance},
        "size_bytes": point.size_bytes,
        "bounds": [
            {"of": row.kind, "missed_by": row.miss, "inside_interval": row.doubtful}
            for row in hold(point, bounds) or ()
        ],
    }
