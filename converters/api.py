"""The public functions of this room: what `edgenet convert`, `quantize`, `verify` and `diagnose` do, for Python."""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path

from converters import conversion, diagnosis, quantization, verification
from converters.diagnosis import Diagnosis
from converters.foreign.read import read_model
from converters.onnx_file.options import FileChoice, OnnxOptions, checked_files, chosen_files
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe, read_recipe
from converters.verification import Verified
from edgenet.artifact import Artifact
from edgenet.compression import parse_compression
from edgenet.errors import InputError
from edgenet.named_variant import named_variant
from edgenet.precision import IoType, Precision, parse_io, parse_precisions
from edgenet.progress import Report, silent
from edgenet.weights.preprocessing_rules import PreprocessingOverrides
from edgenet.weights.record import Weights

AnyPath = str | PathLike[str]
Formats = tuple[tuple[Precision, IoType], ...]


def convert(
    variant: str = "",
    precision: str = "fp32",
    *,
    source: AnyPath | None = None,
    io: str = "",
    weights: str = "auto",
    calib: str = "builtin",
    samples: int = conversion.DEFAULT_SAMPLES,
    seed: int = 0,
    num_classes: int = 0,
    preprocessing: PreprocessingOverrides | None = None,
    format: str = "tflite",
    onnx: OnnxOptions | None = None,
    repair: Gate | None = None,
    recipe: AnyPath | None = None,
    prune: str = "",
    clusters: int = 0,
    out: AnyPath = ".",
    verify: bool = True,
    report: Report = silent,
) -> list[Artifact]:
    """Write a variant in each of the comma-separated precisions, like `edgenet convert`; see its flags.

    `source` is a model that was fine-tuned elsewhere (.keras, .h5, .onnx, SavedModel); then `variant` may be left out.
    `repair` climbs the ladder for the w8a8 file to its gate; whether it got there stands in the manifest. `recipe` is
    the .toml file of one. `prune` and `clusters` make the network smaller first, as `--prune` and `--cluster` do.
    Raise InputError for what cannot be accepted, MissingError for weights that cannot be had, GateFailed if a file does
    not compute its network. What the command line would warn of goes to stderr.
    """
    formats = _formats(precision, io)
    files = _files(format, onnx, formats)
    model = None if source is None else _model(Path(source), variant, weights, preprocessing)
    request = conversion.Request(
        model.variant if model else named_variant(variant), formats, weights, calib, samples, seed, num_classes,
        preprocessing, files=files, model=model, repair=repair, recipe=_recipe(recipe),
        compression=parse_compression(prune, clusters),
    )  # fmt: skip
    return conversion.run(request, Path(out), verify, ("edgenet.convert",), report, _say)


def quantize(
    file: AnyPath,
    precision: str = "w8a8",
    *,
    io: str = "",
    calib: str = "builtin",
    samples: int = conversion.DEFAULT_SAMPLES,
    seed: int = 0,
    preprocessing: PreprocessingOverrides | None = None,
    format: str = "tflite",
    onnx: OnnxOptions | None = None,
    repair: Gate | None = None,
    recipe: AnyPath | None = None,
    out: AnyPath = ".",
    verify: bool = True,
    report: Report = silent,
) -> list[Artifact]:
    """Write a float .tflite file in each of the comma-separated precisions, like `edgenet quantize`; see its flags.

    `repair` and `recipe` are those of `convert`.
    Raise InputError for a file, images or a folder that cannot be used.
    """
    overrides = preprocessing or PreprocessingOverrides()
    formats = _formats(precision, io)
    files = _files(format, onnx, formats)
    request = quantization.Request(Path(file), formats, calib, samples, seed, overrides, files, repair, _recipe(recipe))
    return quantization.run(request, Path(out), verify, ("edgenet.quantize",), report, _say)


def verify(
    out: AnyPath,
    data: AnyPath | None = None,
    *,
    labels: AnyPath | None = None,
    reference: AnyPath | None = None,
    weights: str = "",
    report: Report = silent,
) -> Verified:
    """Hold the artifacts at `out` against their float network, on procedural images or the photos of `data`.

    Gates are the caller's: `converters.verification.failures`. Raise InputError for what cannot be read.
    """
    paths = [None if path is None else Path(path) for path in (data, labels, reference)]
    return verification.verify(Path(out), paths[0], paths[1], paths[2], weights, report, _say)


def diagnose(
    out: AnyPath,
    data: AnyPath | None = None,
    *,
    reference: AnyPath | None = None,
    weights: str = "",
    report: Report = silent,
) -> Diagnosis:
    """Rank the layers of the quantized artifact at `out` by what their rounding costs the logits.

    Raise InputError for what cannot be read, or rounds nothing.
    """
    paths = [None if path is None else Path(path) for path in (data, reference)]
    return diagnosis.diagnose(Path(out), paths[0], paths[1], weights, report, _say)


def _formats(precision: str, io: str) -> Formats:
    return tuple((name, parse_io(io if name == "w8a8" else "", name)) for name in parse_precisions(precision))


def _model(path: Path, variant: str, weights: str, preprocessing: PreprocessingOverrides | None) -> Weights:
    if weights != "auto":
        raise InputError(f"weights {weights!r} beside a model, which holds its own", mend="give one of them")
    return read_model(path, named_variant(variant) if variant else None, preprocessing, _say)


def _files(name: str, onnx: OnnxOptions | None, formats: Formats) -> FileChoice:
    precisions = [precision for precision, _ in formats]
    choice = chosen_files(name, None, "", False, precisions)
    return choice if onnx is None else checked_files(FileChoice(choice.formats, onnx), precisions)


def _recipe(path: AnyPath | None) -> Recipe | None:
    return None if path is None else read_recipe(Path(path))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
