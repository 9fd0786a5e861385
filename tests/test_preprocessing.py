"""The crop rules to the pixel, normalization, the exact zero point, and records that make no sense."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgenet.errors import InputError
from edgenet.preprocessing import CropRule, Interpolation, Preprocessing, checked, crop_photo, normalize
from edgenet.weights.hub import HUB
from tests.golden.crop_cases import GoldenCrop, photo, read_crops, sampled

LITE = Preprocessing(224, "crop_then_resize", 0.875, "bilinear", (127.0,) * 3, (128.0,) * 3)
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
BOTH_FILTERS = pytest.mark.parametrize("interpolation", FILTERS)


def _record(side_px: int, rule: CropRule, fraction: float, interpolation: Interpolation = "bilinear") -> Preprocessing:
    return Preprocessing(side_px, rule, fraction, interpolation, (0.0,) * 3, (1.0,) * 3)


def _resized(pixels: NDArray[np.uint8], width: int, height: int, interpolation: str) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((width, height), FILTERS[interpolation]))


@dataclass(frozen=True)
class CutFirst:
    """A photo, a network, and the square that is cut before it is resized.

    tensorflow/tpu preprocessing.py: a padding of round(side * (1 / 0.875 - 1)) around the side, scaled to the photo;
    the offsets are (length - square + 1) // 2.
    """

    width: int
    height: int
    side_px: int
    fraction: float
    left: int
    top: int
    square: int


CUT_FIRST = [
    CutFirst(500, 375, 224, 0.875, 86, 24, 328),  # 375 * 224 / 256 = 328.1
    CutFirst(375, 500, 224, 0.875, 24, 86, 328),
    CutFirst(256, 256, 224, 0.875, 16, 16, 224),  # cut only: not resized at all
    CutFirst(300, 256, 224, 0.875, 38, 16, 224),
    CutFirst(301, 257, 224, 0.875, 39, 17, 224),  # an odd rest: one pixel more on the left and above
    CutFirst(90, 60, 224, 0.875, 19, 4, 52),  # smaller than the side: enlarged
    CutFirst(500, 333, 300, 0.875, 105, 21, 291),  # padding 43: 333 * 300 / 343 = 291.3
    CutFirst(640, 480, 240, 0.875, 110, 30, 420),  # padding 34: 480 * 240 / 274 = 420.4
    CutFirst(640, 480, 600, 0.875, 111, 31, 419),  # padding 86: 480 * 600 / 686 = 419.8
    CutFirst(500, 375, 300, 300 / 332, 81, 19, 338),  # the older rule, padding 32: 375 * 300 / 332 = 338.9
    CutFirst(500, 375, 224, 1.0, 63, 0, 375),
    CutFirst(20, 1, 224, 0.875, 10, 0, 1),  # never less than a pixel
]


@BOTH_FILTERS
@pytest.mark.parametrize("case", CUT_FIRST, ids=lambda case: f"{case.width}x{case.height}-{case.side_px}")
def test_crop_then_resize_cuts_the_square_of_tensorflows_rule(case: CutFirst, interpolation: Interpolation) -> None:
    padding = round(case.side_px / case.fraction) - case.side_px
    short = min(case.width, case.height)
    assert case.square == max(1, int(Fraction(short * case.side_px, case.side_px + padding)))
    assert (case.left, case.top) == ((case.width - case.square + 1) // 2, (case.height - case.square + 1) // 2)
    pixels = np.asarray(photo(case.width, case.height))
    square = pixels[case.top : case.top + case.square, case.left : case.left + case.square]
    got = crop_photo(Image.fromarray(pixels), _record(case.side_px, "crop_then_resize", case.fraction, interpolation))
    np.testing.assert_array_equal(got, _resized(square, case.side_px, case.side_px, interpolation))


@dataclass(frozen=True)
class ResizedFirst:
    """A photo, a network, the size it is brought to, and where the crop begins then (timm, torchvision)."""

    width: int
    height: int
    side_px: int
    fraction: float
    size: tuple[int, int]
    left: int
    top: int


RESIZED_FIRST = [
    ResizedFirst(500, 375, 224, 0.875, (341, 256), 58, 16),  # 341.3; (341 - 224) / 2 = 58.5, rounded to even
    ResizedFirst(375, 500, 224, 0.875, (256, 341), 16, 58),
    ResizedFirst(256, 256, 224, 0.875, (256, 256), 16, 16),  # cut only
    ResizedFirst(300, 256, 224, 0.875, (300, 256), 38, 16),
    ResizedFirst(90, 60, 224, 0.875, (384, 256), 80, 16),  # enlarged
    ResizedFirst(500, 333, 300, 0.904, (496, 331), 98, 16),  # 300 / 0.904 = 331.9; (331 - 300) / 2 = 15.5 to 16
    ResizedFirst(500, 375, 240, 0.882, (362, 272), 61, 16),  # 240 / 0.882 = 272.1
    ResizedFirst(500, 375, 384, 1.0, (512, 384), 64, 0),
    # 256 / 107 * 214 is 511.99999999999994 in floating point, and 512 in truth.
    ResizedFirst(214, 107, 224, 0.875, (512, 256), 144, 16),
    ResizedFirst(98, 49, 224, 0.875, (512, 256), 144, 16),
    ResizedFirst(20, 1, 224, 0.875, (5120, 256), 2448, 16),
]


@BOTH_FILTERS
@pytest.mark.parametrize("case", RESIZED_FIRST, ids=lambda case: f"{case.width}x{case.height}-{case.side_px}")
def test_resize_then_crop_is_torchvisions_rule(case: ResizedFirst, interpolation: Interpolation) -> None:
    pixels = np.asarray(photo(case.width, case.height))
    large = _resized(pixels, *case.size, interpolation)
    assert case.size == tuple(
        int(Fraction(int(case.side_px / case.fraction) * length, min(case.width, case.height)))
        for length in (case.width, case.height)
    )
    got = crop_photo(Image.fromarray(pixels), _record(case.side_px, "resize_then_crop", case.fraction, interpolation))
    wanted = large[case.top : case.top + case.side_px, case.left : case.left + case.side_px]
    np.testing.assert_array_equal(got, wanted)


@BOTH_FILTERS
@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (60, 60)])
def test_squash_keeps_everything(width: int, height: int, interpolation: Interpolation) -> None:
    pixels = np.asarray(photo(width, height))
    got = crop_photo(Image.fromarray(pixels), _record(192, "squash", 1.0, interpolation))
    np.testing.assert_array_equal(got, _resized(pixels, 192, 192, interpolation))


@pytest.mark.parametrize("case", read_crops(), ids=lambda case: case.id)
def test_the_pixels_are_timms(case: GoldenCrop) -> None:
    got = crop_photo(photo(*case.photo_size), HUB[case.variant].rule.at(case.side_px))
    # Pillow 10.3 and 13.0 differ by up to three levels; a crop that is a pixel off differs by dozens.
    np.testing.assert_allclose(np.asarray(sampled(got), int), np.asarray(case.pixels), rtol=0, atol=4)


def test_the_two_filters_and_the_three_rules_differ() -> None:
    image = photo(500, 375)
    crops = {
        crop_photo(image, _record(224, rule, 0.875, interpolation)).tobytes()
        for rule in ("crop_then_resize", "resize_then_crop", "squash")
        for interpolation in ("bicubic", "bilinear")
    }
    assert len(crops) == 6


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_photo_becomes_rgb_levels(mode: str) -> None:
    pixels = crop_photo(photo(80, 60).convert(mode), LITE)
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8


def test_normalize_is_less_mean_over_std_in_float32() -> None:
    record = replace(LITE, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    levels = np.arange(256 * 3).reshape(16, 16, 3) % 256
    wanted = (levels - np.asarray(IMAGENET_MEAN)) / np.asarray(IMAGENET_STD)
    for pixels in (levels.astype(np.uint8), levels.astype(np.float32)):
        got = normalize(pixels, record)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_normalize_of_lite_is_exact() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    np.testing.assert_array_equal(normalize(levels, LITE)[:, 0], (np.arange(256) - 127) / 128)


@dataclass(frozen=True)
class ZeroPoint:
    """A normalization, and the uint8 zero point that stands for it exactly."""

    id: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    zero_point: int | None


ZERO_POINTS = [
    ZeroPoint("lite", (127.0,) * 3, (128.0,) * 3, 127),
    ZeroPoint("v2", (128.0,) * 3, (128.0,) * 3, 128),
    ZeroPoint("raw", (0.0,) * 3, (1.0,) * 3, 0),
    ZeroPoint("raw-over-255", (0.0,) * 3, (255.0,) * 3, 0),
    ZeroPoint("largest", (255.0,) * 3, (1.0,) * 3, 255),
    ZeroPoint("half", (127.5,) * 3, (127.5,) * 3, None),
    ZeroPoint("imagenet", IMAGENET_MEAN, IMAGENET_STD, None),
    ZeroPoint("one-mean-three-stds", (127.0,) * 3, (128.0, 128.0, 127.0), None),
    ZeroPoint("three-means-one-std", (127.0, 127.0, 128.0), (128.0,) * 3, None),
]


@pytest.mark.parametrize("case", ZERO_POINTS, ids=lambda case: case.id)
def test_the_exact_zero_point(case: ZeroPoint) -> None:
    record = replace(LITE, mean=case.mean, std=case.std)
    assert record.exact_zero_point == case.zero_point
    if case.zero_point is not None:
        levels = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
        by_scale = (levels.astype(np.float32) - case.zero_point) * (np.float32(1) / np.float32(case.std[0]))
        np.testing.assert_allclose(normalize(levels, record), by_scale, rtol=2e-7)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_fraction": 0.0}, "crop fraction 0 is out of range; allowed: from 0.1 to 1"),
        ({"crop_fraction": 1.01}, "crop fraction 1.01 is out of range"),
        ({"crop_fraction": -0.875}, "crop fraction -0.875 is out of range"),
        ({"crop_fraction": NAN}, "crop fraction nan is out of range"),
        ({"std": (128.0, 0.0, 128.0)}, "std .* is out of range; allowed: three positive numbers"),
        ({"std": (128.0, 128.0, -1.0)}, "std .* is out of range"),
        ({"std": (NAN, 128.0, 128.0)}, "std .* is out of range"),
        ({"std": (128.0, INFINITY, 128.0)}, "std .* is out of range"),
        ({"mean": (-1.0, 127.0, 127.0)}, "mean .* is out of range; allowed: three numbers from 0 to 255"),
        ({"mean": (127.0, 256.0, 127.0)}, "mean .* is out of range"),
        ({"mean": (127.0, 127.0, NAN)}, "mean .* is out of range"),
    ],
)
def test_impossible_records_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(replace(LITE, **changes))  # type: ignore[arg-type]  # the fields' values differ in type


@pytest.mark.parametrize(
    "record", [LITE, replace(LITE, crop_fraction=1.0), replace(LITE, mean=(0.0, 255.0, 0.0), std=(1e-3, 1.0, 255.0))]
)
def test_possible_records_are_returned_as_they_are(record: Preprocessing) -> None:
    assert checked(record) is record


@BOTH_FILTERS
def test_lines_are_resized_before_columns_whatever_pillow_does(interpolation: Interpolation) -> None:
    """A tall photo that is squashed: Pillow 13 by itself would resize its columns first."""
    photo = Image.fromarray(np.random.default_rng(5).integers(0, 256, (100, 3, 3), dtype=np.uint8))
    chosen = FILTERS[interpolation]
    lines = photo.resize((64, 100), chosen)  # only one of both sides changes: one pass
    record = Preprocessing(64, "squash", 1.0, interpolation, (0.0,) * 3, (1.0,) * 3)
    assert np.array_equal(crop_photo(photo, record), np.asarray(lines.resize((64, 64), chosen)))
