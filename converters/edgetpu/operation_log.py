"""The operation log that the Edge TPU compiler writes beside each file: a table of operators, counts and statuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from converters.edgetpu.log import lines
from edgenet.errors import GateFailed

MAPPED = "Mapped to Edge TPU"
HEADER = ["Operator", "Count", "Status"]
ROW = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63}) +(\d{1,6}) +(\S.{0,199})", re.ASCII)
LIMIT_ROWS = 2_000


@dataclass(frozen=True)
class Status:
    """So many ops of one kind that share a status."""

    operator: str
    count: int
    text: str

    @property
    def mapped(self) -> bool:
        """Whether these ops run on the chip."""
        return self.text == MAPPED


def parse_operation_log(content: bytes, name: str) -> tuple[Status, ...]:
    """Return the rows of an operation log; raise GateFailed for a file that holds no such table."""
    rows = lines(content)
    starts = [index for index, line in enumerate(rows) if line.split() == HEADER]
    if not starts:
        raise GateFailed(f"{name} is no operation log: its table is missing", mend="see what the compiler printed")
    table = [line for line in rows[starts[-1] + 1 :] if line]
    if len(table) > LIMIT_ROWS:
        raise GateFailed(f"{name} has {len(table)} rows", allowed=f"at most {LIMIT_ROWS}")
    return tuple(_row(line, name) for line in table)


def _row(line: str, name: str) -> Status:
    found = ROW.fullmatch(line)
    if not found:
        raise GateFailed(f"{name} has a row that is none: {line[:80]!r}", allowed="operator, count, status")
    return Status(found[1], int(found[2]), found[3])
