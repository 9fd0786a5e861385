"""What a file of ours tells of itself: how to feed it, what its classes are called, whose manifest it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.flatbuffer import Model
from converters.metadata import MIN_PARSER_VERSION, LabelFile, Metadata, TensorMetadata, with_metadata
from edgenet.identity import identity
from edgenet.labels import known_labels
from edgenet.manifest import CompilerTarget, Manifest, PreprocessingRecord, WeightsRecord
from edgenet.precision import IoType, Precision

LABELS_NAME = "labels.txt"
PIXEL_LEVELS = 255
INT8_SHIFT = 128  # an int8 end takes pixel - 128


@dataclass(frozen=True)
class Facts:
    """What a card is made from, known before the file is; see the manifest for the fields."""

    variant: str
    precision: Precision
    io: IoType
    weights: WeightsRecord
    preprocessing: PreprocessingRecord
    recipe: str | None
    target: CompilerTarget | None


@dataclass(frozen=True)
class Extras:
    """What only the user can say: names of classes by locale, whose work it is, and from which logit on to answer."""

    labels: Mapping[str, tuple[str, ...]]
    author: str = ""
    license: str = ""
    score_threshold: float | None = None


def facts_of(manifest: Manifest) -> Facts:
    """Return the facts of a file that is written already."""
    return Facts(
        manifest.variant, manifest.precision, manifest.io, manifest.weights, manifest.preprocessing, manifest.recipe,
        manifest.target,
    )  # fmt: skip


def with_card(model: Model, facts: Facts, extras: Extras | None = None) -> bytes:
    """Return a model as bytes with its metadata; without `extras` the classes are named where the weights name them."""
    if extras is None:
        names = known_labels(facts.weights)
        extras = Extras({"en" if not facts.weights.labels else "": names} if names else {})
    rows = {_file_name(locale): (locale, names) for locale, names in extras.labels.items()}
    files = tuple(LabelFile(name, locale, "the name of each class, in order") for name, (locale, _) in rows.items())
    metadata = _metadata(model, facts, extras, files)
    contents = {name: "".join(f"{label}\n" for label in names).encode() for name, (_, names) in rows.items()}
    whole = identity(
        facts.variant, facts.precision, facts.io, facts.weights, facts.preprocessing, facts.recipe, facts.target
    )
    return with_metadata(model, metadata, contents, whole)


def _file_name(locale: str) -> str:
    return LABELS_NAME if locale in ("", "en") else f"labels-{locale}.txt"


def _metadata(model: Model, facts: Facts, extras: Extras, files: tuple[LabelFile, ...]) -> Metadata:
    record, weights = facts.preprocessing, facts.weights
    rule = f"{record.crop_rule} {record.crop_fraction:g}, {record.interpolation}"
    random = "RANDOM WEIGHTS: it classifies nothing. " if weights.source == "random" else ""
    return Metadata(
        name=f"{facts.variant} {facts.precision}",
        description=f"{random}EfficientNet image classifier of {weights.num_classes} classes. Photos: {rule}, to "
        f"{record.side_px} x {record.side_px} raw RGB pixels 0-255. Outputs are logits, not probabilities. "
        f"Weights: {weights.source}, sha256 {weights.sha256}.",
        version=weights.sha256[:16],
        author=extras.author,
        license=extras.license,
        min_parser_version=MIN_PARSER_VERSION,
        inputs=(_input(model, record),),
        outputs=(
            TensorMetadata(
                name="logits",
                description="one logit a class: softmax makes probabilities of them",
                score_threshold=extras.score_threshold,
                files=files,
            ),
        ),
    )


def _input(model: Model, record: PreprocessingRecord) -> TensorMetadata:
    graph = model.subgraphs[0]
    mean, std = pixel_normalization(graph.tensors[graph.inputs[0]])
    return TensorMetadata(
        name="image",
        description=f"raw RGB pixels, 0-255; (pixel - mean) / std of the weights is in the file: {record.folding}",
        size_px=(record.side_px, record.side_px),
        axes=(1, 3),
        mean=(mean,),
        std=(std,),
        low=((0 - mean) / std,),
        high=((PIXEL_LEVELS - mean) / std,),
    )


def pixel_normalization(tensor: Any) -> tuple[float, float]:
    """Return mean and std that make a raw pixel the real value of an input tensor: (pixel - mean) / std.

    A float input takes pixels as they are. The real value of an integer one is scale * (q - zero point) with q the
    pixel (uint8) or the pixel - 128 (int8): readers that normalize and then quantize come out at q again.
    """
    if tensor.type == schema.TensorType.FLOAT32:
        return 0.0, 1.0
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    shift = INT8_SHIFT if tensor.type == schema.TensorType.INT8 else 0
    return float(zero_point + shift), 1 / scale
