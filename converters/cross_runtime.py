"""One network through several runtimes: every file, run by each that takes its format, on the same images."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.conversion import Say
from converters.cross_images import Images, choose_images, file_macs, image_limit
from converters.golden_check import GoldenResult, check_golden
from converters.loaded import TensorInfo
from converters.reference import float_reference
from converters.runtime import load_runner
from converters.runtimes import Asked, Runtime, check_formats
from converters.screen import read_screened
from converters.verification import find_one_network
from converters.verify import all_logits, logits_of
from edgenet.artifact import Artifact, read_golden
from edgenet.errors import InputError, MissingError
from edgenet.progress import Report, tracked


@dataclass(frozen=True)
class Source:
    """What is verified, and against what, as `edgenet verify` takes it."""

    out: Path
    data: Path | None = None
    labels: Path | None = None
    reference: Path | None = None
    weights: str = ""


@dataclass(frozen=True)
class StudiedFile:
    """One file; `end` is its first output. Both are None where the file's own runtime is not installed."""

    artifact: Artifact
    content: bytes
    end: TensorInfo | None
    golden: GoldenResult | None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.artifact.path.name


@dataclass(frozen=True)
class Study:
    """Files of one network, the images, and the float network's logits [images, classes] for them."""

    files: tuple[StudiedFile, ...]
    images: Images
    float_logits: NDArray[np.float32]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What one file gave in one runtime: logits [images, classes] as real numbers, or the reason why there are none."""

    file: str
    runtime: str  # "xnnpack", "xnnpack @ pi4"
    machine: str
    version: str
    logits: NDArray[np.float32] | None
    reason: str = ""
    note: str = ""  # what has to be known of a run that went well


def prepare(source: Source, asked: Asked, elsewhere: Sequence[Runtime], report: Report, say: Say) -> Study:
    """Load files, images and the float network's answers; `elsewhere` are the runs on devices, one runtime each.

    Raise InputError for what cannot be read, files of several networks, or a runtime that takes none of them.
    """
    artifacts = find_one_network(source.out)
    notes = check_formats(asked, [row.path.name for row in artifacts])
    taken = [row for row in artifacts if any(runtime.takes(row.path.name) for runtime in asked.runtimes)]
    files = [_studied(row) for row in tracked(taken, "loading files", len(taken), report)]
    float_content = float_reference(artifacts[0], source.reference, source.weights, say)
    passes = [*asked.runtimes, *elsewhere]
    slow = sum(
        runtime.takes(row.path.name) and runtime.is_slow(row.manifest.precision) for row in taken for runtime in passes
    )
    limit = image_limit(file_macs(float_content), slow, artifacts[0].manifest.side_px)
    images = choose_images(artifacts[0], source.data, source.labels, limit, report)
    seen = tracked(images.pixels, "the float network", len(images.pixels), report)
    float_logits = np.stack(list(all_logits(float_content, seen)))
    return Study(tuple(files), images, float_logits, (*notes, *images.notes))


def _studied(artifact: Artifact) -> StudiedFile:
    try:
        content = read_screened(artifact.path)
        golden = check_golden(content, read_golden(artifact))
        return StudiedFile(artifact, content, load_runner(content).outputs[0], golden)
    except MissingError:  # which each of its runtimes tells in its own row
        return StudiedFile(artifact, artifact.path.read_bytes(), None, None)


def answers_here(study: Study, asked: Asked, report: Report) -> list[Answers]:
    """Run every file in each runtime that takes it, on all cores.

    What cannot be run is an answer with its reason under "all"; else raise InputError, or MissingError for a runtime
    that is not installed.
    """
    return [
        _answers(study, file, runtime, asked.lenient, report)
        for file in study.files
        for runtime in asked.runtimes
        if runtime.takes(file.name)
    ]


def _answers(study: Study, file: StudiedFile, runtime: Runtime, lenient: bool, report: Report) -> Answers:
    machine = platform.machine()
    try:
        runners = [runtime.load(file.content) for _ in range(os.cpu_count() or 1)]
        seen = tracked(study.images.pixels, f"{file.name} in {runtime.name}", len(study.images.pixels), report)
        logits = np.stack(list(logits_of(runners, seen)))
    except (InputError, MissingError) as error:
        if not lenient:
            raise type(error)(
                f"{file.name} in {runtime.name}: {error.what}", allowed=error.allowed, mend=error.mend
            ) from error
        return Answers(file.name, runtime.name, machine, runtime.version, None, str(error))
    return Answers(file.name, runtime.name, machine, runtime.version, logits)
