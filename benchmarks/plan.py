"""What is to be measured: files with what their manifests tell, and the settings, checked before anything starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Literal

from benchmarks.result import ProtocolRecord
from converters.check.compiled import may_be_compiled
from edgenet.artifact import MANIFEST_SUFFIX, MODEL_SUFFIX, ONNX_SUFFIX, beside, find_artifacts, read_manifest
from edgenet.errors import InputError
from edgenet.manifest import Manifest

TFLITE_MAGIC = b"TFL3"  # at byte 4: the flatbuffer's file identifier
EDGETPU = "edgetpu"
SHORTEST_TIMEOUT_S = 1.0
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

    def __post_init__(self) -> None:
        """Refuse what cannot be measured; raise InputError."""
        for name, values in (("threads", self.threads), ("processes", self.processes), ("batches", self.batches)):
            if not values or min(values) < 1 or len(set(values)) < len(values):
                raise InputError(f"{name} cannot be {list(values)}", allowed="whole numbers from 1 on, each once")
        if min(self.affinity, default=0) < 0:
            raise InputError(f"affinity cannot be {list(self.affinity)}", allowed="numbers of cores, from 0 on")
        if not self.timeout_s >= SHORTEST_TIMEOUT_S:
            raise InputError(f"the timeout cannot be {self.timeout_s:g} s", allowed=f"{SHORTEST_TIMEOUT_S:g} s or more")

        for model in self.models:
            _check_compiled(model, self.delegate_of(model))

    def delegate_of(self, model: Model) -> str:
        """Return the delegate that a model is run with."""
        return self.delegate or DEFAULT_DELEGATE[model.format]


def find_models(paths: tuple[Path, ...]) -> tuple[Model, ...]:
    """Return the models of files and folders, in order; raise InputError for what is none.

    A file that has a manifest is held against it; one without is measured all the same, unchecked.
    """
    found = [model for path in paths for model in _models_of(path)]
    names = Counter(path.name for path, *_ in found)
    models: list[Model] = []
    for path, kind, manifest, golden in found:
        folder = path.absolute().parent.name if names[path.name] > 1 else ""
        label = _unlike(f"{folder}-{path.name}" if folder else path.name, {model.label for model in models})
        models.append(Model(path, label, kind, manifest, golden))
    return tuple(models)


def _check_compiled(model: Model, delegate: str) -> None:
    """Refuse what can only fail on the device: of a file that is not compiled an Edge TPU runs nothing."""
    compiled = model.format == "tflite" and may_be_compiled(model.path.read_bytes())
    if delegate == EDGETPU and not compiled:
        mend = f"edgenet compile {model.path}, and benchmark what it writes"
        raise InputError(f"{model.label} is not compiled: nothing of it would run on an Edge TPU", mend=mend)
    if compiled and delegate in DEFAULT_DELEGATE.values():
        raise InputError(
            f"{model.label} is compiled for the Edge TPU",
            allowed="--delegate edgetpu",
            mend="add it, or take the model",
        )


def _unlike(name: str, taken: set[str]) -> str:
    """Return a printable name that is none of those that are taken, with a number where it has to be."""
    name = "".join(letter if letter.isprintable() else "_" for letter in name)
    numbered = (f"{Path(name).stem}-{number}{Path(name).suffix}" for number in count(2))
    return next(label for label in chain([name], numbered) if label not in taken)


Found = tuple[Path, Literal["tflite", "onnx"], Manifest | None, Path | None]


def _models_of(path: Path) -> list[Found]:
    if path.is_dir() or path.name.endswith(MANIFEST_SUFFIX) or _has_manifest(path):
        return [_artifact_row(row.path, row.manifest) for row in find_artifacts(path)]
    return [(path, _format_of(path), None, None)]


def _has_manifest(path: Path) -> bool:
    """Say whether a manifest of this stem is beside a file; lite0.tflite's is none of lite0.onnx."""
    manifest = beside(path, MANIFEST_SUFFIX)
    if not manifest.exists():
        return False
    file = Path(read_manifest(manifest).file)
    return file.stem != path.stem or file.suffix == path.suffix


def _artifact_row(path: Path, manifest: Manifest) -> Found:
    golden = path.with_name(manifest.golden)
    if not golden.exists():
        raise InputError(
            f"{golden.name} is missing beside {path.name}", mend="convert again: it holds the right answers"
        )
    return path, _format_of(path), manifest, golden


def _format_of(path: Path) -> Literal["tflite", "onnx"]:
    allowed = f"{MODEL_SUFFIX} or {ONNX_SUFFIX} files, or folders of artifacts"
    if path.exists() and not path.is_file():  # of a pipe nothing would be left to send
        raise InputError(f"{path} is no file", allowed=allowed)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", allowed=allowed) from error
    if head[4:] == TFLITE_MAGIC:
        return "tflite"
    if path.suffix == ONNX_SUFFIX and head:
        return "onnx"
    raise InputError(f"{path} is no model", allowed=f"a {MODEL_SUFFIX} or {ONNX_SUFFIX} file")
