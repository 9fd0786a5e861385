"""Read a model that was fine-tuned elsewhere as weights of a variant, and prove that they compute what it computes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from converters.foreign.child import ANSWERS, TENSORS
from converters.foreign.files import digest, kind_of
from converters.foreign.normalization import BY_HAND, OF_CONFIG, OF_MANIFEST, Given
from converters.foreign.process import read_in_child
from converters.foreign.proof import prove
from converters.foreign.weights_only import is_weights_only, read_weights_only
from edgenet.errors import InputError
from edgenet.manifest import Manifest
from edgenet.preprocessing import Preprocessing, checked
from edgenet.variants import Variant, parse_variant
from edgenet.weights.local_file import CONFIG
from edgenet.weights.names import BACKGROUND_CLASSES
from edgenet.weights.preprocessing_rules import PreprocessingOverrides, apply_overrides, published_rule
from edgenet.weights.record import Convention, Weights
from edgenet.weights.timm_config import TimmConfig, read_timm_config, refuse_other_variant

Say = Callable[[str], None]


def read_model(
    path: Path,
    variant: Variant | None,
    overrides: PreprocessingOverrides | None,
    say: Say,
    recorded: Preprocessing | None = None,
) -> Weights:
    """Return the weights of a .keras, .h5, SavedModel or .onnx model once they are proved against the model itself.

    `recorded` is the preprocessing of a manifest whose run is repeated: then nothing is asked. Raise InputError for a
    model that is no EfficientNet, not `variant`, unsafe, or does not say how its image is normalized; GateFailed where
    our network answers otherwise than the model.
    """
    kind = kind_of(path)
    say(f"opening {path.name} in a process of its own")
    config_path = path.parent / CONFIG
    config = read_timm_config(config_path) if config_path.is_file() else None
    given = _given(overrides, config, recorded)
    if kind == "keras" and is_weights_only(path):
        return read_weights_only(path, variant, overrides, given, say)
    with tempfile.TemporaryDirectory(prefix="edgenet-") as folder:
        request = {
            "path": str(path.resolve()),
            "kind": kind,
            "variant": variant.name if variant else "",
            "side_px": recorded.side_px if recorded else config.preprocessing.side_px if config else 0,
            "given": vars(given),
        }
        result = read_in_child(request, Path(folder), path.name)
        found = parse_variant(result["variant"])
        if config:
            _refuse_other(config, found, result["num_classes"], config_path)
        preprocessing, notes = _preprocessing(path, found, result, config, overrides, recorded)
        weights = Weights(
            tensors=load_file(Path(folder) / TENSORS),
            source="file",
            origin=path.name,
            sha256=digest(path, tuple(result["beside"])),
            variant=found,
            num_classes=result["num_classes"],
            preprocessing=preprocessing,
            convention=Convention(result["padding"], result["batch_norm_epsilon"]),
            notes=(*_facts(path, result), *notes),
            whole_model=True,
        )
        answers = load_file(Path(folder) / ANSWERS)
        note = prove(weights, answers["pixels"], answers["answers"], result["softmax"])
    return replace(weights, notes=(*weights.notes, note))


def read_again(path: Path, manifest: Manifest, say: Say) -> Weights:
    """Return the weights of the model that a manifest's run was made from, with the preprocessing that it had then."""
    variant, recorded = parse_variant(manifest.variant), manifest.to_preprocessing()
    return read_model(path.expanduser(), variant, None, say, recorded)


def _given(
    overrides: PreprocessingOverrides | None, config: TimmConfig | None, recorded: Preprocessing | None
) -> Given:
    """Return the normalization that is known from outside of the model; flags come before a config.json."""
    if recorded:
        return Given(recorded.mean, recorded.std, OF_MANIFEST)
    mean, std = (overrides.mean, overrides.std) if overrides else (None, None)
    if mean is not None or std is not None:
        if mean is None or std is None:
            raise InputError("only one of --mean and --std was given", allowed="both", mend="give the other as well")
        return Given(mean, std, BY_HAND)
    if config:
        return Given(config.preprocessing.mean, config.preprocessing.std, OF_CONFIG)
    return Given(None, None, "")


def _refuse_other(config: TimmConfig, variant: Variant, num_classes: int, path: Path) -> None:
    """Raise InputError where a config.json speaks of another model than the one beside it."""
    refuse_other_variant(config.architecture, variant, str(path))
    if config.num_classes not in (0, num_classes):
        raise InputError(f"the model has {num_classes} classes, {path} says {config.num_classes}", mend="correct it")


def _facts(path: Path, result: dict[str, Any]) -> tuple[str, ...]:
    notes = [f"{path.name}, {result['title']}, was recognised as {result['variant']}, {result['num_classes']} classes"]
    if not result["side_is_fixed"]:
        notes.append(f"the model takes images of any side: {result['side_px']} px was taken")
    if result["folded"]:
        notes.append(f"{result['folded']} batch norms came as a scale and a shift; the network computes the same")
    if result["softmax"]:
        notes.append("the model ends in softmax; the written files give the logits before it")
    return tuple(notes)


def _preprocessing(
    path: Path,
    variant: Variant,
    result: dict[str, Any],
    config: TimmConfig | None,
    overrides: PreprocessingOverrides | None,
    recorded: Preprocessing | None,
) -> tuple[Preprocessing, tuple[str, ...]]:
    """Return the whole record, and what has to be said of where it comes from."""
    if recorded:
        return recorded, ()
    mean, std = (tuple(result["settled"][key]) for key in ("mean", "std"))
    offset = int(result["num_classes"] == BACKGROUND_CLASSES)
    record = config.preprocessing if config else published_rule(variant).at(result["side_px"], offset)
    record = checked(replace(record, side_px=result["side_px"], mean=mean, std=std))
    # Mean and std were settled together with the model's own layers: only the rest is still to be set by hand.
    rest = replace(overrides, mean=None, std=None) if overrides else None
    record, by_hand = apply_overrides(record, rest)
    rule = f"{record.crop_rule.replace('_', ' ')} {record.crop_fraction:g}, {record.interpolation}"
    source = f"of the {CONFIG} beside it" if config else f"published for {variant.name}, assumed here"
    return record, (result["settled"]["note"], f"crop and interpolation: {rule} ({source})", *by_hand)
