"""`edgenet report`: a folder of results, or a sweep, as one page, and as a CSV file."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.cli.question_options import Device, MaxMb, MaxMs, MinTop1, given
from edgenet.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.table import SummaryRow

ResultsPath = Annotated[
    Path, typer.Argument(metavar="DIR", show_default=False, help="A folder of results, one result file, or a sweep.")
]
PagePath = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where to write the page; DIR/report.html unless given.")
]
MarkdownPath = Annotated[
    Path | None, typer.Option("--md", metavar="FILE", help="Of a sweep: write the answer and all figures as Markdown.")
]
CsvPath = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write one line a measurement, too.")]
SWEEP_NAME = "sweep.json"


def command(
    results: ResultsPath, out: PagePath = None, csv: CsvPath = None, md: MarkdownPath = None, device: Device = "",
    max_ms: MaxMs = "", min_top1: MinTop1 = "", max_mb: MaxMb = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Write one HTML page that holds all figures and needs no network.

    About benchmark results: summary, distributions, latency over time with temperature and frequency, time by op,
    devices and settings side by side. About a sweep: which file to take within bounds, the front of accuracy, latency
    and size on each device, and every cell.

    \b
    edgenet report results
    edgenet report sweep --device pi4 --max-ms 30 --min-top1 74
    """
    from benchmarks.sweep_report.read import sweep_file
    from edgenet.cli.report_sweep import Places, report_sweep

    page = out or (results if results.is_dir() else results.parent) / "report.html"
    _check_places((("--out", page), ("--csv", csv), ("--md", md)), results)
    flags = {"--device": device, "--max-ms": max_ms, "--min-top1": min_top1, "--max-mb": max_mb}
    swept = sweep_file(results)
    if swept:
        report_sweep(swept, Places(page, csv, md), device, given(max_ms, min_top1, max_mb), as_json)
        return
    alien = [flag for flag, value in {**flags, "--md": md}.items() if value]
    if alien:
        mend = "drop it, or name the folder that edgenet sweep wrote"
        raise InputError(f"{alien[0]} goes with a sweep, and {str(results)!r} is none", mend=mend)
    _report_results(results, page, csv, as_json)


def _report_results(results: Path, page: Path, csv: Path | None, as_json: bool) -> None:
    from benchmarks.page import write_page
    from benchmarks.read import read_results
    from benchmarks.table import summary_rows, write_csv

    records = [record for _, record in read_results(results)]
    rows = summary_rows(records)
    write_page(records, page)
    if csv:
        write_csv(rows, csv)
    if as_json:
        emit_json({"report": str(page), "csv": str(csv) if csv else None, **_document(rows)})
    else:
        _show(rows)
    if csv:
        say(f"lines for a spreadsheet: {csv}")
    next_command(f"open {page} in a browser")


def _check_places(places: Sequence[tuple[str, Path | None]], results: Path) -> None:
    """Refuse places where writing one file would destroy another."""
    given_places = [(flag, path) for flag, path in places if path]
    for (flag, path), (other, same) in combinations(given_places, 2):
        if path.resolve() == same.resolve():
            raise InputError(f"{flag} and {other} are both {str(path)!r}", mend="name two files")
    for _, path in given_places:
        if path.resolve() in (results.resolve(), (results / SWEEP_NAME).resolve()):
            raise InputError(f"{str(path)!r} is what is reported on", mend="name another file")


def _show(rows: Sequence[SummaryRow]) -> None:
    from benchmarks.table import SUMMARY_HEADERS, of_provenance, summary_cells

    columns = [Column(header, numeric) for header, numeric in SUMMARY_HEADERS]
    measured, emulated = of_provenance(rows, "measured"), of_provenance(rows, "emulated")
    if measured:
        show_table(columns, summary_cells(measured))
    if emulated:
        show()
        show("EMULATED devices: these times say nothing about real ones")
        show_table(columns, summary_cells(emulated))


def _document(rows: Sequence[SummaryRow]) -> dict[str, Any]:
    from benchmarks.table import of_provenance

    return {
        "measured": [_measurement(row) for row in of_provenance(rows, "measured")],
        "emulated": [_measurement(row) for row in of_provenance(rows, "emulated")],
    }


def _measurement(row: SummaryRow) -> dict[str, Any]:
    result, measurement = row.result, row.measurement
    return {
        "model": result.model.file,
        "device": result.device.name,
        "session": result.session.id,
        "setting": measurement.setting.model_dump(mode="json"),
        "statistics": measurement.statistics.model_dump(mode="json"),
        "images_per_s": measurement.images_per_s,
        "peak_rss_bytes": measurement.memory and measurement.memory.peak_rss_bytes,
        "golden": row.golden.lower(),
        "warnings": [warning.code for warning in result.warnings],
    }
