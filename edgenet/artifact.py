"""An artifact: a model file, its manifest and its golden vectors, side by side.

`lite0-w8a8.tflite` has `lite0-w8a8.manifest.json`, `lite0-w8a8.onnx` has `lite0-w8a8.onnx.manifest.json`: one folder
holds both.
"""

import hashlib
import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgenet.atomic import write_files
from edgenet.compression import Compression
from edgenet.errors import InputError
from edgenet.manifest import Manifest, parse_manifest
from edgenet.precision import Precision

# What numpy and zipfile raise for a damaged .npz file.
DAMAGED = (
    OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error,
    tokenize.TokenError,
)  # fmt: skip
MODEL_SUFFIX, ONNX_SUFFIX, MANIFEST_SUFFIX, GOLDEN_SUFFIX = ".tflite", ".onnx", ".manifest.json", ".golden.npz"
FileFormat = Literal["tflite", "onnx"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)


@dataclass(frozen=True)
class Golden:
    """Inputs with the outputs that the file must give for them.

    `pixels` [N, side, side, 3] uint8, `logits` [N, classes] of the file itself and `float_logits` of the float network,
    both as real numbers.
    """

    pixels: NDArray[np.uint8]
    logits: NDArray[np.float32]
    float_logits: NDArray[np.float32]


@dataclass(frozen=True)
class Artifact:
    """A model file on disk with what stands beside it."""

    path: Path
    manifest: Manifest


def stem(variant: str, precision: Precision, source: str, marks: Sequence[str] = ()) -> str:
    """Return the file stem; what was done to the network stands in it, and that its weights are random."""
    return "-".join([variant, precision, *marks, *(["random"] if source == "random" else [])])


def marks(compression: Compression, widths: Mapping[str, int]) -> tuple[str, ...]:
    """Return what a file's name tells of its network: shrunk (channels are gone), pruned, clustered."""
    pruned = compression.pruning is not None and not compression.cuts_channels
    told = {"shrunk": bool(widths), "pruned": pruned, "clustered": bool(compression.clusters)}
    return tuple(word for word, is_so in told.items() if is_so)


def beside(path: Path, suffix: str) -> Path:
    """Return the path of what belongs to a model file: its manifest, its golden vectors."""
    return path.with_name((path.name if path.suffix == ONNX_SUFFIX else path.stem) + suffix)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hex."""
    return hashlib.sha256(content).hexdigest()


def pack_golden(golden: Golden) -> bytes:
    """Return golden vectors as the bytes of an .npz file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, pixels=golden.pixels, logits=golden.logits, float_logits=golden.float_logits)
    return stream.getvalue()


def write_artifact(
    folder: Path, content: bytes, golden: Golden, manifest: Manifest, more: Mapping[str, bytes] | None = None
) -> Artifact:
    """Write a model file, its golden vectors, its manifest and `more` files by name, all or none; raise InputError."""
    path = folder / manifest.file
    document = manifest.model_dump_json(indent=2) + "\n"
    write_files({
        path: content,
        **{folder / name: other for name, other in (more or {}).items()},
        folder / manifest.golden: pack_golden(golden),
        beside(path, MANIFEST_SUFFIX): document.encode(),
    })  # fmt: skip
    return Artifact(path, manifest)


def read_golden(artifact: Artifact) -> Golden:
    """Read the golden vectors beside an artifact; raise InputError if they are missing or damaged."""
    path = artifact.path.with_name(artifact.manifest.golden)
    try:
        content = io.BytesIO(path.read_bytes())
        if not zipfile.is_zipfile(content):
            raise ValueError("not an .npz file")
        content.seek(0)
        with np.load(content, allow_pickle=False) as arrays:
            # A member that is no array comes as bytes.
            golden = Golden(*(np.asarray(arrays[name]) for name in ("pixels", "logits", "float_logits")))
    except DAMAGED as error:
        raise InputError(f"cannot read the golden vectors {path.name}: {error}", mend="convert again") from error
    _check_golden(golden, artifact.manifest.side_px, path.name)
    return golden


def _check_golden(golden: Golden, side_px: int, name: str) -> None:
    pixels, answers = golden.pixels, (golden.logits, golden.float_logits)
    right = pixels.dtype == np.uint8 and pixels.shape[1:] == (side_px, side_px, 3) and pixels.size > 0
    for logits in answers:
        right = right and logits.dtype == np.float32 and logits.ndim == 2 and len(logits) == len(pixels)
        right = right and bool(np.isfinite(logits).all())
    if not right:
        allowed = f"pixels uint8 [N, {side_px}, {side_px}, 3], logits and float_logits float32 [N, classes]"
        raise InputError(f"{name} holds no golden vectors", allowed=allowed, mend="convert again")


def find_artifacts(path: Path) -> list[Artifact]:
    """Return the artifact of a model file, or all artifacts of a folder, sorted by name.

    Raise InputError for a path that does not exist, a model without a manifest, or a file that was changed after its
    manifest was written.
    """
    if path.is_dir():
        manifests = sorted(path.glob(f"*{MANIFEST_SUFFIX}"))
        if not manifests:
            raise InputError(f"no artifact in {path}", allowed="a folder that edgenet convert wrote", mend="see --out")
        return [_read(manifest) for manifest in manifests]
    if not path.exists():
        allowed = "a .tflite or .onnx file, or its folder"
        raise InputError(f"{path} does not exist", allowed=allowed, mend="edgenet convert first")
    if path.name.endswith(MANIFEST_SUFFIX):
        return [_read(path)]
    if path.suffix not in (MODEL_SUFFIX, ONNX_SUFFIX):  # an .ort file, of which the .tflite beside it has the stem
        allowed = "a .tflite or .onnx file, or its folder"
        raise InputError(f"{path} has no manifest of its own", allowed=allowed, mend="name the file that it belongs to")
    return [_read(beside(path, MANIFEST_SUFFIX))]


def read_manifest(path: Path) -> Manifest:
    """Read a .manifest.json; raise InputError if it is missing or is none."""
    try:
        return parse_manifest(path.read_bytes(), path.name)
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}",
            mend="keep the .manifest.json with its file, or write both again with edgenet convert or quantize",
        ) from error


def _read(manifest_path: Path) -> Artifact:
    manifest = read_manifest(manifest_path)
    path = manifest_path.with_name(manifest.file)
    if manifest_path != beside(path, MANIFEST_SUFFIX):
        raise InputError(f"{manifest_path.name} is the manifest of {path.name}", mend="rename neither of the two")
    if not path.exists():
        raise InputError(f"{path.name} is missing beside its manifest", mend="convert again")
    if sha256(path.read_bytes()) != manifest.sha256:
        raise InputError(f"{path.name} is not the file of its manifest (sha256 differs)", mend="convert again")
    return Artifact(path, manifest)
