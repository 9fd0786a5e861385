"""`edgenet check`: what an accelerator will take of a file, and why not the rest, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.atomic import make_folder, write_files
from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.cli.options import Json
from edgenet.errors import GateFailed, InputError

if TYPE_CHECKING:
    from converters.check.compiled import Package
    from converters.check.estimate import Estimate
    from converters.check.memory import MemoryPlan
    from converters.check.report import CheckReport, OperatorReport

GATES = ("cpu-ops", "streamed")
MIB = 2**20
SHOWN = 12  # --json has them all
LONGEST_LAYER = 40

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", show_default=False, help="A .tflite file, or its folder.")]
TargetName = Annotated[str, typer.Option("--target", metavar="NAME", help="edgetpu, xnnpack or gpu.")]
FailOn = Annotated[
    str,
    typer.Option("--fail-on", metavar="GATES", help="Exit with 1 on: cpu-ops (or a doubt), streamed (parameters)."),
]
Picture = Annotated[Path | None, typer.Option("--picture", metavar="FILE.svg", help="Draw where each op runs.")]

OPERATORS = (
    Column("op", numeric=True),
    Column("operator"),
    Column("layer"),
    Column("where"),
    Column("why"),
)
LATENCIES = (
    Column("estimated for"),
    Column("ms", numeric=True),
    Column("overhead", numeric=True),
    Column("compute", numeric=True),
    Column("bus", numeric=True),
    Column("CPU", numeric=True),
    Column("median error", numeric=True),
)
PROGRAMS = (
    Column("program"),
    Column("instructions, B", numeric=True),
    Column("parameters, B", numeric=True),
    Column("activations, B", numeric=True),
    Column("token"),
)


def command(
    model: ModelPath,
    target: TargetName = "edgetpu",
    fail_on: FailOn = "",
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Hold each op of a .tflite file against the published rules of an accelerator; nothing is compiled or run.

    \b
    edgenet check lite0-w8a8.tflite --target edgetpu --fail-on cpu-ops --picture parts.svg
    """
    from converters.check.check import check
    from converters.check.picture import draw

    gates = parse_gates(fail_on, GATES)
    if picture:
        _check_place(picture)
    path = only_model(model)
    report = check(path, target)
    if picture:
        write_files({picture: draw(report).encode()})
    if as_json:
        emit_json({**report.document(), "picture": str(picture) if picture else None})
    else:
        show_report(report)
    if picture:
        say(f"picture: {picture}")
    failed = _failed(report, gates)
    if failed:
        raise GateFailed(f"{report.file}: {'; '.join(failed)}", mend=_first_mend(report))
    next_command(_next(path, report))


def only_model(path: Path) -> Path:
    """Return a file, or the only .tflite file of a folder; raise InputError."""
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.tflite"))
    if len(found) != 1:
        names = ", ".join(row.name for row in found) or "none"
        raise InputError(f"{path} holds {len(found)} .tflite files: {names}", allowed="one", mend="name the file")
    return found[0]


def parse_gates(text: str, allowed: Sequence[str]) -> list[str]:
    """Return the gates that --fail-on names; raise InputError for one that is none."""
    gates = [word.strip() for word in text.split(",") if word.strip()]
    for gate in gates:
        if gate not in allowed:
            raise InputError(f"unknown --fail-on {gate!r}", allowed=", ".join(allowed))
    return gates


def _check_place(picture: Path) -> None:
    if picture.suffix.lower() != ".svg":
        raise InputError(f"--picture cannot be {str(picture)!r}", allowed="a name that ends in .svg")
    make_folder(picture.parent)


def show_report(report: CheckReport) -> None:
    """Print what a check found."""
    show(f"{report.file} on {report.title}")
    show(summary(report))
    for package in report.packages:
        _show_package(package)
    if report.memory and report.accelerated:
        show(_memory(report.memory))
    for refusal in report.refusals:
        warn(f"the compiler refuses the whole file: {refusal}")
    for warning in report.warnings:
        warn(warning)
    if report.others:
        _show_others(report)
    if report.estimates:
        show()
        show_table(LATENCIES, [_latency_cells(row) for row in report.estimates])


