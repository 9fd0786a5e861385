"""What a worker does with a few images: decode each once, crop it once a way, run every file, count.

It is a function of what it is given alone, and all of that travels: any executor can run it, here or elsewhere.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.tally import Tally, tally
from converters.loaded import LoadedModel
from converters.model_file import read_model_file
from converters.runtime import load_runner
from edgenet.errors import InputError
from edgenet.labelled.decode import decode_example
from edgenet.labelled.example import Example
from edgenet.photos import Skipped
from edgenet.preprocessing import Preprocessing, crop_photo


@dataclass(frozen=True)
class Subject:
    """One file to run; `crop` is its place among the job's ways to cut a photo."""

    path: str
    sha256: str
    crop: int
    label_offset: int  # of the file's outputs to the data's classes
    softmax: bool  # it ends in one
    reference: int | None  # the place of the file that it is held against; None: there is none


@dataclass(frozen=True)
class Job:
    """The files that every image goes through, and the distinct ways to cut it."""

    subjects: tuple[Subject, ...]
    crops: tuple[Preprocessing, ...]


@dataclass(frozen=True)
class ShippedJob:
    """A job with the bytes of its files, for workers that do not see this machine's disk; () where they do."""

    job: Job
    contents: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class SeenImage:
    """An image that was evaluated; the SHA-256 is that of its bytes."""

    name: str
    class_index: int
    sha256: str


@dataclass(frozen=True)
class Part:
    """The counts of each subject, in their order, on some images."""

    tallies: tuple[Tally, ...]
    images: tuple[SeenImage, ...]
    unreadable: tuple[Skipped, ...]


class _Loaded(threading.local):
    """The files that this thread has loaded last: an executor may run workers as threads."""

    job: Job | None = None
    models: Sequence[LoadedModel] = ()


_loaded = _Loaded()


def evaluate_part(shipped: ShippedJob, examples: Sequence[Example]) -> Part:
    """Run some images through every file of a job, loaded once a worker; one image is in memory at a time.

    Raise InputError for a file that is not the job's any more, GateFailed for answers that are no numbers.
    """
    job, models = shipped.job, _models(shipped)
    images: list[SeenImage] = []
    unreadable: list[Skipped] = []
    rows: list[list[NDArray[np.float32]]] = []
    for example in examples:
        photo = decode_example(example)
        if isinstance(photo, Skipped):
            unreadable.append(photo)
            continue
        pixels = [crop_photo(photo.image, crop) for crop in job.crops]
        rows.append([model.logits(pixels[row.crop]) for row, model in zip(job.subjects, models, strict=True)])
        images.append(SeenImage(example.name, example.class_index, photo.sha256))
    return Part(_tallies(job, rows, images), tuple(images), tuple(unreadable))


def _tallies(job: Job, rows: list[list[NDArray[np.float32]]], images: list[SeenImage]) -> tuple[Tally, ...]:
    if not rows:
        return tuple(Tally() for _ in job.subjects)
    logits = [np.stack(answers) for answers in zip(*rows, strict=True)]
    labels = np.array([image.class_index for image in images])
    return tuple(
        tally(
            row.path,
            answers,
            labels + row.label_offset,
            softmax=row.softmax,
            reference=None if row.reference is None else logits[row.reference],
        )
        for row, answers in zip(job.subjects, logits, strict=True)
    )


def _models(shipped: ShippedJob) -> Sequence[LoadedModel]:
    job = shipped.job
    if _loaded.job != job:
        _loaded.job, _loaded.models = None, ()  # the files of another job need not stay beside these
        contents = shipped.contents or [read_model_file(Path(row.path), "a .tflite or .onnx") for row in job.subjects]
        _loaded.models = [_model(row, content) for row, content in zip(job.subjects, contents, strict=True)]
        _loaded.job = job
    return _loaded.models


def _model(subject: Subject, content: bytes) -> LoadedModel:
    if hashlib.sha256(content).hexdigest() != subject.sha256:
        raise InputError(f"{subject.path} has changed since the evaluation began", mend="begin again")
    return load_runner(content)
