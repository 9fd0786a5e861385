"""`edgenet convert`: from a variant and its weights to verified .tflite files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgenet.cli.console import say
from edgenet.cli.conversion_options import (
    Calib,
    Crop,
    Dynamic,
    Fp16,
    Int8,
    InterpolationFlag,
    Io,
    Mean,
    Out,
    Precisions,
    Samples,
    Seed,
    Std,
    Verify,
    chosen_formats,
    chosen_overrides,
)
from edgenet.cli.options import Classes, Json
from edgenet.cli.progress import StepProgress
from edgenet.cli.written import show_written
from edgenet.errors import InputError
from edgenet.precision import MEANING
from edgenet.variants import Variant, parse_variant

VariantFlag = Annotated[str, typer.Option("--variant", metavar="NAME", help="b0, lite0, v2-s, ...; see edgenet list.")]
WeightsFlag = Annotated[
    str,
    typer.Option("--weights", metavar="W", help="auto, packaged, imagenet, random, random:SEED, or a local file."),
]
FromFlag = Annotated[
    Path | None, typer.Option("--from", metavar="MANIFEST", help="Repeat the run of a .manifest.json.")
]


def command(
    variant: VariantFlag = "",
    int8: Int8 = False,
    fp16: Fp16 = False,
    dynamic: Dynamic = False,
    precision: Precisions = "",
    io: Io = "",
    weights: WeightsFlag = "",
    calib: Calib = "",
    samples: Samples = 200,
    seed: Seed = 0,
    classes: Classes = None,
    mean: Mean = "",
    std: Std = "",
    crop: Crop = "",
    interpolation: InterpolationFlag = "",
    repeat: FromFlag = None,
    out: Out = Path(),
    verify: Verify = True,
    as_json: Json = False,
) -> None:
    """Write a variant as .tflite files, one for each precision, each with its manifest and golden vectors.

    \b
    edgenet convert --variant lite0 --int8
    edgenet convert --variant b0 --precision fp32,fp16,w8a8 --calib photos --out b0
    edgenet convert --variant b0 --int8 --weights mine.safetensors
    edgenet convert --from lite0-w8a8.manifest.json --out again
    """
    from converters import conversion

    if repeat is not None:
        _refuse_beside_from(variant, precision, io, mean, std, crop, interpolation, int8 or fp16 or dynamic)
        request = conversion.request_of_manifest(repeat, weights, calib)
        if out.resolve() == repeat.parent.resolve():  # a repeat that differs would replace what it differs from
            raise InputError(f"--from would write over the run of {repeat}", mend="name another folder with --out")
    else:
        formats = chosen_formats(precision, int8=int8, fp16=fp16, dynamic=dynamic, io=io)
        request = conversion.Request(
            _variant(variant), formats, weights or "auto", calib or "builtin", samples, seed, classes or 0,
            chosen_overrides(mean, std, crop, interpolation),
        )  # fmt: skip
    for name, ends in request.formats:
        say(f"{request.variant.name} {name}: {MEANING[name]}, {ends} ends")
    with StepProgress() as report:
        artifacts = conversion.run(request, out, verify, ("edgenet", *sys.argv[1:]), report, say)
    conversion.compare_with_manifest(request.manifest, artifacts, say)
    show_written(artifacts, as_json)


def _variant(name: str) -> Variant:
    if not name:
        raise InputError("no variant was given", allowed="--variant NAME", mend="edgenet list shows them all")
    return parse_variant(name)


def _refuse_beside_from(*given: object) -> None:
    if any(given):
        raise InputError(
            "--from repeats a run as it was",
            allowed="--out, --weights, --calib, --json beside it",
            mend="drop the rest",
        )
