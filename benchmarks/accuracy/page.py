"""One HTML page about an evaluation, complete in itself: no request leaves it, and it has no script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass

from benchmarks.accuracy.record import BINNING, EvaluationRecord, FileRecord
from benchmarks.confusion import ClassRow, Pair, class_rows, confused_pairs
from benchmarks.page_template import TEMPLATES, page_template

PAGE_NAME = "evaluate.html"
STYLES = ("report.css", "confusion.css")


@dataclass(frozen=True)
class Section:
    """How one file did on each class of which there were images or which was an answer."""

    name: str
    rows: list[ClassRow]
    pairs: list[Pair]


def render_page(result: EvaluationRecord) -> str:
    """Return the page about an evaluation."""
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in STYLES)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return page_template("evaluation.html").render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=style,
        result=result,
        binning=BINNING,
        sections=[_section(row) for row in result.files],
        percent=lambda fraction: f"{100 * fraction:.1f}",
        facts=_facts(result),
    )


def _section(file: FileRecord) -> Section:
    places = {row.class_index: place for place, row in enumerate(file.classes)}
    labels = [row.label for row in file.classes]
    counts = {(places[label], places[given]): images for label, given, images in file.confusion}
    return Section(file.name, class_rows(labels, counts), confused_pairs(labels, counts))


def _facts(result: EvaluationRecord) -> list[tuple[str, str]]:
    data, machine = result.data, result.machine
    return [
        ("Images", f"{data.place} ({data.kind}), sha256 {data.sha256}"),
        ("Unreadable", f"{data.unreadable.count}, and {data.passed_over.count} passed over"),
        *((f"File {row.name}", f"sha256 {row.model.sha256}") for row in result.files),
        ("Machine", f"{machine.processor or machine.machine}, {machine.cores} cores, {machine.system}"),
        ("Time", f"{result.duration_s:.1f} s from {result.started_at}, {result.images_per_s:.1f} images/s"),
        ("Tools", ", ".join(f"{name} {version}" for name, version in result.tool_versions.items())),
        ("Command", " ".join(result.command)),
    ]
