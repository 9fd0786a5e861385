"""`edgenet sweep`: variants x precisions x devices, each cell once, however often it is interrupted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress
from edgenet.errors import GateFailed, InputError

if TYPE_CHECKING:
    from benchmarks.sweep.estimate import Estimate
    from benchmarks.sweep.grid import Grid
    from benchmarks.sweep.record import CellRecord, SweepRecord

GridFile = Annotated[
    Path | None, typer.Argument(metavar="SWEEP.toml", show_default=False, help="The grid, or give it by flags.")
]
Variants = Annotated[str, typer.Option("--variants", metavar="V,...", help="lite0,lite1,b0, ...")]
Precisions = Annotated[str, typer.Option("--precisions", metavar="P,...", help="Of fp32,fp16,w8,w8d,w8a8,w8a16.")]
Devices = Annotated[
    str, typer.Option("--devices", metavar="D,...", help="Addresses or names of the inventory; local is this machine.")
]
Data = Annotated[str, typer.Option("--data", metavar="DIR", help="Labelled images, as edgenet evaluate takes them.")]
Calib = Annotated[str, typer.Option("--calib", metavar="C", help="builtin, a folder of photos, or an .npz file.")]
WeightsFlag = Annotated[
    str,
    typer.Option("--weights", metavar="W", help="Of all: auto, packaged, imagenet, random, a file or a run."),
]
CheckFlag = Annotated[str, typer.Option("--check", metavar="T,...", help="Of edgetpu,xnnpack,gpu.")]
Protocol = Annotated[str, typer.Option("--protocol", metavar="P", help="quick, standard or mlperf.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The sweep's folder; the same one goes on.")]
Scheduler = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler: tcp://HOST:8786, with its workers.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the cells and estimate the time; run nothing.")]

CELLS = (
    Column("\nvariant"),
    Column("\nprecision"),
    Column("\ndevice"),
    Column("\nstatus"),
    Column("\nMB", numeric=True),
    Column("\ntop-1", numeric=True),
    Column("same as\nfloat", numeric=True),
    Column("median\nms", numeric=True),
    Column("95 %\ninterval", numeric=True),
)
PLANNED = (
    Column("variant"),
    Column("precision"),
    Column("device"),
    Column("recorded"),
    Column("to be run"),
    Column("estimated s", numeric=True),
)


def command(
    grid: GridFile = None, variants: Variants = "", precisions: Precisions = "", devices: Devices = "",
    data: Data = "", calib: Calib = "", weights: WeightsFlag = "", check: CheckFlag = "", protocol: Protocol = "",
    out: Out = Path("sweep"), scheduler: Scheduler = "", dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Convert, verify, check, benchmark and evaluate each variant at each precision on each device.

    What is recorded in the folder is not run again: an interrupted sweep goes on, a grown one runs what is new. A cell
    that fails is told, and the others go on.

    \b
    edgenet sweep sweep.toml --dry-run
    edgenet sweep --variants lite0,lite1,b0 --precisions fp32,w8a8 --devices local,pi4 --data photos
    edgenet report sweep --max-ms 30 --device pi4
    """
    chosen = _grid(grid, variants, precisions, devices, data, calib, weights, check, protocol)
    if dry_run:
        from benchmarks.sweep.estimate import estimate

        _show_plan(estimate(chosen, out), as_json)
        next_command(shlex.join(["edgenet", *(word for word in sys.argv[1:] if word != "--dry-run")]))
        return
    from benchmarks.sweep.run import Request, run_sweep

    with StepProgress() as report:
        result = run_sweep(Request(chosen, out, scheduler), report, say)
    if as_json:
        emit_json(result.model_dump(mode="json", exclude={"schema_version"}))
    else:
        _show(result)
    say(f"written: {out / 'sweep.json'}")
    failed = [cell for cell in result.cells if cell.status == "failed"]
    if failed:
        raise GateFailed(_failed(failed, len(result.cells)), mend="mend what they name, and run the sweep again")
    next_command(shlex.join(["edgenet", "report", str(out)]))


def _grid(path: Path | None, *flags: str) -> Grid:
    from benchmarks.sweep.grid import grid_of_values, read_grid

    names = ("variants", "precisions", "devices", "data", "calib", "weights", "check", "protocol")
    given = {name: text for name, text in zip(names, flags, strict=True) if text}
    if path is not None:
        if given:
            raise InputError(f"--{next(iter(given))} beside {path}", mend="say it in the file")
        return read_grid(path)
    if "variants" not in given:
        mend = "edgenet sweep --variants lite0,b0 --precisions fp32,w8a8 --devices local"
        raise InputError("no grid was given", allowed="SWEEP.toml, or --variants", mend=mend)
    values: dict[str, Any] = dict(given)
    for name in ("variants", "precisions", "devices", "check"):
        if name in values:
            values[name] = [word.strip() for word in values[name].split(",") if word.strip()]
    if "protocol" in values:
        values["benchmark"] = {"protocol": values.pop("protocol")}
    return grid_of_values(values)


def _show(result: SweepRecord) -> None:
    if result.data:
        show(f"{result.data.images} images of {result.data.place}: labels by {result.data.labels_by}")
    show_table(CELLS, [row for cell in result.cells for row in _rows(cell)])
    emulated = sorted({cell.device or "" for cell in result.cells for row in cell.latencies if _is_emulated(row)})
    if emulated:
        show(f"EMULATED: {', '.join(emulated)}: these times say nothing about real devices")


def _rows(cell: CellRecord) -> list[list[str]]:
    """Return a row a setting; what belongs to the file stands in each."""
    model, accuracy = cell.model, cell.accuracy
    same = accuracy.agreement.same_top1.fraction if accuracy and accuracy.agreement else None
    if same is None and model and model.verification:
        same = model.verification.agreement
    head = [
        cell.variant,
        cell.precision,
        cell.device or "–",
        cell.status,
        f"{model.size_bytes / 1e6:.2f}" if model else "–",
        f"{100 * accuracy.top1.fraction:.1f} %" if accuracy else "–",
        "–" if same is None else f"{100 * same:.1f} %",
    ]
    times = [
        [f"{1000 * row.median_s:.2f}", f"{1000 * row.low_s:.2f}–{1000 * row.high_s:.2f}"] for row in cell.latencies
    ]
    return [[*head, *time] for time in times or [["–", "–"]]]


def _is_emulated(row: Any) -> bool:
    return bool(row.provenance == "emulated")


def _failed(cells: list[CellRecord], total: int) -> str:
    first = cells[0]
    where = " ".join([first.variant, first.precision, *([first.device] if first.device else [])])
    return f"{len(cells)} of {total} cells failed; the first, {where}: {first.failures[0].message}"


def _show_plan(plan: Estimate, as_json: bool) -> None:
    if as_json:
        emit_json(plan.document())
        return
    rows = [
        [
            cell.variant,
            cell.precision,
            cell.device or "–",
            ", ".join(cell.recorded) or "–",
            ", ".join(cell.missing) or "nothing",
            f"{cell.duration_s:.0f}",
        ]
        for cell in plan.cells
    ]
    show_table(PLANNED, rows)
    show(f"estimated: {plan.elapsed_s / 60:.1f} min on {plan.workers} workers and the devices; {plan.basis}")
