"""The flags of `edgenet benchmark`, and their parsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from edgenet.errors import InputError

MOST_THREADS, MOST_PROCESSES, MOST_BATCH, MOST_CORE = 64, 64, 512, 1023
LONGEST_S = 86400.0


def whole_numbers(flag: str, low: int, high: int) -> Callable[[str], tuple[int, ...]]:
    """Return a parser of whole numbers with commas, each once; it raises InputError that names `flag`."""

    def parse(text: str) -> tuple[int, ...]:
        words = text.split(",")
        right = all(word.isascii() and word.isdecimal() and low <= int(word) <= high for word in words)
        if not right or len(set(words)) != len(words):
            allowed = f"whole numbers from {low} to {high} with commas between, each once"
            raise InputError(f"{flag} cannot be {text!r}", allowed=allowed)
        return tuple(int(word) for word in words)

    return parse


def seconds(flag: str, low: float) -> Callable[[str | float], float]:
    """Return a parser of seconds from `low` to a day; it raises InputError that names `flag`."""

    def parse(given: str | float) -> float:
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not low <= value <= LONGEST_S:
            raise InputError(f"{flag} cannot be {str(given)!r}", allowed=f"seconds from {low:g} to {LONGEST_S:g}")
        return value

    return parse


Models = Annotated[
    list[Path], typer.Argument(metavar="MODEL", show_default=False, help="Model files or folders of artifacts.")
]
DeviceFlag = Annotated[
    str,
    typer.Option("--device", metavar="D", help="local, ssh://[user@]host[:port], adb[:serial], or a device's name."),
]
ProtocolFlag = Annotated[
    str,
    typer.Option("--protocol", metavar="NAME", help="quick: 2 s; standard: 10 s, 100 runs; mlperf: 60 s, 1024 runs."),
]
Threads = Annotated[str, typer.Option("--threads", metavar="LIST", help="Numbers of threads, as 1,2,4.")]
Processes = Annotated[
    str, typer.Option("--processes", metavar="LIST", help="Processes side by side, for throughput, as 1,4.")
]
Batch = Annotated[str, typer.Option("--batch", metavar="LIST", help="Images at once, as 1,8.")]
Affinity = Annotated[
    str, typer.Option("--affinity", metavar="CORES", help="Cores to run on, as 2,3; any unless given.")
]
Delegate = Annotated[
    str,
    typer.Option(
        "--delegate",
        metavar="D",
        help="xnnpack, cpu (none), edgetpu, or a library on the device; xnnpack unless given.",
    ),
]
Cooldown = Annotated[
    float | None,
    typer.Option(
        "--cooldown", metavar="S", parser=seconds("--cooldown", 0.0), help="Pause before each setting; the protocol's."
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="S",
        parser=seconds("--timeout", 1.0),
        help="End what takes longer: a load, a block of runs.",
    ),
]
FixGovernor = Annotated[
    bool, typer.Option("--fix-governor", help="Set the governor to performance meanwhile; it is set back in any case.")
]
Binary = Annotated[
    str,
    typer.Option(
        "--binary", metavar="B", help="benchmark_model for Android without Python: a path or https://...#sha256=HEX."
    ),
]
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV too.")]
