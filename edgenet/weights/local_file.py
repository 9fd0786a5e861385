"""Weights from a file of the user's: .safetensors, .pth, .pt, .h5 or .keras, with the config.json beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.preprocessing import Preprocessing
from edgenet.variants import Variant
from edgenet.weights.cache import file_digest
from edgenet.weights.keras_file import read_keras
from edgenet.weights.names import BACKGROUND_CLASSES, Mapped, map_strictly
from edgenet.weights.preprocessing_rules import describe, keras_rule, naming_rule
from edgenet.weights.record import Convention, Weights
from edgenet.weights.safetensors_file import read_safetensors
from edgenet.weights.timm_config import (
    TENSORFLOW,
    TIMM_NATIVE,
    TimmConfig,
    convention_of,
    read_timm_config,
    refuse_other_variant,
)
from edgenet.weights.torch_pickle import read_torch

CONFIG = "config.json"
# torchvision models/efficientnet.py: B5-B7 and V2 set epsilon 1e-3, the others keep PyTorch's 1e-5.
TORCHVISION_NARROW = ("b0", "b1", "b2", "b3", "b4")


@dataclass(frozen=True)
class FileContents:
    """A file's tensors under its own names; `mean` and `variance` are those of a Keras Normalization layer."""

    tensors: dict[str, NDArray[np.float32]]
    notes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()


def _torch(path: Path) -> FileContents:
    checkpoint = read_torch(path)
    return FileContents(checkpoint.tensors, checkpoint.notes)


def _safetensors(path: Path) -> FileContents:
    return FileContents(*read_safetensors(path))


def _keras(path: Path) -> FileContents:
    file = read_keras(path)
    return FileContents(file.tensors, (), file.mean, file.variance)


READERS: dict[str, Callable[[Path], FileContents]] = {
    ".safetensors": _safetensors,
    ".pth": _torch,
    ".pt": _torch,
    ".h5": _keras,
    ".keras": _keras,
}


def file_weights(path: Path, variant: Variant) -> Weights:
    """Read a weights file; its preprocessing is config.json's beside it, else the file's own, else the published one.

    Raises InputError for a missing, unknown, damaged or malicious file and for tensors that do not fit the variant.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown kind of weights file {path.suffix!r}", allowed=", ".join(READERS))
    if not path.is_file():
        raise InputError(f"{path} is no file", allowed=f"a {', '.join(READERS)} file", mend="check the path")
    config_path = path.parent / CONFIG
    config = read_timm_config(config_path) if config_path.is_file() else None
    if config:
        refuse_other_variant(config.architecture, variant, str(config_path))
    contents = reader(path)
    mapped = map_strictly(contents.tensors, variant, path.name)
    if config and config.num_classes and config.num_classes != mapped.num_classes:
        raise InputError(
            f"{path.name} has {mapped.num_classes} classes, {config_path} says {config.num_classes}",
            mend="correct num_classes there",
        )
    record, record_notes = _preprocessing(path, variant, contents, mapped, config)
    convention, convention_notes = _convention(path, variant, mapped.naming, config)
    return Weights(
        tensors=mapped.tensors,
        source="file",
        origin=path.name,
        sha256=file_digest(path),
        variant=variant,
        num_classes=mapped.num_classes,
        preprocessing=record,
        convention=convention,
        notes=(*contents.notes, *record_notes, *convention_notes),
    )


def _preprocessing(
    path: Path, variant: Variant, contents: FileContents, mapped: Mapped, config: TimmConfig | None
) -> tuple[Preprocessing, tuple[str, ...]]:
    offset = int(mapped.num_classes == BACKGROUND_CLASSES)
    if config:
        record = config.preprocessing if config.num_classes else replace(config.preprocessing, label_offset=offset)
        larger = f"{CONFIG} asks for {record.side_px} px; {variant.name}'s own side is {variant.side_px} px"
        return record, (larger,) if record.side_px != variant.side_px else ()
    rule = naming_rule(variant, mapped.naming)
    if contents.mean:
        record = keras_rule(rule, contents.mean, contents.variance).at(variant.side_px, offset)
        return record, (f"mean and std are those of {path.name}'s own Normalization layer: {describe(record)}",)
    record = rule.at(variant.side_px, offset)
    return record, (
        f"no {CONFIG} beside {path.name}: preprocessing as published for {variant.name}: {describe(record)}",
    )


def _convention(
    path: Path, variant: Variant, naming: str, config: TimmConfig | None
) -> tuple[Convention, tuple[str, ...]]:
    if naming == "torchvision":
        return Convention("symmetric", 1e-5 if variant.name in TORCHVISION_NARROW else 1e-3), ()
    if naming != "timm":
        return TENSORFLOW, ()
    if config and config.architecture:
        return convention_of(config.architecture), ()
    # timm names its files after the architecture: tf_efficientnet_b0_aa-827b6e33.pth, efficientnet_b0_ra-3dd342df.pth.
    native = path.name.startswith("efficientnet")
    assumed = "PyTorch's symmetric padding, epsilon 1e-5" if native else "TensorFlow's SAME padding, epsilon 1e-3"
    note = f"nothing beside {path.name} says how its convolutions pad: assumed {assumed} (a {CONFIG} would tell)"
    return (TIMM_NATIVE if native else TENSORFLOW), (note,)
