"""`--weights imagenet`: from the cache or the network, timm's checkpoint first, Keras' file second; nothing else."""

from collections.abc import Callable
from pathlib import Path

from edgenet.errors import MissingError
from edgenet.variants import Variant
from edgenet.weights.cache import file_digest
from edgenet.weights.hub import HubFile, cached_hub_file, download_hub_file, is_offline
from edgenet.weights.keras_file import read_keras
from edgenet.weights.keras_source import BASE_URL, cached_keras_file, download_keras_file
from edgenet.weights.names import map_strictly
from edgenet.weights.preprocessing_rules import keras_rule, published_rule
from edgenet.weights.record import Convention, Weights
from edgenet.weights.safetensors_file import read_safetensors

Say = Callable[[str], None]

# Both sources are ports of Google's TensorFlow checkpoints.
TENSORFLOW = Convention("same", 1e-3)
WAYS_OUT = (
    "run once with a network (they stay cached), give a local file with --weights FILE, or take --weights packaged "
    "(lite0, lite1, lite2) or --weights random"
)


def cached_imagenet_weights(variant: Variant) -> Weights | None:
    """Return the variant's ImageNet weights where a cache has them, without any network."""
    hub_file = cached_hub_file(variant)
    if hub_file:
        return _from_hub(hub_file, variant)
    keras_file = cached_keras_file(variant)
    return _from_keras(keras_file, variant) if keras_file else None


def imagenet_weights(variant: Variant, say: Say, base_url: str = BASE_URL) -> Weights:
    """Return the variant's ImageNet weights, downloaded where no cache has them; `base_url` is Keras' server.

    Raises MissingError with the ways out where neither source can be reached.
    """
    cached = cached_imagenet_weights(variant)
    if cached:
        return cached
    try:
        return _from_hub(download_hub_file(variant, say), variant)
    except MissingError as error:
        say(error.what)
        first = error
    try:
        if is_offline():
            raise MissingError("HF_HUB_OFFLINE forbids downloads")
        return _from_keras(download_keras_file(variant, say, base_url), variant)
    except MissingError as second:
        what = f"no ImageNet weights of {variant.name} can be had: {first.what}; {second.what}"
        raise MissingError(what, mend=WAYS_OUT) from second


def _from_hub(file: HubFile, variant: Variant) -> Weights:
    tensors, _ = read_safetensors(file.path)
    mapped = map_strictly(tensors, variant, file.row.repository)
    measured = file.row.measured_side_px
    elsewhere = f"timm measures these weights at {measured} px; {variant.name} runs at {variant.side_px} px"
    return Weights(
        tensors=mapped.tensors,
        source="imagenet",
        origin=file.origin,
        sha256=file.pin.sha256,
        variant=variant,
        num_classes=mapped.num_classes,
        preprocessing=file.row.rule.at(variant.side_px),
        convention=TENSORFLOW,
        notes=(*([elsewhere] if measured != variant.side_px else []), *_other_stride(variant)),
    )


def _other_stride(variant: Variant) -> list[str]:
    if variant.name == variant.trained_as:
        return []
    return [f"timm measures these weights as {variant.trained_as}, whose stride is on the 3x3 expansion"]


def _from_keras(path: Path, variant: Variant) -> Weights:
    file = read_keras(path)
    mapped = map_strictly(file.tensors, variant, path.name)
    rule = published_rule(variant)
    rule = keras_rule(rule, file.mean, file.variance) if file.mean else rule
    return Weights(
        tensors=mapped.tensors,
        source="imagenet",
        origin=f"Keras applications, {path.name}",
        sha256=file_digest(path),
        variant=variant,
        num_classes=mapped.num_classes,
        preprocessing=rule.at(variant.side_px),
        convention=TENSORFLOW,
    )
