"""What every verb prints with: results on stdout, everything about the work on stderr.

With `--json` stdout holds exactly one JSON document. rich is imported only where a table is drawn.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA_VERSION = 1
# A pipe has no width: tables keep their natural one there instead of being cut to 80 columns.
PIPE_COLUMNS = 1000


@dataclass(frozen=True)
class Column:
    """A table's column; `header` may have two lines."""

    header: str
    numeric: bool = False


def emit_json(document: Mapping[str, object]) -> None:
    """Write `document` with its `schema_version` to stdout; numbers that JSON lacks (NaN, infinity) are a bug."""
    print(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, allow_nan=False))


def show(text: str = "") -> None:
    """Print one line of a result to stdout."""
    print(text)


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    # Two blanks between columns (one is the box's own): a table of 80 columns has to hold layer names.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.header, justify="right" if column.numeric else "left", vertical="bottom", overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    console = _stdout_console()
    # Written by print, not by rich: rich ends the process itself when the reader of a pipe has gone.
    with console.capture() as drawn:
        console.print(table)
    print(drawn.get(), end="")


def _stdout_console() -> "Console":
    from rich.console import Console

    fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(file=sys.stdout, width=None if fixed else PIPE_COLUMNS, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print one line about the work to stderr, behind what stdout has been given so far."""
    sys.stdout.flush()
    print(text, file=sys.stderr)


def warn(text: str) -> None:
    """Print one line that must not be overlooked to stderr."""
    say(f"warning: {text}")


def next_command(command: str) -> None:
    """Print the command that a user would run next; the last line of every verb."""
    say(f"next: {command}")
