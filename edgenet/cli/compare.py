"""`edgenet compare`: is one benchmark result faster or slower than another, beyond noise?"""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.cli.options import Json
from edgenet.errors import GateFailed, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.compare import Comparison
    from benchmarks.result import BenchmarkRecord, WarningRecord

Inputs = dict[str, tuple[Path, "BenchmarkRecord"]]

APath = Annotated[
    Path, typer.Argument(metavar="A", show_default=False, help="A result file, or a folder that holds one.")
]
BPath = Annotated[Path, typer.Argument(metavar="B", show_default=False, help="The result that is judged against A.")]
FailIfSlower = Annotated[
    float | None,
    typer.Option(
        "--fail-if-slower", metavar="R", help="Exit with 1 if B takes more than R times as long, or noise hides it."
    ),
]

COLUMNS = (
    Column("\nsetting"),
    Column("A\nmedian ms", numeric=True),
    Column("B\nmedian ms", numeric=True),
    Column("\nB / A", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("\nof"),
    Column("\nB is"),
)
GATE_MEND = "if it is noise, measure longer (--protocol mlperf), both files in one session: edgenet benchmark A B"


def command(a: APath, b: BPath, fail_if_slower: FailIfSlower = None, as_json: Json = False) -> None:
    """Compare two results of one device: the ratio of their latencies in each setting that both have, with its
    interval, and whether B is faster or slower, or no difference is shown.

    Results of one session (edgenet benchmark A B) are compared turn by turn, which is much the sharper way.

    \b
    edgenet compare a.benchmark.json b.benchmark.json --fail-if-slower 1.05
    """
    from benchmarks.compare import compare, failures

    if fail_if_slower is not None and not 1 < fail_if_slower <= 100:
        raise InputError(f"--fail-if-slower cannot be {fail_if_slower:g}", allowed="a ratio over 1, up to 100")
    inputs: Inputs = {"A": _only_result(a), "B": _only_result(b)}
    comparisons = compare(inputs["A"][1], inputs["B"][1])
    failed = failures(comparisons, fail_if_slower) if fail_if_slower is not None else []
    if as_json:
        emit_json(_document(inputs, comparisons, failed))
    else:
        _show(inputs, comparisons)
    if failed:
        raise GateFailed("; ".join(f"B: {reason}" for reason in failed), mend=GATE_MEND)
    next_command(shlex.join(["edgenet", "report", str(inputs["B"][0].parent)]))


def _only_result(path: Path) -> tuple[Path, BenchmarkRecord]:
    from benchmarks.read import read_results

    found = read_results(path)
    if len(found) > 1:
        names = ", ".join(row.name for row, _ in found[:3]) + ", ..." * (len(found) > 3)
        raise InputError(f"{path} holds {len(found)} results: {names}", allowed="one result", mend="name a file of it")
    return found[0]


def _document(inputs: Inputs, comparisons: Sequence[Comparison], failed: list[str]) -> dict[str, Any]:
    return {
        "kind": "comparison",
        **{name.lower(): _input(path, result) for name, (path, result) in inputs.items()},
        "comparisons": [{**asdict(row), "setting": row.setting.model_dump(mode="json")} for row in comparisons],
        "failures": failed,
    }


def _input(path: Path, result: BenchmarkRecord) -> dict[str, Any]:
    return {
        "path": str(path),
        "model": result.model.file,
        "model_sha256": result.model.sha256,
        "device": result.device.name,
        "provenance": result.provenance,
        "session_id": result.session.id,
        "started_at": result.session.started_at,
        "warnings": [warning.code for warning in result.warnings],
    }


def _show(inputs: Inputs, comparisons: Sequence[Comparison]) -> None:
    from benchmarks.table import decimals, plain

    for name, (_, result) in inputs.items():
        emulated = ", EMULATED" if result.provenance == "emulated" else ""
        where = f"{plain(result.device.name)}, {plain(result.session.started_at)}{emulated}"
        show(f"{name}: {plain(result.model.file)} on {where}")
    show()
    digits = decimals([1e3 * min(row.a_median_s, row.b_median_s) for row in comparisons])
    show_table(COLUMNS, [_cells(row, digits) for row in comparisons])
    for note in dict.fromkeys(note for row in comparisons for note in row.notes):
        say(f"note: {plain(note)}")
    found: dict[WarningRecord, list[str]] = {}
    for name, (_, result) in inputs.items():
        for warning in result.warnings:
            found.setdefault(warning, []).append(name)
    for warning, names in found.items():
        warn(f"{' and '.join(names)}: {plain(warning.message)}; {plain(warning.mend)}")


def _cells(row: Comparison, digits: int) -> list[str]:
    from benchmarks.table import setting_text

    return [
        setting_text(row.setting),
        f"{1e3 * row.a_median_s:,.{digits}f}",
        f"{1e3 * row.b_median_s:,.{digits}f}",
        f"{row.ratio:.3f}",
        f"{row.low:.3f}–{row.high:.3f}",
        row.basis,
        row.verdict,
    ]
