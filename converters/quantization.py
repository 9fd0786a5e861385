"""One quantization as it was asked for: read the file safely, learn how it wants its pixels, write the files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from converters.conversion import Say, job_for
from converters.float_source import float_source, side_of
from converters.job import FloatNetwork
from converters.onnx_file.options import TFLITE_ONLY, FileChoice
from converters.probe import golden_images
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe
from converters.screen import read_screened
from converters.write import write_formats
from edgenet.artifact import MANIFEST_SUFFIX, Artifact, beside, find_artifacts, stem
from edgenet.atomic import make_folder
from edgenet.errors import InputError
from edgenet.manifest import CompressionRecord, Manifest
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import Preprocessing
from edgenet.progress import Report
from edgenet.weights.preprocessing_rules import PreprocessingOverrides, apply_overrides, describe

# What a file without a manifest is taken to want, unless the user says otherwise; the side is the file's own.
UNKNOWN = Preprocessing(1, "resize_then_crop", 0.875, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Request:
    """One quantization as the user asked for it."""

    file: Path
    formats: tuple[tuple[Precision, IoType], ...]
    calib: str
    samples: int
    seed: int
    overrides: PreprocessingOverrides
    files: FileChoice = TFLITE_ONLY
    repair: Gate | None = None
    recipe: Recipe | None = None


def run(
    request: Request, out: Path, verify: bool, command: tuple[str, ...], report: Report, say: Say
) -> list[Artifact]:
    """Read the file in a child process first, then write it in the precisions that were asked for."""
    make_folder(out)
    report("reading the file", 0, 1)
    content = read_screened(request.file)
    report("reading the file", 1, 1)
    network = _network(request, content, say)
    preprocessing = network.preprocessing
    golden = golden_images(preprocessing)
    job = job_for(
        request.formats, request.calib, request.samples, request.seed, preprocessing, out, verify, golden, command,
        request.files,
    )  # fmt: skip
    _refuse_overwriting(request.file, network, job.formats, out)
    return write_formats(network, replace(job, repair=request.repair, recipe=request.recipe), report, say)


def _network(request: Request, content: bytes, say: Say) -> FloatNetwork:
    name, given = request.file.name, request.overrides
    manifest = _manifest_beside(request.file)
    if manifest:
        if given.mean or given.std:
            raise InputError(f"{name} takes raw pixels, as its manifest says", mend="leave out --mean and --std")
        if manifest.precision != "fp32":
            raise InputError(f"{name} is {manifest.precision}", allowed="fp32", mend="quantize the fp32 file")
        record, _ = apply_overrides(manifest.to_preprocessing(), given)
        network = float_source(content, manifest.variant, manifest.weights, record, raw_pixels=True)
        return _with_compression(network, manifest.compression)
    if (given.mean is None) != (given.std is None):
        raise InputError("--mean and --std go together", mend="give both, in pixel units (0–255)")
    record, _ = apply_overrides(replace(UNKNOWN, side_px=side_of(content, name)), given)
    taken = "raw pixels 0–255" if given.mean is None else f"(pixels - {record.mean}) / {record.std}"
    say(f"no manifest beside {name}: it is taken to want {taken}; photos: {describe(record)}")
    return float_source(content, request.file.stem, None, record, raw_pixels=given.mean is None)


def _with_compression(network: FloatNetwork, record: CompressionRecord | None) -> FloatNetwork:
    """Return a network that tells what was done to it before its float file was written."""
    if record is None:
        return network
    return replace(
        network,
        compression=record.to_compression(),
        macs_share=record.macs_share,
        uncompressed=record.uncompressed,
    )


def _manifest_beside(file: Path) -> Manifest | None:
    return find_artifacts(file)[0].manifest if beside(file, MANIFEST_SUFFIX).exists() else None


def _refuse_overwriting(
    file: Path, network: FloatNetwork, formats: tuple[tuple[Precision, IoType], ...], out: Path
) -> None:
    for precision, _ in formats:
        target = out / f"{stem(network.variant, precision, network.weights.source, network.marks)}.tflite"
        if target.exists() and target.samefile(file):
            raise InputError(f"{target} is the file that is read", mend="name another folder with --out")
