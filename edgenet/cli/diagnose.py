"""`edgenet diagnose`: the layers that a quantized file loses its answers in, the worst first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.atomic import make_folder, write_files
from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress
from edgenet.cli.verify import OutPath, Reference, WeightsFlag
from edgenet.errors import InputError

if TYPE_CHECKING:
    from converters.diagnosis import Diagnosis, LayerDiagnosis
    from converters.diagnosis_tensors import TensorError
    from edgenet.artifact import Artifact

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Photos of the kind that the app will see.")]
Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="FILE.svg", help="Draw the error along the depth, too.")
]

LAYERS = (
    Column("\nlayer"),
    Column("share of\nall costs", numeric=True),
    Column("logits, its\nweights alone, dB", numeric=True),
    Column("logits, its\nactivations alone, dB", numeric=True),
    Column("error\nso far, dB", numeric=True),
)
TENSORS = (
    Column("\ntensor"),
    Column("error\nso far, dB", numeric=True),
    Column("logits, it\nalone, dB", numeric=True),
    Column("float range\nseen", numeric=True),
    Column("range of\nthe steps", numeric=True),
    Column("range\nused", numeric=True),
    Column("values\nclipped", numeric=True),
)
SHOWN_LAYERS = 20  # --json has them all


def command(
    out: OutPath,
    data: Data = None,
    reference: Reference = None,
    weights: WeightsFlag = "",
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Find the layers that a quantized file loses its answers in.

    Each layer in turn is rounded as the file rounds it, alone, in the float network: what that does to the logits is
    the layer's cost, told for its weights and for its activations. Beside it stands the error of every activation
    against float, and how its range fits what was seen. Without --data this is seen on procedural images.

    \b
    edgenet diagnose b0-w8a8.tflite --data photos --picture b0.svg
    """
    from converters import diagnosis, diagnosis_picture

    if picture:
        _check_place(picture)
    with StepProgress() as report:
        result = diagnosis.diagnose(out, data, reference, weights, report, say)
    if picture:
        write_files({picture: diagnosis_picture.draw(result).encode()})
    if as_json:
        emit_json({**result.document(), "picture": str(picture) if picture else None})
    else:
        _show(result)
    if picture:
        say(f"picture: {picture}")
    next_command(next_step(result.artifact))


def _check_place(picture: Path) -> None:
    """Refuse a place for the picture before minutes of work."""
    if picture.suffix.lower() != ".svg":
        raise InputError(f"--picture cannot be {str(picture)!r}", allowed="a name that ends in .svg")
    make_folder(picture.parent)


def _show(result: Diagnosis) -> None:
    share = result.agreement.agreement
    show(f"{result.artifact.path.name} on {result.images}")
    show(f"logit SQNR {_decibels(result.agreement.sqnr_db)} dB, same top-1 as float {100 * share.fraction:.1f} %")
    show(f"the costs of {len(result.layers)} layers, each alone, add up to {_decibels(result.added_sqnr_db)} dB")
    for note in result.notes:
        say(f"note: {note}")
    for row in result.skipped[:5]:
        say(f"skipped: {row.name}: {row.reason}")
    if len(result.skipped) > 5:
        say(f"skipped: {len(result.skipped) - 5} more")
    show()
    show_table(LAYERS, [_layer_cells(row) for row in result.layers[:SHOWN_LAYERS]])
    if len(result.layers) > SHOWN_LAYERS:
        show(f"{len(result.layers) - SHOWN_LAYERS} more with less cost: --json")
    rounded = [row for layer in result.layers for row in layer.tensors if row.name in result.tensors_sqnr_db]
    if rounded:
        show()
        show("the activations of the worst layers")
        show_table(TENSORS, [_tensor_cells(row, result.tensors_sqnr_db[row.name]) for row in rounded])


def _layer_cells(row: LayerDiagnosis) -> list[str]:
    return [
        row.name,
        f"{100 * row.cost_share:.1f} %",
        _decibels(row.weights_sqnr_db),
        _decibels(row.activations_sqnr_db),
        _decibels(row.output.sqnr_db),
    ]


def _tensor_cells(row: TensorError, alone_db: float) -> list[str]:
    assert row.low is not None
    assert row.high is not None
    return [
        row.name,
        _decibels(row.sqnr_db),
        _decibels(alone_db),
        f"{row.seen_low:.3g} to {row.seen_high:.3g}",
        f"{row.low:.3g} to {row.high:.3g}",
        f"{100 * (row.used_share or 0.0):.0f} %",
        f"{100 * (row.clipped_share or 0.0):.2f} %",
    ]


def _decibels(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if math.isfinite(value) else "equal"


def next_step(artifact: Artifact) -> str:
    """Return the command that would mend most: a repair, or ranges from photos where procedural images gave them."""
    manifest = artifact.manifest
    repairable = manifest.precision == "w8a8" and manifest.repair is None
    builtin = manifest.calibration is not None and manifest.calibration.kind == "builtin"
    if manifest.weights.source not in ("packaged", "imagenet") or not (repairable or builtin):
        return f"edgenet verify {artifact.path} --data PHOTOS"
    how = "--int8 --repair" if repairable else f"--precision {manifest.precision}"
    files = " --format onnx" if manifest.onnx else ""
    return f"edgenet convert --variant {manifest.variant} {how}{files} --calib PHOTOS"
