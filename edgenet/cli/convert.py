"""`edgenet convert`: from a variant and its weights to verified .tflite files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.compressed import Measured, report_compression
from edgenet.cli.compression_options import ClusterFlag, DataFlag, PruneFlag, chosen_compression
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
    Labels,
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
from edgenet.cli.options import Classes, Json
from edgenet.cli.progress import StepProgress
from edgenet.cli.repair_options import (
    MaxLatencyCost,
    MinAgreeFlag,
    RecipeFlag,
    RepairFlag,
    chosen_gate,
    chosen_recipe,
)
from edgenet.cli.target_options import TargetFlag, chosen_target, say_limits, unmapped
from edgenet.cli.written import show_written
from edgenet.errors import GateFailed, InputError
from edgenet.named_variant import named_variant
from edgenet.precision import MEANING
from edgenet.variants import Variant

if TYPE_CHECKING:
    from converters.conversion import Request
    from edgenet.weights.preprocessing_rules import PreprocessingOverrides
    from edgenet.weights.record import Weights

VariantFlag = Annotated[str, typer.Option("--variant", metavar="NAME", help="b0, lite0, v2-s, ...; see edgenet list.")]
WeightsFlag = Annotated[
    str,
    typer.Option(
        "--weights", metavar="W", help="auto, packaged, imagenet, random, random:SEED, a file, or a training run."
    ),
]
FromFlag = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="A .manifest.json to repeat, a run of edgenet train, or a .keras, .h5, .onnx file or SavedModel.",
    ),
]


def command(
    variant: VariantFlag = "", int8: Int8 = False, fp16: Fp16 = False, dynamic: Dynamic = False,
    precision: Precisions = "", io: Io = "", weights: WeightsFlag = "", calib: Calib = "", samples: Samples = 200,
    seed: Seed = 0, classes: Classes = None, mean: Mean = "", std: Std = "", crop: Crop = "",
    interpolation: InterpolationFlag = "", repeat: FromFlag = None, file_format: Format = "", opset: Opset = None,
    onnx_cpu: OnnxCpuFlag = "", ort: Ort = False, repair: RepairFlag = "", min_agree: MinAgreeFlag = None,
    max_latency_cost: MaxLatencyCost = None, recipe: RecipeFlag = None, target: TargetFlag = "", labels: Labels = "",
    out: Out = Path(), prune: PruneFlag = "", cluster: ClusterFlag = "", data: DataFlag = None, verify: Verify = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write a variant as .tflite or .onnx files, one for each precision, each with its manifest and golden vectors.

    \b
    edgenet convert --variant lite0 --int8
    edgenet convert --variant b0 --precision fp32,fp16,w8a8 --calib photos --out b0
    edgenet convert --variant b0 --int8 --weights mine.safetensors --calib photos --repair
    edgenet convert --variant lite0 --int8 --target edgetpu
    edgenet convert --variant lite0 --int8 --prune channels:0.3
    edgenet convert --from lite0-w8a8.manifest.json --out again
    edgenet convert --from mine.keras --int8 --calib photos
    """
    from converters import conversion
    from converters.onnx_file.options import chosen_files

    if repeat is not None and repeat.suffix == ".json":
        _refuse_beside_from(
            variant, precision, io, mean, std, crop, interpolation, int8 or fp16 or dynamic,
            file_format, opset, onnx_cpu, ort, repair, min_agree, max_latency_cost, recipe, target, prune, cluster,
            data, labels,
        )  # fmt: skip
        _run(_repeated(repeat, out, weights, calib), out, verify, as_json, None)
        return
    formats = chosen_formats(precision, int8=int8, fp16=fp16, dynamic=dynamic, io=io)
    overrides = chosen_overrides(mean, std, crop, interpolation)
    files = chosen_files(file_format, opset, onnx_cpu, ort, [name for name, _ in formats])
    gate = chosen_gate(repair, min_agree, max_latency_cost, formats, verify=verify)
    by_hand = chosen_recipe(recipe, repair, formats)
    built_for = chosen_target(target, formats, file_format, repair)
    compression = chosen_compression(prune, cluster, data, verified=verify, may_be_trained=repeat is not None)
    model = _model(repeat, variant, weights, overrides) if repeat is not None else None  # after all that is quick
    request = conversion.Request(
        model.variant if model else _variant(variant), formats, weights or "auto", calib or "builtin", samples, seed,
        classes or 0, overrides, files=files, model=model, repair=gate, recipe=by_hand, target=built_for,
        compression=compression, labels=labels,
    )  # fmt: skip
    _run(request, out, verify, as_json, Measured(data, str(repeat or weights)) if verify else None)


def _repeated(manifest: Path, out: Path, weights: str, calib: str) -> Request:
    from converters import conversion

    request = conversion.request_of_manifest(manifest, weights, calib)
    if out.resolve() == manifest.parent.resolve():  # a repeat that differs would replace what it differs from
        raise InputError(f"--from would write over the run of {manifest}", mend="name another folder with --out")
    return request


def _run(request: Request, out: Path, verify: bool, as_json: bool, measured: Measured | None) -> None:
    from converters import conversion

    for name, ends in request.formats:
        say(f"{request.variant.name} {name}: {MEANING[name]}, {ends} ends")
    if request.target:
        say_limits(request)
    with StepProgress() as report:
        artifacts = conversion.run(request, out, verify, ("edgenet", *sys.argv[1:]), report, say)
    conversion.compare_with_manifest(request.manifest, artifacts, say)
    failed = unmapped(artifacts, say)
    show_written(artifacts, as_json, report_compression(request, artifacts, measured) if measured else [])
    if failed:
        raise GateFailed(failed, mend=f"edgenet check {artifacts[0].path.parent}/FILE tells which ops, and why")


def _model(path: Path, variant: str, weights: str, overrides: PreprocessingOverrides) -> Weights:
    """Return what a run of edgenet train, or a model that was fine-tuned elsewhere, holds."""
    from converters.foreign.read import read_model
    from edgenet.weights.load import load_weights
    from edgenet.weights.run_folder import is_run, run_weights

    if weights:
        raise InputError(f"--weights {weights} beside --from {path}", allowed="one of them", mend="drop --weights")
    if is_run(path):
        found = _variant(variant) if variant else run_weights(path).variant
        return load_weights(str(path), found, say=say, overrides=overrides)
    return read_model(path, _variant(variant) if variant else None, overrides, say)


def _variant(name: str) -> Variant:
    if not name:
        raise InputError("no variant was given", allowed="--variant NAME", mend="edgenet list shows them all")
    return named_variant(name)


def _refuse_beside_from(*given: object) -> None:
    if any(given):
        raise InputError(
            "--from repeats a run as it was",
            allowed="--out, --weights, --calib, --json beside it",
            mend="drop the rest",
        )
