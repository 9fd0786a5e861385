"""Small seeded networks of every family: a conversion of one takes a fraction of a second."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from converters.procedural import procedural_image
from edgenet.preprocessing import Preprocessing
from edgenet.variants import VARIANTS, Variant
from edgenet.weights.random import random_weights
from edgenet.weights.record import Convention, Weights

SIDE_PX, CLASSES = 64, 10
FAMILY_HEADS = {"b": "b0", "lite": "lite0", "edgetpu": "edgetpu-s", "v2": "v2-b0"}
LITE_MEAN, LITE_STD = (127.0,) * 3, (128.0,) * 3
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
HALF = (127.5,) * 3


def small_variant(family: str) -> Variant:
    """Return the family's smallest variant with one block a stage and a small input."""
    variant = VARIANTS[FAMILY_HEADS[family]]
    stages = tuple(replace(stage, repeats=min(stage.repeats, 2)) for stage in variant.stages[:5])
    return replace(variant, stages=stages, side_px=SIDE_PX)


def small_weights(
    family: str,
    mean: tuple[float, float, float] = LITE_MEAN,
    std: tuple[float, float, float] = LITE_STD,
    convention: Convention = Convention(),
) -> Weights:
    """Return seeded weights of the family's small variant."""
    weights = random_weights(small_variant(family), 0, CLASSES)
    record = Preprocessing(SIDE_PX, "crop_then_resize", 0.875, "bilinear", mean, std)
    return replace(weights, preprocessing=record, convention=convention)


def pictures(count: int, side_px: int = SIDE_PX, seed: int = 7) -> list[NDArray[np.uint8]]:
    """Return procedural pictures [side, side, 3]."""
    return [procedural_image(index, side_px, seed) for index in range(count)]
