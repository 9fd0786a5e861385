"""One conversion as it was asked for: load the weights, check the network, open the images, write the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.calibration_source import BUILTIN
from converters.compress.network import compressed_network
from converters.convert import float_network
from converters.foreign.read import read_again
from converters.job import Job
from converters.onnx_file.options import TFLITE_ONLY, FileChoice, files_of
from converters.probe import golden_images, open_images, procedural_probe
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe, recipe_of_text
from converters.write import needs_calibration, write_formats
from edgenet.artifact import Artifact, read_manifest
from edgenet.atomic import make_folder
from edgenet.compression import NOTHING, Compression
from edgenet.errors import GateFailed, InputError
from edgenet.labels import read_labels
from edgenet.manifest import CompilerTarget, Manifest
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import Preprocessing
from edgenet.progress import Report
from edgenet.variants import Variant, parse_variant
from edgenet.weights.load import load_weights
from edgenet.weights.preprocessing_rules import PreprocessingOverrides
from edgenet.weights.record import Weights

Say = Callable[[str], None]
DEFAULT_SAMPLES = 200


@dataclass(frozen=True)
class Request:
    """One conversion as the user asked for it."""

    variant: Variant
    formats: tuple[tuple[Precision, IoType], ...]
    weights: str
    calib: str
    samples: int = DEFAULT_SAMPLES
    seed: int = 0
    num_classes: int = 0
    overrides: PreprocessingOverrides | None = None
    manifest: Manifest | None = None  # of the run that is repeated
    files: FileChoice = TFLITE_ONLY
    model: Weights | None = None  # read already, from a model that was fine-tuned elsewhere
    repair: Gate | None = None
    recipe: Recipe | None = None
    target: CompilerTarget | None = None
    compression: Compression = NOTHING
    labels: str = ""  # a file of class names, or "imagenet"; "": those of the weights, where they tell


def request_of_manifest(path: Path, weights: str, calib: str) -> Request:
    """Return the request that repeats a manifest's run; `weights` and `calib` say where local files are now.

    Raise InputError for a manifest that cannot be read or whose weights were a local file that is not given.
    """
    manifest = read_manifest(path)
    source, record = manifest.weights.source, manifest.calibration
    if manifest.compilation:
        before = manifest.compilation.source_file
        mend = f"repeat {before} by its own manifest, and compile it again with edgenet compile"
        raise InputError(f"{path.name} is of a file that was compiled", mend=mend)
    if source == "model":
        raise InputError(
            f"{path.name} comes from edgenet quantize", mend="repeat that command; it stands in the manifest"
        )
    if source == "file" and not weights:
        raise InputError(f"the weights were the file {manifest.weights.origin}", mend="say where it is: --weights FILE")
    choice = f"random:{manifest.weights.origin.removeprefix('seed ')}" if source == "random" else source
    return Request(
        variant=parse_variant(manifest.variant),
        formats=((manifest.precision, manifest.io),),
        weights=weights or choice,
        calib=calib or (record.source if record else "builtin"),
        samples=record.wanted if record else DEFAULT_SAMPLES,
        seed=record.seed if record else 0,
        num_classes=manifest.weights.num_classes,
        manifest=manifest,
        files=files_of(manifest),
        recipe=recipe_of_text(manifest.recipe) if manifest.recipe else None,
        target=manifest.target,
        compression=manifest.to_compression(),
    )


def run(
    request: Request, out: Path, verify: bool, command: tuple[str, ...], report: Report, say: Say
) -> list[Artifact]:
    """Load the weights, check the network, write the files; `say` is told what must not wait for the end."""
    _refuse_together(request)
    make_folder(out)
    report("loading weights", 0, 1)
    weights = _weights(request, say)
    report("loading weights", 1, 1)
    say(f"weights: {weights.source}, {weights.origin}")
    if request.manifest:
        if weights.sha256 != request.manifest.weights.sha256:
            raise InputError(
                f"{weights.origin} is not the file of the manifest (sha256 differs)", mend="give that file"
            )
        weights = replace(
            weights, preprocessing=request.manifest.to_preprocessing(), labels=request.manifest.weights.labels
        )
    if request.labels:
        weights = replace(weights, labels=read_labels(request.labels, weights.num_classes))
    preprocessing = weights.preprocessing
    golden = golden_images(preprocessing)
    learned = weights.learned is not None
    if learned and request.compression:
        raise InputError(
            f"{request.compression.spelled} would change weights that were trained for their 8-bit steps",
            mend="train them so: edgenet train --qat with the same flags",
        )
    _refuse_needless_images(request, learned)
    job = job_for(
        request.formats, request.calib, request.samples, request.seed, preprocessing, out, verify, golden, command,
        request.files, learned=learned,
    )  # fmt: skip
    if request.compression:
        network = compressed_network(weights, request.compression, golden, report)
    else:
        network = float_network(weights, golden, report)
    job = replace(job, repair=request.repair, recipe=request.recipe, target=request.target)
    return write_formats(network, job, report, say)


def _refuse_together(request: Request) -> None:
    if request.compression and request.repair:
        raise InputError(
            f"a repair beside {request.compression.spelled} is held against a network that no rounding leads back to",
            mend="drop --repair, or fine-tune first: edgenet train",
        )
    if request.compression.qat:
        raise InputError("--qat is a way to train", mend="edgenet train --qat, then convert --from RUN --int8")


def _refuse_needless_images(request: Request, learned: bool) -> None:
    """Raise InputError for calibration images beside ranges that training learned."""
    precisions = [precision for precision, _ in request.formats]
    if learned and request.calib != BUILTIN and needs_calibration(precisions) and request.manifest is None:
        if needs_calibration(precisions, learned=True):
            return
        raise InputError(
            f"--calib {request.calib} beside a run of train --qat, which learned its ranges",
            mend="leave it out; edgenet verify FILE --data PHOTOS judges the file on photos",
        )


def _weights(request: Request, say: Say) -> Weights:
    if request.manifest and request.manifest.weights.whole_model:
        return read_again(Path(request.weights), request.manifest, say)
    if request.model is None:
        return load_weights(
            request.weights,
            request.variant,
            say=say,
            overrides=request.overrides,
            num_classes=request.num_classes,
            seed=request.seed,
        )
    if request.num_classes not in (0, request.model.num_classes):
        what = f"{request.model.origin} has {request.model.num_classes} classes, not {request.num_classes}"
        raise InputError(what, allowed=str(request.model.num_classes))
    return request.model


def job_for(
    formats: tuple[tuple[Precision, IoType], ...],
    calib: str,
    samples: int,
    seed: int,
    preprocessing: Preprocessing,
    out: Path,
    verify: bool,
    golden: Sequence[NDArray[np.uint8]],
    command: tuple[str, ...],
    files: FileChoice,
    *,
    learned: bool = False,
) -> Job:
    """Return the job with its images opened: calibration where a format needs it, and a probe apart from it."""
    if needs_calibration([precision for precision, _ in formats], learned=learned):
        calibration, probe = open_images(calib, preprocessing, samples, seed)
    else:
        calibration, probe = None, procedural_probe(preprocessing)
    return Job(formats, out, calibration, probe if verify else None, golden, command, files)


def compare_with_manifest(before: Manifest | None, artifacts: Sequence[Artifact], say: Say) -> None:
    """Say whether a repeated run gave the same bytes; raise GateFailed if it did not."""
    if before is None:
        return
    after = artifacts[0].manifest
    if before.sha256 == after.sha256:
        say(f"the same bytes as the manifest says: sha256 {after.sha256}")
        return
    raise GateFailed(f"{after.file} has other bytes than its manifest says", mend=_reason(before, after))


def _reason(before: Manifest, after: Manifest) -> str:
    old, new = before.calibration, after.calibration
    if old and new and old.pixels_sha256 != new.pixels_sha256:
        return "the calibration images are others than they were: give the old ones with --calib"
    changed = [
        f"{name} {version} -> {after.tool_versions.get(name, 'none')}"
        for name, version in before.tool_versions.items()
        if after.tool_versions.get(name) != version
    ]
    return f"tools changed: {', '.join(changed)}" if changed else "no tool changed; is it another machine?"
