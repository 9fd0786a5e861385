"""`edgenet report`: a folder of results as one page, and as a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.table import SummaryRow

ResultsPath = Annotated[
    Path, typer.Argument(metavar="DIR", show_default=False, help="A folder of results, or one result file.")
]
PagePath = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where to write the page; DIR/report.html unless given.")
]
CsvPath = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write one line a measurement, too.")]


def command(results: ResultsPath, out: PagePath = None, csv: CsvPath = None, as_json: Json = False) -> None:
    """Write one HTML page about benchmark results: summary, distributions, latency over time with temperature and
    frequency, time by op, devices and settings side by side. The page holds the results and needs no network.

    \b
    edgenet report results
    """
    from benchmarks.page import write_page
    from benchmarks.read import read_results
    from benchmarks.table import summary_rows, write_csv

    page = out or (results if results.is_dir() else results.parent) / "report.html"
    _check_places(page, csv, results)
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


def _check_places(page: Path, csv: Path | None, results: Path) -> None:
    """Refuse places where writing one file would destroy another."""
    if csv and csv.resolve() == page.resolve():
        raise InputError(f"--out and --csv are both {str(page)!r}", mend="name two files")
    for path in (page, csv):
        if path and path.resolve() == results.resolve():
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
