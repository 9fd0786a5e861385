"""One training image from a photo: a random crop, perhaps flipped, and a policy's operations on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgenet.preprocessing import Interpolation
from edgenet.training.autoaugment import autoaugment
from edgenet.training.randaugment import randaugment

WIDEST = 4 / 3  # aspect of a crop, either way (Szegedy et al., arXiv 1409.4842)
TRIES = 10
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Augmentation:
    """What is done to a photo in one stage."""

    side_px: int
    interpolation: Interpolation
    smallest_area: float
    flip: bool
    policy: Literal["randaugment", "autoaugment"]
    operations: int
    magnitude: float


def augmented(photo: Image.Image, settings: Augmentation, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return raw pixels [side, side, 3] of a random view of an RGB photo."""
    side = (settings.side_px, settings.side_px)
    # The same filters as in deployment, antialiased when shrinking: other ones would be other data.
    image = photo.resize(side, _FILTERS[settings.interpolation], box=_crop_box(photo.size, settings, random))
    if settings.flip and random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if settings.policy == "autoaugment":
        image = autoaugment(image, random)
    else:
        image = randaugment(image, settings.operations, settings.magnitude, random)
    return np.asarray(image, dtype=np.uint8)


def _crop_box(
    size: tuple[int, int], settings: Augmentation, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of a crop of random area and aspect; the whole photo where none fits."""
    width, height = size
    for _ in range(TRIES):
        area = width * height * random.uniform(settings.smallest_area, 1)
        aspect = math.exp(random.uniform(-math.log(WIDEST), math.log(WIDEST)))
        wide, high = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if wide <= width and high <= height:
            left, top = random.uniform(0, width - wide), random.uniform(0, height - high)
            return left, top, left + wide, top + high
    return 0, 0, width, height
