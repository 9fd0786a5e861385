"""RandAugment (arXiv 1909.13719): a few operations drawn from fourteen, all at one magnitude.

Ranges at magnitude 10 are those of the paper's code (tensorflow/tpu `autoaugment.py`): rotation 30 degrees, shear 0.3,
translation 100 of 331 pixels, enhancement 0.9 off from 1, posterization to 4 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

MOST = 10.0
FILL = (128, 128, 128)  # what comes in from outside
Operation = Callable[[Image.Image, float], Image.Image]
"""An image and a level from -1 to 1, of which operations without direction take the size."""


def _affine(image: Image.Image, matrix: tuple[float, float, float, float, float, float]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=FILL
    )


def _rotate(image: Image.Image, level: float) -> Image.Image:
    return image.rotate(30 * level, resample=Image.Resampling.BILINEAR, fillcolor=FILL)


def _shear_x(image: Image.Image, level: float) -> Image.Image:
    return _affine(image, (1, 0.3 * level, -0.15 * level * image.height, 0, 1, 0))


def _shear_y(image: Image.Image, level: float) -> Image.Image:
    return _affine(image, (1, 0, 0, 0.3 * level, 1, -0.15 * level * image.width))


def _move_x(image: Image.Image, level: float) -> Image.Image:
    return _affine(image, (1, 0, 0.3 * level * image.width, 0, 1, 0))


def _move_y(image: Image.Image, level: float) -> Image.Image:
    return _affine(image, (1, 0, 0, 0, 1, 0.3 * level * image.height))


def _posterize(image: Image.Image, level: float) -> Image.Image:
    return ImageOps.posterize(image, 8 - round(4 * abs(level)))


def _solarize(image: Image.Image, level: float) -> Image.Image:
    return ImageOps.solarize(image, round(256 * (1 - abs(level))))


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, level: image,
    "autocontrast": lambda image, level: ImageOps.autocontrast(image),
    "equalize": lambda image, level: ImageOps.equalize(image),
    "rotate": _rotate,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "move_x": _move_x,
    "move_y": _move_y,
    "posterize": _posterize,
    "solarize": _solarize,
    "colour": lambda image, level: ImageEnhance.Color(image).enhance(1 + 0.9 * level),
    "contrast": lambda image, level: ImageEnhance.Contrast(image).enhance(1 + 0.9 * level),
    "brightness": lambda image, level: ImageEnhance.Brightness(image).enhance(1 + 0.9 * level),
    "sharpness": lambda image, level: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * level),
}
_TABLE = tuple(OPERATIONS.values())


def randaugment(image: Image.Image, operations: int, magnitude: float, random: np.random.Generator) -> Image.Image:
    """Apply `operations` drawn operations of a magnitude from 0 to 10, each to either side."""
    for index in random.integers(len(_TABLE), size=operations):
        sign = 1 if random.random() < 0.5 else -1
        image = _TABLE[index](image, sign * magnitude / MOST)
    return image
