"""What is to be measured: files with what their manifests tell, and the settings, checked before anything starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.result import ProtocolRecord
from edgenet.artifact import MANIFEST_SUFFIX, MODEL_SUFFIX, find_artifacts
from edgenet.errors import InputError
from edgenet.manifest import Manifest

ONNX_SUFFIX = ".onnx"
TFLITE_MAGIC = b"TFL3"  # at byte 4: the flatbuffer's file identifier
DEFAULT_DELEGATE = {"tflite": "xnnpack", "onnx": "cpu"}


@dataclass(frozen=True)
class Model:
    """A file to measure; `label` is its name in this session, unlike any other's."""

    path: Path
    label: str
    format: Literal["tflite", "onnx"]
    manifest: Manifest | None
    golden: Path | None


@dataclass(frozen=True)
class Plan:
    """Models that take turns in each of the settings: every combination of processes, batches and threads."""

    models: tuple[Model, ...]
    protocol: ProtocolRecord
    threads: tuple[int, ...]
    processes: tuple[int, ...]
    batches: tuple[int, ...]
    affinity: tuple[int, ...]  # empty: wherever the system puts it
    delegate: str  # "": the format's own
    fix_governor: bool
    timeout_s: float  # of one answer of the runtime: a load, a block of runs

    def delegate_of(self, model: Model) -> str:
        """Return the delegate that a model is run with."""
        return self.delegate or DEFAULT_DELEGATE[model.format]


def find_models(paths: tuple[Path, ...]) -> tuple[Model, ...]:
    """Return the models of files and folders, in order; raise InputError for what is none.

    A file that has a manifest is held against it; one without is measured all the same, unchecked.
    """
    found = [model for path in paths for model in _models_of(path)]
    taken: Counter[str] = Counter()
    names = Counter(path.name for path, *_ in found)
    models = []
    for path, kind, manifest, golden in found:
        label = f"{path.absolute().parent.name}-{path.name}" if names[path.name] > 1 else path.name
        taken[label] += 1
        if taken[label] > 1:
            label = f"{Path(label).stem}-{taken[label]}{path.suffix}"
        models.append(Model(path, label, kind, manifest, golden))
    return tuple(models)


Found = tuple[Path, Literal["tflite", "onnx"], Manifest | None, Path | None]


def _models_of(path: Path) -> list[Found]:
    if path.is_dir() or path.name.endswith(MANIFEST_SUFFIX) or path.with_name(path.stem + MANIFEST_SUFFIX).exists():
        return [_artifact_row(row.path, row.manifest) for row in find_artifacts(path)]
    return [(path, _format_of(path), None, None)]


def _artifact_row(path: Path, manifest: Manifest) -> Found:
    golden = path.with_name(manifest.golden)
    if not golden.exists():
        raise InputError(
            f"{golden.name} is missing beside {path.name}", mend="convert again: it holds the right answers"
        )
    return path, _format_of(path), manifest, golden


def _format_of(path: Path) -> Literal["tflite", "onnx"]:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        allowed = f"{MODEL_SUFFIX} or {ONNX_SUFFIX} files, or folders of artifacts"
        raise InputError(f"cannot read {path}: {error.strerror}", allowed=allowed) from error
    if head[4:] == TFLITE_MAGIC:
        return "tflite"
    if path.suffix == ONNX_SUFFIX and head:
        return "onnx"
    raise InputError(f"{path} is no model", allowed=f"a {MODEL_SUFFIX} or {ONNX_SUFFIX} file")
