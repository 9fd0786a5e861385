"""The public functions of this room: what `edgenet convert`, `quantize`, `verify` and `diagnose` do, for Python."""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path

from converters import conversion, diagnosis, quantization, verification
from converters.diagnosis import Diagnosis
from converters.verification import Verified
from edgenet.artifact import Artifact
from edgenet.precision import IoType, Precision, parse_io, parse_precisions
from edgenet.progress import Report, silent
from edgenet.variants import parse_variant
from edgenet.weights.preprocessing_rules import PreprocessingOverrides

AnyPath = str | PathLike[str]


def convert(
    variant: str,
    precision: str = "fp32",
    *,
    io: str = "",
    weights: str = "auto",
    calib: str = "builtin",
    samples: int = conversion.DEFAULT_SAMPLES,
    seed: int = 0,
    num_classes: int = 0,
    preprocessing: PreprocessingOverrides | None = None,
    out: AnyPath = ".",
    verify: bool = True,
    report: Report = silent,
) -> list[Artifact]:
    """Write a variant in each of the comma-separated precisions, like `edgenet convert`; see its flags.

    Raise InputError for what cannot be accepted, MissingError for weights that cannot be had, GateFailed if a file does
    not compute its network. What the command line would warn of goes to stderr.
    """
    formats = _formats(precision, io)
    request = conversion.Request(
        parse_variant(variant), formats, weights, calib, samples, seed, num_classes, preprocessing
    )
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
    out: AnyPath = ".",
    verify: bool = True,
    report: Report = silent,
) -> list[Artifact]:
    """Write a float .tflite file in each of the comma-separated precisions, like `edgenet quantize`; see its flags.

    Raise InputError for a file, images or a folder that cannot be used.
    """
    overrides = preprocessing or PreprocessingOverrides()
    request = quantization.Request(Path(file), _formats(precision, io), calib, samples, seed, overrides)
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


def _formats(precision: str, io: str) -> tuple[tuple[Precision, IoType], ...]:
    return tuple((name, parse_io(io if name == "w8a8" else "", name)) for name in parse_precisions(precision))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
