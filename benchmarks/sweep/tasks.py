"""What a worker does for a sweep: functions of what they are given alone, so that any executor runs them anywhere.

Files go to a worker and come back as bytes. What only a path can name, weights of the user's own and calibration
photos, is read where the worker is, and its hash must be the one that the sweep began with.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgenet.errors import InputError
from edgenet.precision import Precision, default_io
from edgenet.progress import silent

if TYPE_CHECKING:
    from edgenet.artifact import Artifact

Result = TypeVar("Result")
Files = Mapping[str, bytes]
COMMAND = ("edgenet", "sweep")  # the same for every way to the same file, whose manifest holds it


@dataclass(frozen=True)
class Timed(Generic[Result]):
    """What a task returned, and how long the worker took."""

    result: Result
    duration_s: float


@dataclass(frozen=True)
class Conversion:
    """A variant to be written at some precisions; `weights_sha256` is "" for weights that are no file."""

    variant: str
    precisions: tuple[Precision, ...]
    weights: str
    weights_sha256: str
    calib: str
    samples: int
    seed: int


def timed(function: Callable[..., Result], *arguments: object) -> Timed[Result]:
    """Run a task and say how long it took."""
    start = time.perf_counter()
    result = function(*arguments)
    return Timed(result, time.perf_counter() - start)


def convert_files(task: Conversion) -> list[tuple[Precision, Files]]:
    """Return each precision's model, manifest and golden vectors by file name.

    Raise InputError, MissingError or GateFailed as `edgenet convert` does.
    """
    from benchmarks.sweep.keys import weights_sha256
    from converters import conversion
    from edgenet.named_variant import named_variant

    if task.weights_sha256 and weights_sha256(task.weights) != task.weights_sha256:
        raise InputError(f"{task.weights} is not the file that the sweep began with", mend="begin again")
    request = conversion.Request(
        variant=named_variant(task.variant),
        formats=tuple((precision, default_io(precision)) for precision in task.precisions),
        weights=task.weights,
        calib=task.calib,
        samples=task.samples,
        seed=task.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        artifacts = conversion.run(request, Path(folder), True, COMMAND, silent, _say_nothing)
        return [(row.manifest.precision, files_of(row)) for row in artifacts]


def files_of(artifact: Artifact) -> Files:
    """Return a file's model, manifest and golden vectors by file name."""
    from edgenet.artifact import MANIFEST_SUFFIX, beside

    names = (artifact.path.name, beside(artifact.path, MANIFEST_SUFFIX).name, artifact.manifest.golden)
    return {name: (artifact.path.parent / name).read_bytes() for name in names}


def check_file(name: str, content: bytes, target: str) -> dict[str, Any]:
    """Return what `edgenet check` tells of a file, as a JSON document; "refusal" says why a target takes nothing."""
    from converters.check.check import check

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            document: dict[str, Any] = json.loads(json.dumps(check(path, target).document()))
        except InputError as error:
            return {"kind": "check", "file": name, "target": target, "refusal": str(error)}
    return {**document, "refusal": ""}


def _say_nothing(text: str) -> None:
    """Say nothing: what a conversion has to tell stands in its manifest."""
    del text
