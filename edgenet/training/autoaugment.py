"""AutoAugment (arXiv 1805.09501): one of twenty-five learned pairs of operations, each with its chance and its level.

The pairs are those that EfficientNet was trained with (tensorflow/tpu `autoaugment.py`, policy v0), and so are the
ranges, but for posterization: that code leaves 0 to 4 bits, at its lowest levels a black image; the paper says 4 to 8.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from edgenet.training.randaugment import OPERATIONS, Operation

MOST = 10.0
BRIGHTENED_BELOW = 128  # solarize_add leaves lighter values alone

Step = tuple[str, float, int]
"""An operation, its chance, and its level from 0 to 10."""

PAIRS: tuple[tuple[Step, Step], ...] = (
    (("equalize", 0.8, 1), ("shear_y", 0.8, 4)),
    (("colour", 0.4, 9), ("equalize", 0.6, 3)),
    (("colour", 0.4, 1), ("rotate", 0.6, 8)),
    (("solarize", 0.8, 3), ("equalize", 0.4, 7)),
    (("solarize", 0.4, 2), ("solarize", 0.6, 2)),
    (("colour", 0.2, 0), ("equalize", 0.8, 8)),
    (("equalize", 0.4, 8), ("solarize_add", 0.8, 3)),
    (("shear_x", 0.2, 9), ("rotate", 0.6, 8)),
    (("colour", 0.6, 1), ("equalize", 1.0, 2)),
    (("invert", 0.4, 9), ("rotate", 0.6, 0)),
    (("equalize", 1.0, 9), ("shear_y", 0.6, 3)),
    (("colour", 0.4, 7), ("equalize", 0.6, 0)),
    (("posterize", 0.4, 6), ("autocontrast", 0.4, 7)),
    (("solarize", 0.6, 8), ("colour", 0.6, 9)),
    (("solarize", 0.2, 4), ("rotate", 0.8, 9)),
    (("rotate", 1.0, 7), ("move_y", 0.8, 9)),
    (("shear_x", 0.0, 0), ("solarize", 0.8, 4)),
    (("shear_y", 0.8, 0), ("colour", 0.6, 4)),
    (("colour", 1.0, 0), ("rotate", 0.6, 2)),
    (("equalize", 0.8, 4), ("equalize", 0.0, 8)),
    (("equalize", 1.0, 4), ("autocontrast", 0.6, 2)),
    (("shear_y", 0.4, 7), ("solarize_add", 0.6, 7)),
    (("posterize", 0.8, 2), ("solarize", 0.6, 10)),
    (("solarize", 0.6, 8), ("equalize", 0.6, 1)),
    (("colour", 0.8, 6), ("rotate", 0.4, 5)),
)


def _colour(image: Image.Image, level: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(0.1 + 1.8 * abs(level))  # from nearly grey to nearly twice as colourful


def _solarize(image: Image.Image, level: float) -> Image.Image:
    return ImageOps.solarize(image, round(256 * abs(level)))  # a high level leaves more of the image alone


def _solarize_add(image: Image.Image, level: float) -> Image.Image:
    added = round(110 * abs(level))
    table = [min(255, value + added) if value < BRIGHTENED_BELOW else value for value in range(256)]
    return image.point(table * 3)


# The signed ones are RandAugment's: a level of 10 is 30 degrees, a shear of 0.3, three tenths of the side.
TABLE: dict[str, Operation] = {
    **{name: OPERATIONS[name] for name in ("equalize", "autocontrast", "rotate", "shear_x", "shear_y", "move_y")},
    "posterize": OPERATIONS["posterize"],
    "invert": lambda image, level: ImageOps.invert(image),
    "colour": _colour,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
}


def autoaugment(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Apply one drawn pair of operations to an RGB image."""
    for name, chance, level in PAIRS[random.integers(len(PAIRS))]:
        if random.random() < chance:
            sign = 1 if random.random() < 0.5 else -1
            image = TABLE[name](image, sign * level / MOST)
    return image
