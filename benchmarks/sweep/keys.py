"""What a step's result hangs on, as one hash: where none of it changed, the step is not run again.

Photos and other large inputs stand in it by name, size and time of change, not by content: a warm sweep of 50 000
images must not read them all. A file that is touched is read again; one whose content changed within the same size
and the same nanosecond would not be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from benchmarks.sweep.grid import AUTO, Grid
from benchmarks.sweep.record import Step
from converters.calibration_source import BUILTIN
from converters.evidence import tool_versions
from converters.made import CALIBRATED
from edgenet.errors import InputError
from edgenet.photos import PhotoFile, find_photos
from edgenet.precision import Precision, default_io
from edgenet.variants import parse_variant
from edgenet.weights.cache import file_digest
from edgenet.weights.packaged import is_packaged
from edgenet.weights.run_folder import RUN_NAME

# The tools that have a hand in a step: another version of one makes another result.
_RUNNING = ("edgenet", "machine", "numpy", "ai-edge-litert")
TOOLS: dict[Step, tuple[str, ...]] = {
    "convert": (
        *_RUNNING, "flatbuffers", "litert-quantizer", "tensorflow", "tf-keras", "tensorflow-model-optimization",
        "pillow",
    ),
    "check": ("edgenet",),
    "evaluate": (*_RUNNING, "pillow"),
    "benchmark": ("edgenet",),
}  # fmt: skip


def key_of(kind: str, *parts: object) -> str:
    """Return the SHA-256 of a kind and plain values."""
    text = json.dumps([kind, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


@cache
def _versions(step: Step) -> dict[str, str]:
    found = tool_versions()
    return {name: found.get(name, "") for name in TOOLS[step]}


def weights_choice(variant: str, choice: str) -> str:
    """Return what "auto" means for a variant: the packaged weights, else ImageNet's; never random ones."""
    if choice != AUTO:
        return choice
    return "packaged" if is_packaged(parse_variant(variant)) else "imagenet"


def weights_sha256(choice: str) -> str:
    """Return the SHA-256 of a file of weights, or of a run's record, which holds that of its weights; "" for others."""
    path = Path(choice)
    if path.is_dir() and (path / RUN_NAME).is_file():
        path = path / RUN_NAME
    if not path.is_file():
        return ""
    found = path.stat()
    return _sha256(path, found.st_size, found.st_mtime_ns)


@cache
def _sha256(path: Path, size_bytes: int, changed_ns: int) -> str:
    """Return a file's SHA-256; size and time are only there to tell it from what stood there before."""
    del size_bytes, changed_ns
    return file_digest(path)


def convert_key(grid: Grid, variant: str, precision: Precision, choice: str, photos: str) -> str:
    """Return the key of a file of a variant at a precision; `photos` is what `calibration_stamp` gave."""
    parts = [variant, precision, default_io(precision), choice, weights_sha256(choice), grid.seed]
    calibration = [grid.calib, photos, grid.samples] if precision in CALIBRATED else []
    return key_of("convert", *parts, calibration, _versions("convert"))


def check_key(model_sha256: str, target: str) -> str:
    """Return the key of a file held against a target."""
    return key_of("check", model_sha256, target, _versions("check"))


def evaluate_key(model_sha256: str, reference_sha256: str, data: str, max_unreadable: float) -> str:
    """Return the key of a file's answers to data; `data` is the identity of the images and their labels."""
    return key_of("evaluate", model_sha256, reference_sha256, data, max_unreadable, _versions("evaluate"))


def benchmark_key(model_sha256: str, address: str, grid: Grid) -> str:
    """Return the key of a file's latency on a device; the runtime here counts only for this machine itself."""
    here = tool_versions().get("ai-edge-litert", "") if address == "local" else ""
    settings = [list(grid.threads), grid.delegate, grid.protocol.model_dump()]
    return key_of("benchmark", model_sha256, address, settings, _versions("benchmark"), here)


def calibration_stamp(source: str) -> str:
    """Return the identity of calibration photos, "" for the built-in ones; raise InputError for none."""
    path = Path(source)
    if source == BUILTIN:
        return ""
    photos = find_photos(path).files if path.is_dir() else (PhotoFile(path, path.name),)
    return files_stamp((photo.name, photo.path) for photo in photos)


def files_stamp(paths: Iterable[tuple[str, Path]]) -> str:
    """Return the identity of files by name, size and time of change; raise InputError for one that is not there."""
    digest = hashlib.sha256()
    for name, path in paths:
        try:
            found = path.stat()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
