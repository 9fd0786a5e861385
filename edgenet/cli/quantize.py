"""`edgenet quantize`: make a float .tflite file of any origin smaller, with the same evidence as `convert`."""

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
    Format,
    Fp16,
    Int8,
    InterpolationFlag,
    Io,
    Mean,
    OnnxCpuFlag,
    Opset,
    Ort,
    Out,
    Precisions,
    Samples,
    Seed,
    Std,
    Verify,
    chosen_formats,
    chosen_overrides,
)
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress
from edgenet.cli.repair_options import (
    MaxLatencyCost,
    MinAgreeFlag,
    RecipeFlag,
    RepairFlag,
    chosen_gate,
    chosen_recipe,
)
from edgenet.cli.written import show_written
from edgenet.errors import InputError
from edgenet.precision import MEANING

FilePath = Annotated[Path, typer.Argument(metavar="FILE.tflite", show_default=False, help="A float32 .tflite file.")]


def command(
    file: FilePath, int8: Int8 = False, fp16: Fp16 = False, dynamic: Dynamic = False, precision: Precisions = "",
    io: Io = "", calib: Calib = "builtin", samples: Samples = 200, seed: Seed = 0, mean: Mean = "", std: Std = "",
    crop: Crop = "", interpolation: InterpolationFlag = "", file_format: Format = "", opset: Opset = None,
    onnx_cpu: OnnxCpuFlag = "", ort: Ort = False, repair: RepairFlag = "", min_agree: MinAgreeFlag = None,
    max_latency_cost: MaxLatencyCost = None, recipe: RecipeFlag = None, out: Out = Path(), verify: Verify = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write a float .tflite file in other precisions, each with its manifest and golden vectors.

    A manifest beside the file says how it wants its pixels; otherwise it is taken to want raw pixels 0–255, or
    (pixels - mean) / std with --mean and --std, which then become part of the written files.

    \b
    edgenet quantize model.tflite --int8 --calib photos
    edgenet quantize model.tflite --int8 --calib photos --mean 127.5 --std 127.5
    """
    from converters import quantization
    from converters.onnx_file.options import chosen_files

    if not (int8 or fp16 or dynamic or precision):
        raise InputError("no precision was given", allowed="--int8, --fp16, --dynamic, --precision LIST")
    formats = chosen_formats(precision, int8=int8, fp16=fp16, dynamic=dynamic, io=io)
    if any(name == "fp32" for name, _ in formats):
        raise InputError("the file is fp32 already", allowed="fp16, w8, w8d, w8a8, w8a16")
    if not file.is_file():
        raise InputError(f"cannot read {file}: No such file or directory", allowed="a .tflite file")
    files = chosen_files(file_format, opset, onnx_cpu, ort, [name for name, _ in formats])
    for name, ends in formats:
        say(f"{file.name} {name}: {MEANING[name]}, {ends} ends")
    overrides = chosen_overrides(mean, std, crop, interpolation)
    gate = chosen_gate(repair, min_agree, max_latency_cost, formats, verify=verify)
    request = quantization.Request(
        file, formats, calib, samples, seed, overrides, files, gate, chosen_recipe(recipe, repair, formats)
    )
    with StepProgress() as report:
        artifacts = quantization.run(request, out, verify, ("edgenet", *sys.argv[1:]), report, say)
    show_written(artifacts, as_json)
