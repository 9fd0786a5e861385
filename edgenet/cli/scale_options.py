"""The flags of `edgenet scale`, and which of them go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from edgenet.cli.options import whole_number
from edgenet.errors import InputError
from edgenet.variants import SCALED_BASES, ScaledBase

MOST_EPOCHS, LONGEST_MS = 10_000, 100_000.0

Search = Annotated[bool, typer.Option("--search", help="Search for coefficients on images of your own.")]
LatencyOn = Annotated[
    str,
    typer.Option(
        "--latency-on", metavar="D", help="Find the largest PHI for a device: local, ssh://[user@]host, adb, or a name."
    ),
]
Base = Annotated[str, typer.Option("--base", metavar="NAME", help=f"The variant at PHI 0: {', '.join(SCALED_BASES)}.")]
CoefficientsFlag = Annotated[
    Path | None,
    typer.Option("--coefficients", metavar="FILE", help="Of a search: its scaling.toml or its folder; the paper's."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Class folders, a folder with labels.csv, or TFRecord files."),
]
Budget = Annotated[
    int | None,
    typer.Option(
        "--budget",
        parser=whole_number("--budget", 1, MOST_EPOCHS),
        metavar="EPOCHS",
        help="Epochs that each candidate is trained for.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Folder of the search.")]
RecipeFlag = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="How candidates are trained, as train takes it.")
]
GridFlag = Annotated[
    Path | None, typer.Option("--grid", metavar="FILE", help="TOML with other values of alpha, beta and gamma.")
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", parser=whole_number("--seed", 0, 2**31 - 1), metavar="N", help="Of everything drawn; 0."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the search in --out where it stopped.")]
MaxMs = Annotated[
    str, typer.Option("--max-ms", metavar="MS", help="Longest median time of an inference, in milliseconds.")
]
PrecisionFlag = Annotated[
    str, typer.Option("--precision", metavar="P", help="Of the files that are measured: fp32 (default), w8a8, ...")
]
ProtocolFlag = Annotated[str, typer.Option("--protocol", metavar="NAME", help="quick (default), standard or mlperf.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", parser=whole_number("--threads", 1, 64), metavar="N", help="To measure with; 1."),
]


@dataclass(frozen=True)
class Mode:
    """One way of using the verb: what it is called, and its own flags with what was given for them."""

    name: str
    given: dict[str, object]


def refuse_other_modes(chosen: str, modes: tuple[Mode, ...]) -> None:
    """Raise InputError for a flag of another mode than the one that is `chosen` ("": none)."""
    own = next((mode.given for mode in modes if mode.name == chosen), {})
    for mode in modes:
        if mode.name != chosen:
            wrong = [flag for flag, value in mode.given.items() if value and flag not in own]
            if wrong:
                raise InputError(f"{wrong[0]} goes with {mode.name}", mend=f"add {mode.name}, or drop {wrong[0]}")


def chosen_base(text: str) -> ScaledBase:
    """Return the variant at phi 0; raise InputError."""
    if text not in SCALED_BASES:
        raise InputError(f"--base cannot be {text!r}", allowed=", ".join(SCALED_BASES))
    return SCALED_BASES[SCALED_BASES.index(text)]


def milliseconds(text: str) -> float:
    """Return a number of milliseconds in seconds; raise InputError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= LONGEST_MS:
        given = f"--max-ms cannot be {text!r}" if text else "no limit was given"
        raise InputError(given, allowed=f"milliseconds over 0, {LONGEST_MS:g} at most", mend="--max-ms 20")
    return value / 1e3
