"""The options that `convert` and `quantize` share, and what they mean."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.options import whole_number
from edgenet.errors import InputError
from edgenet.precision import IoType, Precision, parse_io, parse_precisions

Int8 = Annotated[bool, typer.Option("--int8", help="Full integer, for w8a8.")]
Fp16 = Annotated[bool, typer.Option("--fp16", help="16-bit float weights.")]
Dynamic = Annotated[bool, typer.Option("--dynamic", help="8-bit weights, dynamic range, for w8d.")]
Precisions = Annotated[
    str, typer.Option("--precision", metavar="LIST", help="Any of fp32,fp16,w8,w8d,w8a8,w8a16, with commas.")
]
Io = Annotated[str, typer.Option("--io", metavar="TYPE", help="Ends of a w8a8 file: uint8 (default), int8, float32.")]
Calib = Annotated[
    str, typer.Option("--calib", metavar="SOURCE", help="Calibration images: DIR of photos, FILE.npz, or builtin.")
]
Samples = Annotated[
    int,
    typer.Option(
        "--samples", parser=whole_number("--samples", 16, 100_000), metavar="N", help="Calibration images at most."
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", parser=whole_number("--seed", 0, 2**32), metavar="N", help="Of what is drawn: images, random weights."
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the files that are written.")]
Labels = Annotated[
    str, typer.Option("--labels", metavar="FILE", help="Names of the classes, one a line in UTF-8; or imagenet.")
]
Verify = Annotated[bool, typer.Option("--verify/--no-verify", help="Hold each file against the float network.")]
Format = Annotated[
    str, typer.Option("--format", metavar="F", help="Files that are written: tflite (default), onnx, or both.")
]
Opset = Annotated[
    int | None,
    typer.Option("--opset", parser=whole_number("--opset", 13, 21), metavar="N", help="Of .onnx files, 13 to 21; 17."),
]
OnnxCpuFlag = Annotated[
    str,
    typer.Option(
        "--onnx-cpu", metavar="CPU", help="What an int8 .onnx is for: x86-vnni, x86-avx2, arm; this machine's."
    ),
]
Ort = Annotated[bool, typer.Option("--ort", help="Write an .ort file for phones beside each .onnx.")]
Mean = Annotated[
    str, typer.Option("--mean", metavar="M", help="Normalization mean, pixel units: 127 or 123.7,116.3,103.5.")
]
Std = Annotated[str, typer.Option("--std", metavar="S", help="Normalization std, pixel units: 128 or 58.4,57.1,57.4.")]
Crop = Annotated[str, typer.Option("--crop", metavar="F", help="Share of the shorter side that the centre crop keeps.")]
InterpolationFlag = Annotated[str, typer.Option("--interpolation", metavar="NAME", help="bicubic or bilinear.")]

if TYPE_CHECKING:
    from edgenet.preprocessing import Interpolation
    from edgenet.weights.preprocessing_rules import PreprocessingOverrides

EXPANSION: dict[str, Precision] = {"--int8": "w8a8", "--fp16": "fp16", "--dynamic": "w8d"}


def chosen_formats(
    text: str, *, int8: bool, fp16: bool, dynamic: bool, io: str
) -> tuple[tuple[Precision, IoType], ...]:
    """Return the precisions that were asked for, each with its ends; fp32 if none was; raise InputError."""
    flags = [EXPANSION[flag] for flag, given in zip(EXPANSION, (int8, fp16, dynamic), strict=True) if given]
    precisions = parse_precisions(",".join([text, *flags]) if text or flags else "fp32")
    if io and "w8a8" not in precisions:
        raise InputError(f"--io {io} has no file to apply to", allowed="with --int8 (w8a8)", mend="add --int8")
    return tuple((precision, parse_io(io if precision == "w8a8" else "", precision)) for precision in precisions)


def _numbers(flag: str, text: str) -> tuple[float, float, float] | None:
    """Return one number three times, or three numbers; "" is None; raise InputError for anything else."""
    if not text:
        return None
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not all(math.isfinite(value) for value in values):
        raise InputError(f"{flag} cannot be {text!r}", allowed="one number or three with commas, pixel units (0–255)")
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third


def _share(flag: str, text: str) -> float | None:
    """Return a number over 0 and at most 1; "" is None; raise InputError for anything else."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise InputError(f"{flag} cannot be {text!r}", allowed="a number over 0, at most 1")
    return value


def chosen_overrides(mean: str, std: str, crop: str, interpolation: str) -> PreprocessingOverrides:
    """Return what was set of the preprocessing by hand; raise InputError for what it cannot be."""
    from edgenet.weights.preprocessing_rules import PreprocessingOverrides

    filters: dict[str, Interpolation] = {"bicubic": "bicubic", "bilinear": "bilinear"}
    if interpolation and interpolation not in filters:
        raise InputError(f"--interpolation cannot be {interpolation!r}", allowed=", ".join(filters))
    return PreprocessingOverrides(
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        crop_fraction=_share("--crop", crop),
        interpolation=filters.get(interpolation),
    )
