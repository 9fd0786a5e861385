"""The flags of a question about a sweep or a device, `--max-ms` and its like, and what they mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.errors import InputError

if TYPE_CHECKING:
    from benchmarks.sweep_report.choice import Bounds

Device = Annotated[str, typer.Option("--device", metavar="D", help="Of a sweep: the device that is asked about.")]
MaxMs = Annotated[str, typer.Option("--max-ms", metavar="MS", help="Longest median latency, in milliseconds.")]
MinTop1 = Annotated[str, typer.Option("--min-top1", metavar="P", help="Lowest top-1, in percent.")]
MaxMb = Annotated[str, typer.Option("--max-mb", metavar="MB", help="Largest file, in millions of bytes.")]


def given(max_ms: str, min_top1: str, max_mb: str) -> Bounds:
    """Return the bounds that these flags ask for; "" asks for nothing; raise InputError for what cannot be one."""
    from benchmarks.sweep_report.choice import Bounds

    milliseconds = _number("--max-ms", max_ms, "milliseconds over 0", "--max-ms 30")
    percent = _number("--min-top1", min_top1, "percent from 0 to 100", "--min-top1 74", 0, 100)
    megabytes = _number("--max-mb", max_mb, "megabytes over 0", "--max-mb 8")
    return Bounds(
        None if milliseconds is None else milliseconds / 1000,
        None if percent is None else percent / 100,
        None if megabytes is None else round(megabytes * 1e6),
    )


def _number(flag: str, text: str, allowed: str, mend: str, low: float = 1e-6, high: float = 1e9) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:  # no NaN is
        raise InputError(f"{flag} cannot be {text!r}", allowed=allowed, mend=mend)
    return number