def summary(report: CheckReport) -> str:
    """Return how many ops run where, in one line."""
    counts = [f"{len(report.accelerated)} of {len(report.operators)} ops on {report.accelerator}"]
    if report.uncertain:
        counts.append(f"{len(report.uncertain)} may be unmapped")
    on_cpu = len(report.others) - len(report.uncertain)
    counts.append(f"{on_cpu} on the CPU")
    parts = f"{report.parts} part{'s' if report.parts != 1 else ''}"
    return f"{', '.join(counts)}; {parts}"


def _memory(memory: MemoryPlan) -> str:
    streamed = (
        f"{memory.streamed_parameter_bytes / MIB:.2f} MiB of them streamed with every inference"
        if memory.streamed_parameter_bytes
        else "all cached on the chip"
    )
    return (
        f"parameters {memory.parameter_bytes / MIB:.2f} MiB, {streamed}; "
        f"activations {memory.peak_activation_bytes / MIB:.2f} MiB at most; "
        f"memory {memory.on_chip_bytes / MIB:g} MiB (estimated)"
    )


def _show_package(package: Package) -> None:
    show(
        f"op {package.operator} is compiled: {package.size_bytes / MIB:.2f} MiB, compiler {package.compiler}, "
        f"runtime {package.minimum_runtime} or newer"
    )
    show_table(
        PROGRAMS,
        [
            [row.kind, f"{row.instruction_bytes:,}", f"{row.parameter_bytes:,}", f"{row.scratch_bytes:,}",
             f"{row.token:016x}"]
            for row in package.executables
        ],
    )  # fmt: skip


def _show_others(report: CheckReport) -> None:
    deciding = [row for row in report.others if row.own]
    shown = deciding[:SHOWN]
    show()
    show_table(OPERATORS, [_operator_cells(row) for row in shown])
    if len(deciding) > SHOWN:
        show(f"{len(deciding) - SHOWN} more: --json")
    behind = len(report.others) - len(deciding)
    if behind:
        show(f"{behind} more follow{'s' if behind == 1 else ''}: what is behind one of these goes where it goes")
    for mend in dict.fromkeys(row.mend for row in deciding if row.mend):
        say(f"mend: {mend}")


def _operator_cells(row: OperatorReport) -> list[str]:
    layer = row.layer.partition(";")[0]  # TensorFlow joins the names of all that it fused
    short = layer if len(layer) <= LONGEST_LAYER else f"...{layer[-LONGEST_LAYER:]}"
    return [str(row.index), row.name, short, row.place.words, row.reason]


def _latency_cells(row: Estimate) -> list[str]:
    parts = (row.latency_s, row.overhead_s, row.compute_s, row.bus_s, row.cpu_s)
    return [row.title, *(f"{1000 * part:.1f}" for part in parts), f"{100 * row.median_error:.0f} %"]


def _failed(report: CheckReport, gates: list[str]) -> list[str]:
    """Return what the gates that were asked for find: a doubt fails as well, since nothing vouches for it."""
    failed = []
    if "cpu-ops" in gates and report.others:
        failed.append(f"{len(report.others)} of {len(report.operators)} ops run on the CPU or may do so")
    if "streamed" in gates and report.streamed_bytes:
        failed.append(f"{report.streamed_bytes / MIB:.2f} MiB of parameters are streamed with every inference")
    return failed


def _first_mend(report: CheckReport) -> str:
    return next((row.mend for row in report.others if row.mend), "--json tells why of each")


def _next(model: Path, report: CheckReport) -> str:
    if report.packages:
        return f"edgenet benchmark {model} --delegate edgetpu"
    return f"edgenet verify {model} --data PHOTOS"
