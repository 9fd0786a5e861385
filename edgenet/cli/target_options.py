"""`convert --target edgetpu`: what goes with it, and whether the files that were written are what it promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.console import warn
from edgenet.errors import InputError
from edgenet.precision import IoType, Precision

if TYPE_CHECKING:
    from converters.conversion import Request
    from edgenet.artifact import Artifact
    from edgenet.manifest import CompilerTarget

TARGETS: dict[str, CompilerTarget] = {"edgetpu": "edgetpu"}
TargetFlag = Annotated[
    str,
    typer.Option("--target", metavar="NAME", help="edgetpu: a w8a8 file that its compiler maps whole, and the check."),
]


def chosen_target(
    name: str, formats: Sequence[tuple[Precision, IoType]], file_format: str, repair: str
) -> CompilerTarget | None:
    """Return the compiler that a w8a8 file is for, None without --target; raise InputError for what does not fit."""
    if not name:
        return None
    if name not in TARGETS:
        raise InputError(f"unknown --target {name!r}", allowed=", ".join(TARGETS))
    if file_format not in ("", "tflite"):
        raise InputError(f"--target {name} beside --format {file_format}", allowed="tflite", mend="drop one of them")
    if repair not in ("", name):
        what = f"--target {name} beside --repair {repair}, whose last rung leaves 8 bits"
        raise InputError(what, allowed=f"--repair {name}", mend=f"write --repair {name}")
    for precision, io in formats:
        if precision == "w8a8" and io != "float32":
            return TARGETS[name]
    given = ", ".join(f"{precision} with {io} ends" for precision, io in formats)
    raise InputError(f"--target {name} cannot take {given}", allowed="w8a8 with uint8 or int8 ends", mend="--int8")


def say_limits(request: Request) -> None:
    """Say what will hold a network back on its target, before anybody waits for it."""
    from converters.check.limits import limits
    from edgenet.layers import expand

    for line in limits(expand(request.variant)):  # the number of classes changes little
        warn(f"{request.variant.name} on an Edge TPU: {line}")


def unmapped(artifacts: Sequence[Artifact], say: Callable[[str], None]) -> str:
    """Say what is predicted of each file that is for a compiler; return what is wrong with one, "" = nothing."""
    from converters.check.check import check

    failed = []
    for artifact in artifacts:
        if artifact.manifest.target is None:
            continue
        report = check(artifact.path, artifact.manifest.target)
        count = f"{len(report.accelerated)} of {len(report.operators)} ops on {report.accelerator}"
        say(f"{artifact.path.name}: {count} (predicted)")
        if report.others:
            failed.append(f"{artifact.path.name}: {count}")
    return "; ".join(failed)
