"""The one door to weights: from what the user chose to a full set of tensors with its preprocessing."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgenet.errors import InputError, MissingError
from edgenet.variants import Variant
from edgenet.weights.imagenet import cached_imagenet_weights, imagenet_weights
from edgenet.weights.local_file import READERS, file_weights
from edgenet.weights.packaged import is_packaged, packaged_weights
from edgenet.weights.preprocessing_rules import PreprocessingOverrides, apply_overrides
from edgenet.weights.random import DEFAULT_SEED, random_weights
from edgenet.weights.record import Weights
from edgenet.weights.run_folder import is_run, run_weights

Say = Callable[[str], None]

DEFAULT_CLASSES = 1000
ALLOWED = f"auto, packaged, imagenet, random, random:SEED, a {', '.join(READERS)} file, or a run of edgenet train"
MAX_SEED = 2**63 - 1


def load_weights(
    choice: str,
    variant: Variant,
    *,
    say: Say,
    overrides: PreprocessingOverrides | None = None,
    num_classes: int = 0,
    seed: int = DEFAULT_SEED,
) -> Weights:
    """Load the weights that `choice` names: auto, packaged, imagenet, random, random:SEED or a file.

    `num_classes` 0 means as many as the weights have (random: 1000); `overrides` win over every other preprocessing.
    What the user must be told at once goes to `say`, what must be told again stands in the result's notes. Its
    `source` is "random" exactly when the values are. Raises InputError for a bad choice, file or number of classes,
    MissingError where the weights cannot be had (`auto` then takes random ones).
    """
    weights = _choose(choice, variant, say, num_classes, seed)
    if num_classes and weights.num_classes != num_classes:
        raise InputError(
            f"{weights.origin} has {weights.num_classes} classes, not {num_classes}",
            allowed=str(weights.num_classes),
            mend="train a head of your own first, or take --weights random",
        )
    record, notes = apply_overrides(weights.preprocessing, overrides)
    return replace(weights, preprocessing=record, notes=(*weights.notes, *notes))


def _choose(choice: str, variant: Variant, say: Say, num_classes: int, seed: int) -> Weights:
    if choice == "auto":
        return _best(variant, say, num_classes, seed)
    if choice == "packaged":
        return packaged_weights(variant)
    if choice == "imagenet":
        return imagenet_weights(variant, say)
    if choice == "random" or choice.startswith("random:"):
        return random_weights(variant, _seed(choice, seed), num_classes or DEFAULT_CLASSES)
    path = Path(choice).expanduser()
    if not choice or not (path.suffix or path.exists()):
        raise InputError(f"unknown weights {choice!r}", allowed=ALLOWED)
    return run_weights(path, variant) if is_run(path) else file_weights(path, variant)


def _seed(choice: str, seed: int) -> int:
    text = choice.partition(":")[2]
    if choice == "random":
        return seed
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > MAX_SEED:
        raise InputError(f"unknown seed in {choice!r}", allowed=f"random:0 to random:{MAX_SEED}")
    return int(text)


def _best(variant: Variant, say: Say, num_classes: int, seed: int) -> Weights:
    """Take the package, else the cache, else the network; else random weights, said aloud here and in the notes."""
    if is_packaged(variant):
        return packaged_weights(variant)
    cached = cached_imagenet_weights(variant)
    if cached:
        return cached
    try:
        return imagenet_weights(variant, say)
    except MissingError as error:
        note = f"RANDOM WEIGHTS: {error.what}; going on with seeded random ones; {error.mend or 'give --weights FILE'}"
    say(note)
    weights = random_weights(variant, seed, num_classes or DEFAULT_CLASSES)
    return replace(weights, notes=(note, *weights.notes))
