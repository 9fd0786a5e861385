"""The preprocessing record: how a photo becomes the numbers that a network was trained on.

One frozen record travels unchanged from the weights to calibration, verify, bundle and the app. It belongs to a set of
weights, never to a variant alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgenet.errors import InputError

Interpolation = Literal["bicubic", "bilinear"]
# crop_then_resize: cut the centre square (crop_fraction of the shorter side), then resize it (tensorflow/tpu).
# resize_then_crop: resize the shorter side to floor(side / crop_fraction), then cut the centre (timm, torchvision).
# squash: resize the whole image to the square, whatever its shape (google/automl V2 at 320 pixels and more).
CropRule = Literal["crop_then_resize", "resize_then_crop", "squash"]

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


SMALLEST_CROP = 0.1  # photos are resized to side / crop: a smaller crop would ask for gigapixels


@dataclass(frozen=True)
class Preprocessing:
    """How to turn an RGB photo into a network's input; mean and std in pixel units (0–255)."""

    side_px: int
    crop_rule: CropRule
    crop_fraction: float
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: Literal["rgb"] = "rgb"
    label_offset: int = 0  # 1: class 0 is "background" and ImageNet's classes start at 1

    @property
    def exact_zero_point(self) -> int | None:
        """Return the uint8 zero point that makes raw pixels the network's input without any op, if there is one.

        (x - mean) / std is a uint8 tensor's value exactly when the three channels share one whole-numbered mean and
        one std: then the zero point is the mean and the scale 1 / std.
        """
        if len(set(self.mean)) > 1 or len(set(self.std)) > 1 or not float(self.mean[0]).is_integer():
            return None
        return int(self.mean[0])


def crop_photo(photo: Image.Image, record: Preprocessing) -> NDArray[np.uint8]:
    """Crop and resize a photo to raw pixels [side, side, 3], 0–255 RGB: what a deployed file takes."""
    rgb = photo.convert("RGB")
    cropped = _CROPS[record.crop_rule](rgb, record)
    return np.asarray(cropped, dtype=np.uint8)


def normalize(pixels: NDArray[np.uint8] | NDArray[np.float32], record: Preprocessing) -> NDArray[np.float32]:
    """Return (pixels - mean) / std, [..., 3] -> [..., 3]: what the bare network takes."""
    mean = np.asarray(record.mean, dtype=np.float32)
    std = np.asarray(record.std, dtype=np.float32)
    return ((pixels.astype(np.float32) - mean) / std).astype(np.float32)


def _crop_then_resize(photo: Image.Image, record: Preprocessing) -> Image.Image:
    # tensorflow/tpu preprocessing.py: size / (size + padding) of the shorter side, padding rounded to whole pixels.
    padding = round(record.side_px / record.crop_fraction) - record.side_px
    square = max(1, int(record.side_px / (record.side_px + padding) * min(photo.size)))
    left, top = (photo.width - square + 1) // 2, (photo.height - square + 1) // 2
    return _resized(photo.crop((left, top, left + square, top + square)), record.side_px, record.side_px, record)


def _resize_then_crop(photo: Image.Image, record: Preprocessing) -> Image.Image:
    short = int(record.side_px / record.crop_fraction)
    # torchvision's Resize rounds the longer side down, of the exact ratio.
    wide, high = (short * length // min(photo.size) for length in photo.size)
    resized = _resized(photo, wide, high, record)
    left, top = round((wide - record.side_px) / 2), round((high - record.side_px) / 2)
    return resized.crop((left, top, left + record.side_px, top + record.side_px))


def _squash(photo: Image.Image, record: Preprocessing) -> Image.Image:
    return _resized(photo, record.side_px, record.side_px, record)


def _resized(photo: Image.Image, width: int, height: int, record: Preprocessing) -> Image.Image:
    """Resize lines first, then columns, each rounded to bytes.

    Pillow 13 takes the other order where the height shrinks more than the width, Pillow 12 never does: pixels would be
    up to 20 levels apart.
    """
    chosen = _FILTERS[record.interpolation]
    return photo.resize((width, photo.height), chosen).resize((width, height), chosen)


_CROPS = {"crop_then_resize": _crop_then_resize, "resize_then_crop": _resize_then_crop, "squash": _squash}


def checked(record: Preprocessing) -> Preprocessing:
    """Return `record` if each value makes sense; raise InputError naming the first that does not."""
    if not SMALLEST_CROP <= record.crop_fraction <= 1:
        raise InputError(
            f"crop fraction {record.crop_fraction:g} is out of range", allowed=f"from {SMALLEST_CROP:g} to 1"
        )
    if not all(0 < value < math.inf for value in record.std):
        raise InputError(f"std {record.std} is out of range", allowed="three positive numbers, pixel units (0–255)")
    if not all(0 <= value <= 255 for value in record.mean):
        raise InputError(f"mean {record.mean} is out of range", allowed="three numbers from 0 to 255 (pixel units)")
    return record
