"""The options of the repair ladder and of recipes, which `convert` and `quantize` share, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.errors import InputError
from edgenet.precision import IoType, Precision

if TYPE_CHECKING:
    from converters.repair.gate import Gate
    from converters.repair.recipe import Recipe

TARGETS = ("cpu", "npu", "edgetpu")
MIN_AGREE, MAX_LATENCY_COST = 0.98, 1.15
RepairFlag = Annotated[
    str,
    typer.Option(
        "--repair",
        metavar="[TARGET]",
        help="Bring the w8a8 file closer to float, rung by rung, for a cpu (default), an npu or an edgetpu.",
    ),
]
MinAgreeFlag = Annotated[
    float | None,
    typer.Option(
        "--min-agree",
        metavar="F",
        help=f"Where --repair may stop: share of equal top-1 classes, 0 to 1; {MIN_AGREE:g}.",
    ),
]
MaxLatencyCost = Annotated[
    float | None,
    typer.Option(
        "--max-latency-cost",
        metavar="X",
        help=f"What --repair may cost: times the plain w8a8 file; {MAX_LATENCY_COST:g}.",
    ),
]
RecipeFlag = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="Make the w8a8 file by this recipe (.toml).")
]


def with_repair_target(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which `--repair` without a target has the first one: options need a value."""
    words = list(arguments)
    for index, word in enumerate(words):
        if word == "--repair" and (index + 1 == len(words) or words[index + 1] not in TARGETS):
            words[index] = f"--repair={TARGETS[0]}"
    return words


def chosen_gate(
    target: str,
    min_agree: float | None,
    max_latency_cost: float | None,
    formats: Sequence[tuple[Precision, IoType]],
    *,
    verify: bool,
) -> Gate | None:
    """Return the gate that was asked for, None without --repair; raise InputError for what does not go together."""
    from converters.repair.gate import parse_gate

    if not target:
        for flag, value in (("--min-agree", min_agree), ("--max-latency-cost", max_latency_cost)):
            if value is not None:
                raise InputError(f"{flag} {value:g} without a repair", mend="add --repair")
        return None
    _need_w8a8("--repair", formats)
    if not verify:
        raise InputError("--repair judges every file, --no-verify none", mend="drop one of them")
    return parse_gate(
        target,
        MIN_AGREE if min_agree is None else min_agree,
        MAX_LATENCY_COST if max_latency_cost is None else max_latency_cost,
    )


def chosen_recipe(path: Path | None, target: str, formats: Sequence[tuple[Precision, IoType]]) -> Recipe | None:
    """Return the recipe that was named, None without one; raise InputError for one that cannot be read."""
    from converters.repair.recipe import read_recipe

    if path is None:
        return None
    if target:
        raise InputError("--repair finds a recipe, --recipe names one", mend="drop one of them")
    _need_w8a8("--recipe", formats)
    return read_recipe(path)


def _need_w8a8(flag: str, formats: Sequence[tuple[Precision, IoType]]) -> None:
    if all(precision != "w8a8" for precision, _ in formats):
        given = ", ".join(precision for precision, _ in formats)
        raise InputError(f"{flag} has no file to work on among {given}", allowed="w8a8", mend="add --int8")
