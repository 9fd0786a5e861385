"""The files of one evaluation: artifacts of the same classes, each with the float file that it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.accuracy.work import Job, Subject
from converters.probabilities import gives_probabilities
from converters.reference import float_reference
from converters.screen import read_screened
from edgenet.artifact import Artifact, find_artifacts, sha256
from edgenet.errors import InputError
from edgenet.labelled.classes import Classes
from edgenet.labelled.example import some
from edgenet.preprocessing import Preprocessing
from edgenet.progress import Report, tracked

REFERENCE_NAME = "reference.tflite"


@dataclass(frozen=True)
class Field:
    """The artifacts of an evaluation and the classes that they all have."""

    artifacts: tuple[Artifact, ...]
    names: tuple[str, ...]  # of the artifacts, each unlike the others
    classes: Classes


@dataclass(frozen=True)
class Reference:
    """A float file that others are held against; the SHA-256 is that of the bytes that run."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Lineup:
    """What runs: the artifacts first, then a reference that is none of them; and what each is held against."""

    job: Job
    references: tuple[Reference | None, ...]


def find_field(paths: Sequence[Path]) -> Field:
    """Find the artifacts at `paths` by their manifests alone.

    Raise InputError for what is no artifact, is there twice, or has other classes than the rest.
    """
    artifacts = tuple(artifact for path in paths for artifact in find_artifacts(path))
    _check_once(artifacts)
    names = _names(artifacts)
    return Field(artifacts, names, _common_classes(artifacts, names))


def line_up(field: Field, reference: Path | None, scratch: Path, report: Report) -> Lineup:
    """Look into each file in a child process; `scratch` is a folder for a reference that has to be written anew.

    Raise InputError for a file that cannot be run, and a reference that does not fit.
    """
    artifacts = field.artifacts
    contents = [read_screened(row.path) for row in tracked(artifacts, "loading files", len(artifacts), report)]
    files = [(row.path, content, row) for row, content in zip(artifacts, contents, strict=True)]
    places = [_sibling(row, artifacts) for row in artifacts]
    shown = list(field.names)
    if reference is not None:
        known = [row.path.resolve() for row in artifacts]
        if reference.resolve() not in known:
            files.append((*_given_reference(reference, artifacts, scratch), artifacts[0]))
            known.append(reference.resolve())
            shown.append(str(reference))
        place = known.index(reference.resolve())
        places = [None if number == place else place for number in range(len(artifacts))]
    crops = tuple(dict.fromkeys(_crop(row.manifest.to_preprocessing()) for row in artifacts))
    subjects = tuple(
        _subject(path, content, artifact.manifest.to_preprocessing(), crops, place)
        for (path, content, artifact), place in zip(files, [*places, None][: len(files)], strict=True)
    )
    references = [Reference(name, row.sha256) for name, row in zip(shown, subjects, strict=True)]
    return Lineup(Job(subjects, crops), tuple(None if place is None else references[place] for place in places))


def _subject(
    path: Path, content: bytes, record: Preprocessing, crops: tuple[Preprocessing, ...], reference: int | None
) -> Subject:
    return Subject(
        path=str(path.absolute()),
        sha256=sha256(content),
        crop=crops.index(_crop(record)),
        label_offset=record.label_offset,
        softmax=gives_probabilities(content),
        reference=reference,
    )


def _check_once(artifacts: Sequence[Artifact]) -> None:
    paths = [row.path.resolve() for row in artifacts]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise InputError(f"named more than once: {some(twice)}", mend="name each file once, or its folder")


def _names(artifacts: Sequence[Artifact]) -> tuple[str, ...]:
    names = [row.path.name for row in artifacts]
    return tuple(name if names.count(name) == 1 else str(row.path) for name, row in zip(names, artifacts, strict=True))


def _common_classes(artifacts: Sequence[Artifact], names: Sequence[str]) -> Classes:
    """Return the classes of all files; raise InputError that names the first file with others."""
    found = [_classes(row) for row in artifacts]
    for name, classes in zip(names, found, strict=True):
        if classes != found[0]:
            raise InputError(
                f"{names[0]} and {name} have other classes: {found[0].count} ({some(found[0].names)}) and "
                f"{classes.count} ({some(classes.names)})",
                mend="evaluate them one by one",
            )
    return found[0]


def _classes(artifact: Artifact) -> Classes:
    weights = artifact.manifest.weights
    return Classes(weights.num_classes - artifact.manifest.preprocessing.label_offset, weights.labels)


def _sibling(artifact: Artifact, artifacts: Sequence[Artifact]) -> int | None:
    """Return the place of the fp32 file of the same network, of the same format first; None for one that is fp32."""
    if artifact.manifest.precision == "fp32":
        return None
    same = [
        place
        for place, other in enumerate(artifacts)
        if other.manifest.precision == "fp32"
        and other.manifest.weights.sha256 == artifact.manifest.weights.sha256
        and other.manifest.to_preprocessing() == artifact.manifest.to_preprocessing()
    ]
    own_format = [place for place in same if artifacts[place].path.suffix == artifact.path.suffix]
    return next(iter([*own_format, *same]), None)


def _given_reference(given: Path, artifacts: Sequence[Artifact], scratch: Path) -> tuple[Path, bytes]:
    """Return a float file that takes raw pixels, written to `scratch` if it had to be made from the one given."""
    records = {row.manifest.to_preprocessing() for row in artifacts}
    if len(records) > 1:
        raise InputError(
            "--reference is for files of one preprocessing",
            mend="evaluate networks one by one, or name the fp32 file of each among the files",
        )
    content = float_reference(artifacts[0], given, "", _say_nothing)
    if given.is_file() and given.read_bytes() == content:
        return given, content
    path = scratch / REFERENCE_NAME
    path.write_bytes(content)
    return path, content


def _say_nothing(text: str) -> None:
    """Say nothing: a file that is given is not built, so that there is nothing to tell."""
    del text


def _crop(record: Preprocessing) -> Preprocessing:
    """Return a record without what changes numbers, not pixels: files that differ in it alone share a crop."""
    return replace(record, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), label_offset=0)
