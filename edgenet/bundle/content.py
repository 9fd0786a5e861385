"""What goes into a bundle of any platform, before it is laid out: made once from an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from converters import flatbuffer
from converters.card import Extras, facts_of, with_card
from converters.metadata_read import read_metadata
from converters.screen import read_screened
from converters.tflite_summary import End, summarize
from edgenet.artifact import MODEL_SUFFIX, Artifact
from edgenet.bundle.golden import Golden, golden_vectors
from edgenet.bundle.names import plain_text
from edgenet.bundle.record import EndRecord, PhotoRecord
from edgenet.errors import InputError
from edgenet.labels import labels_of
from edgenet.manifest import Manifest
from edgenet.precision import IO_TYPES, IoType
from edgenet.progress import Report, silent

MODEL_NAME, LABELS_NAME = "model.tflite", "labels.txt"


@dataclass(frozen=True)
class Wishes:
    """What a user may say of a bundle beside the artifact and the platform."""

    name: str = ""
    labels: str = ""
    author: str = ""
    license: str = ""
    allow_random: bool = False
    allow_failed: bool = False
    runtime: str = ""  # web: the npm package of the runtime, as a file
    package: str = ""  # android: the package of the Kotlin sources
    api: str = ""  # android: the API that runs the model
    core_ml: str = ""  # ios: a Python that has coremltools


@dataclass(frozen=True)
class Content:
    """An artifact, ready to be laid out: the model with its metadata, names of classes, golden vectors."""

    name: str
    manifest: Manifest
    model: bytes
    labels: tuple[str, ...]
    input: EndRecord
    output: EndRecord
    photos: PhotoRecord
    golden: Golden
    warnings: tuple[str, ...]
    wishes: Wishes
    artifact: Artifact
    report: Report


def content_of(artifact: Artifact, name: str, wishes: Wishes, report: Report = silent) -> Content:
    """Return what a bundle of an artifact holds; raise InputError for one that should not be shipped or cannot be."""
    manifest = artifact.manifest
    if artifact.path.suffix != MODEL_SUFFIX:
        raise InputError(f"{artifact.path.name} cannot be bundled", allowed="a .tflite file")
    warnings = reasons_against(manifest, wishes)
    labels = labels_of(manifest, wishes.labels)
    model = _with_metadata(read_screened(artifact.path), manifest, labels, wishes)
    summary = summarize(model)
    return Content(
        name=name,
        manifest=manifest,
        model=model,
        labels=labels,
        input=_end(summary.inputs[0], manifest.file),
        output=_end(summary.outputs[0], manifest.file),
        photos=PhotoRecord(**{field: getattr(manifest.preprocessing, field) for field in _PHOTO_FIELDS}),
        golden=golden_vectors(model, manifest.to_preprocessing(), labels),
        warnings=warnings,
        wishes=wishes,
        artifact=artifact,
        report=report,
    )


_PHOTO_FIELDS = tuple(set(PhotoRecord.model_fields) - {"orientation", "transparency"})


def reasons_against(manifest: Manifest, wishes: Wishes) -> tuple[str, ...]:
    """Return why a file should not be shipped although the user wants it; raise InputError where he did not say so."""
    reasons = []
    if manifest.weights.source == "random":
        if not wishes.allow_random:
            mend = "convert with real weights, or say --allow-random to try out an app"
            raise InputError(f"{manifest.file} has random weights: it classifies nothing", mend=mend)
        reasons.append("RANDOM WEIGHTS: this model classifies nothing")
    repair = manifest.repair
    if repair and (not repair.passed or repair.interrupted):
        if not wishes.allow_failed:
            raise InputError(
                f"{manifest.file} failed its gate: it kept under {100 * repair.min_agree:g} % of the float network's "
                "answers",
                mend="repair it with more photos, or say --allow-failed",
            )
        reasons.append(f"FAILED ITS GATE: under {100 * repair.min_agree:g} % of the float network's answers were kept")
    return tuple(reasons)


def _with_metadata(content: bytes, manifest: Manifest, labels: tuple[str, ...], wishes: Wishes) -> bytes:
    """Return the artifact's own bytes where its metadata say all; else the model with new metadata."""
    found = read_metadata(content)
    if found and found.labels() == labels and not (wishes.author or wishes.license):
        return content
    locale = "" if wishes.labels or manifest.weights.labels else "en"
    author, licence = plain_text("--author", wishes.author), plain_text("--license", wishes.license)
    extras = Extras({locale: labels}, author, licence)
    return with_card(flatbuffer.read(content), facts_of(manifest), extras)


def _end(end: End, name: str) -> EndRecord:
    if end.type not in get_args(IoType):
        raise InputError(f"{name} has a {end.type} end", allowed=", ".join(IO_TYPES))
    return EndRecord(type=cast(IoType, end.type), shape=end.shape, scale=end.scale, zero_point=end.zero_point)
