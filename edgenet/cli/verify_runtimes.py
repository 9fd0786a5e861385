"""`edgenet verify --runtimes`: one network through several runtimes, here and on devices, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.progress import StepProgress
from edgenet.cli.verify_cells import ACCURACY_FIGURES, accuracy_figures, interval
from edgenet.cli.written import decibels
from edgenet.errors import GateFailed, InputError

if TYPE_CHECKING:
    from converters.cross_runtime import Source
    from converters.cross_table import CrossRow, CrossTable

ROWS = (
    Column("\n#", numeric=True),
    Column("\nfile"),
    Column("\nruntime"),
    Column("same top-1\nas float", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("logit\nSQNR dB", numeric=True),
    Column("off the first\nof its precision", numeric=True),
)
PAIR_COLUMNS = 10  # of a block of the matrix: what 80 columns hold
GATE_MEND = "--json has all rows; a file that only one runtime runs badly needs that runtime updated, or other ops"


def run(
    source: Source, runtimes: str, devices: list[str], max_drop: float | None, min_agree: float | None, as_json: bool
) -> None:
    """Run everything, print it, and raise GateFailed for rows under a gate."""
    from benchmarks.runtimes import verify_runtimes
    from converters.cross_table import failures
    from converters.runtimes import parse_runtimes

    asked = parse_runtimes(runtimes)
    with StepProgress() as report:
        table = verify_runtimes(source, asked, devices, report, say)
    if max_drop is not None and not any(row.agreement and row.agreement.accuracy for row in table.rows):
        raise InputError("--max-drop needs labels", mend="add --labels CSV, or name the class folders by class index")
    failed = failures(table, max_drop, min_agree)
    if as_json:
        emit_json({**table.document(), "failures": failed})
    else:
        _show(table)
    if failed:
        raise GateFailed("; ".join(failed), mend=GATE_MEND)
    next_command(f"edgenet benchmark {source.out}")


def _show(table: CrossTable) -> None:
    show(f"{table.count} images: {table.images}")
    for host in dict.fromkeys(_host(row) for row in table.rows if row.version):
        show(host)
    for note in table.notes:
        say(f"note: {note}")
    for skipped in table.skipped[:5]:
        say(f"skipped: {skipped.name}: {skipped.reason}")
    show()
    show_table(ROWS, [_cells(number, row) for number, row in enumerate(table.rows, 1)])
    for number, row in enumerate(table.rows, 1):
        if row.reason:
            show(f"{number}: {row.reason}")
    if any(row.agreement and row.agreement.accuracy for row in table.rows):
        show()
        columns = (Column("\n#", numeric=True), Column("\nfile"), Column("\nruntime"), *ACCURACY_FIGURES)
        rows = [(number, row) for number, row in enumerate(table.rows, 1) if row.agreement]
        show_table(columns, [_accuracy_cells(number, row) for number, row in rows])
    if len(table.rows) > 1:
        show()
        show("same top-1 in pairs, by the rows' numbers, in %")
        _show_pairs(table)


def _host(row: CrossRow) -> str:
    _, _, device = row.runtime.partition(" @ ")
    return ", ".join(filter(None, (f"{device or 'here'}: {row.machine}", row.version, row.note)))


def _cells(number: int, row: CrossRow) -> list[str]:
    if row.agreement is None:
        return [str(number), row.file, row.runtime, "–", "–", "–", "–"]
    share = row.agreement.agreement
    return [
        str(number), row.file, row.runtime, f"{100 * share.fraction:.1f} %", interval(share), decibels(row.sqnr_db),
        _difference(row),
    ]  # fmt: skip


def _difference(row: CrossRow) -> str:
    if row.difference is None or row.against == f"{row.file} in {row.runtime}":
        return ""
    if row.unit == "steps":
        return f"{row.difference:.0f} step{'' if row.difference == 1 else 's'}"
    return "equal" if row.difference == 0 else f"{row.difference:.1e}"


def _accuracy_cells(number: int, row: CrossRow) -> list[str]:
    if row.agreement is None or row.agreement.accuracy is None:
        raise ValueError("an unlabelled result has no accuracy")
    return [str(number), row.file, row.runtime, *accuracy_figures(row.agreement.accuracy)]


def _show_pairs(table: CrossTable) -> None:
    """Show the lower half of the matrix, which is the same as the upper one, in blocks of columns."""
    count = len(table.rows)
    for begin in range(0, count - 1, PAIR_COLUMNS):
        if begin:
            show()
        numbers = range(begin, min(begin + PAIR_COLUMNS, count - 1))
        columns = [Column("#", numeric=True), *(Column(str(number + 1), numeric=True) for number in numbers)]
        rows = [
            [str(row + 1), *(_share(table.pairs[row][number]) if number < row else "" for number in numbers)]
            for row in range(begin + 1, count)
        ]
        show_table(columns, rows)


def _share(share: float | None) -> str:
    if share is None:
        return "–"
    return "100" if share == 1 else f"{100 * share:.1f}"
