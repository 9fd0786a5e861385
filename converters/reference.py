"""Find the float network that an artifact was made from, to hold it against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from converters import flatbuffer
from converters.compress.network import narrowed
from converters.compress.weights import compress
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.float_source import side_of, written_anew
from converters.foreign.read import read_again
from converters.screen import read_screened
from edgenet.artifact import MANIFEST_SUFFIX, Artifact, find_artifacts, marks, sha256, stem
from edgenet.compression import NOTHING, Compression
from edgenet.errors import EdgenetError, InputError
from edgenet.manifest import Manifest
from edgenet.moments import input_moments
from edgenet.variants import parse_variant
from edgenet.weights.load import load_weights
from edgenet.weights.record import Weights

MEND = "give its weights (--weights FILE) or the float file (--reference FILE.tflite), or write fp32 beside it"


def float_reference(artifact: Artifact, given: Path | None, weights: str, say: Callable[[str], None]) -> bytes:
    """Return the float file that an artifact answers to, before any compression; it takes raw pixels.

    First the file that is given, then an fp32 artifact of the same weights in the same folder, then the network written
    anew from its weights, which are `weights` if they were a local file. Raise InputError if none can be had.
    """
    if given is not None:
        content = read_screened(given)
        if side_of(content, given.name) != artifact.manifest.side_px:
            raise InputError(f"{given.name} has another input side than {artifact.path.name}", mend=MEND)
        if sha256(content) == artifact.manifest.weights.sha256:  # what `edgenet quantize` read, as it was
            return written_anew(content, artifact.manifest.to_preprocessing())
        return content
    record = artifact.manifest.compression
    name = record.uncompressed if record and record.uncompressed else _float_stem(artifact.manifest)
    sibling = _sibling(artifact, name, NOTHING)
    return sibling if sibling is not None else _write(_weights(artifact, weights, say))


def compressed_reference(artifact: Artifact, given: Path | None, weights: str, say: Callable[[str], None]) -> bytes:
    """Return the float file whose rounding an artifact is: as `float_reference`, with what compression it has."""
    compression = artifact.manifest.to_compression()
    if given is not None or not compression:
        return float_reference(artifact, given, weights, say)
    sibling = _sibling(artifact, _float_stem(artifact.manifest), compression)
    if sibling is not None:
        return sibling
    narrow = narrowed(_weights(artifact, weights, say), compression)
    return compress(_write(narrow), compression, input_moments(narrow.architecture(), narrow))


def _float_stem(manifest: Manifest) -> str:
    told = marks(manifest.to_compression(), manifest.weights.widths)
    return stem(manifest.variant, "fp32", manifest.weights.source, told)


def _sibling(artifact: Artifact, name: str, compression: Compression) -> bytes | None:
    """Return the fp32 file of this stem beside an artifact, if it is of the same weights and preprocessing."""
    manifest = artifact.manifest
    path = artifact.path.with_name(name + MANIFEST_SUFFIX)  # the .tflite file's
    if not path.exists():
        return None
    other = find_artifacts(path)[0]
    same = (
        other.manifest.weights.sha256 == manifest.weights.sha256
        and other.manifest.to_preprocessing() == manifest.to_preprocessing()
        and other.manifest.to_compression() == compression
    )
    return read_screened(other.path) if same else None


def _weights(artifact: Artifact, given: str, say: Callable[[str], None]) -> Weights:
    """Return the weights that an artifact was made from, before any compression; raise InputError."""
    manifest = artifact.manifest
    source = manifest.weights.source
    if source == "model" or (source == "file" and not given):
        raise InputError(
            f"{artifact.path.name} was made from {manifest.weights.origin}, which is not at hand", mend=MEND
        )
    if source == "file":
        choice = given
    else:
        choice = f"random:{manifest.weights.origin.removeprefix('seed ')}" if source == "random" else source
    variant = parse_variant(manifest.variant)
    try:
        if manifest.weights.whole_model:
            weights = read_again(Path(choice), manifest, say)
        else:
            weights = load_weights(choice, variant, say=say, num_classes=manifest.weights.num_classes)
    except EdgenetError as error:
        raise InputError(f"the weights of {artifact.path.name} cannot be had: {error.what}", mend=MEND) from error
    if weights.sha256 != manifest.weights.sha256:
        raise InputError(f"{weights.origin} has other weights than {artifact.path.name}", mend=MEND)
    return replace(weights, preprocessing=manifest.to_preprocessing())


def _write(weights: Weights) -> bytes:
    return flatbuffer.write(build_float(weights.architecture(), weights, FLOAT_ENTRY))
