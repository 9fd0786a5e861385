"""The built-in pictures: the same bytes on every machine, each different, none dull."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.calibration_source import open_calibration
from converters.integer_noise import Draws, clouds, stretch
from converters.probe import GOLDEN_SEED, PROBE_SEED
from converters.procedural import procedural_image
from edgenet.preprocessing import Preprocessing


def _sha256(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


@dataclass(frozen=True)
class Golden:
    """A picture and the start of its bytes' SHA-256."""

    index: int
    side_px: int
    seed: int
    sha256: str


# The same with NumPy 1.26 and 2.4. Another value here means other calibrations from the same command.
GOLDEN = [
    Golden(0, 64, 0, "3348660e34c7445c"),
    Golden(0, 224, 0, "2bd7ed33178296bb"),
    Golden(1, 224, 0, "7187c8b22bdc9724"),
    Golden(199, 224, 0, "29ccb45143671e25"),
    Golden(0, 224, 1, "ad15f82ed67089f9"),
    Golden(0, 301, 0, "50c7b0765b478f41"),
    Golden(0, 600, 0, "51f79353468815be"),
    Golden(7, 300, PROBE_SEED, "3859f888b5522d86"),
    Golden(3, 96, GOLDEN_SEED, "731fedc752eed132"),
]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case.index}-{case.side_px}-{case.seed}")
def test_the_bytes_are_the_same_everywhere(case: Golden) -> None:
    assert _sha256(procedural_image(case.index, case.side_px, case.seed)).startswith(case.sha256)


@pytest.mark.parametrize("side_px", [64, 65, 192, 224, 299, 300, 301, 456, 600])
def test_every_side_gives_a_picture(side_px: int) -> None:
    pixels = procedural_image(5, side_px)
    assert pixels.shape == (side_px, side_px, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert len(np.unique(pixels)) > 64
    # Nothing is left blank at the far edges.
    assert all(len(np.unique(edge)) > 4 for edge in (pixels[-1], pixels[:, -1], pixels[0], pixels[:, 0]))


def test_the_pictures_use_the_whole_range_and_have_the_brightness_of_photos() -> None:
    pictures = [procedural_image(index, 96) for index in range(100)]
    assert min(picture.min() for picture in pictures) == 0
    assert max(picture.max() for picture in pictures) == 255
    means = np.asarray([picture.mean() for picture in pictures])
    assert 110 < means.mean() < 150
    assert means.std() > 20  # dark ones and bright ones
    assert min(picture.std() for picture in pictures) > 5
    assert np.mean([np.mean((picture == 0) | (picture == 255)) for picture in pictures]) < 0.2


def test_red_green_and_blue_differ_and_are_alike_on_the_average() -> None:
    pictures = np.stack([procedural_image(index, 64) for index in range(100)]).astype(float)
    channels = pictures.mean(axis=(0, 1, 2))
    assert np.ptp(channels) < 15
    assert np.abs(pictures[..., 0] - pictures[..., 2]).mean() > 5


def test_no_two_pictures_are_equal_whatever_their_seed() -> None:
    drawn = [(index, seed) for seed in (0, 1, 2, PROBE_SEED, GOLDEN_SEED) for index in range(20)]
    assert len({_sha256(procedural_image(index, 64, seed)) for index, seed in drawn}) == len(drawn)


def test_a_picture_does_not_depend_on_how_many_are_drawn_or_on_their_order() -> None:
    record = Preprocessing(64, "squash", 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3)
    few, many = (list(open_calibration("builtin", record, count, seed=3)) for count in (16, 40))
    for index, picture in enumerate(few):
        np.testing.assert_array_equal(picture, many[index])
        np.testing.assert_array_equal(picture, procedural_image(index, 64, 3))
    backwards = [procedural_image(index, 64, 3) for index in reversed(range(16))]
    np.testing.assert_array_equal(np.stack(backwards[::-1]), np.stack(few))


def test_draws_stay_in_range_and_reach_both_ends() -> None:
    draws = Draws(0, 0)
    assert {draws.below(3) for _ in range(100)} == {0, 1, 2}
    assert {draws.between(-2, 2) for _ in range(200)} == {-2, -1, 0, 1, 2}
    assert {draws.chance(0) for _ in range(100)} == {False}
    assert {draws.chance(100) for _ in range(100)} == {True}
    assert 400 < sum(draws.chance(50) for _ in range(1000)) < 600
    noise = Draws(1, 1).signed(64, 63)
    assert noise.dtype == np.int16
    assert (noise.shape, noise.min(), noise.max()) == ((64, 63), -128, 127)


@pytest.mark.parametrize("keep", [4, 16])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (12, 1), (32, 32)])
def test_clouds_lie_around_the_middle(rows: int, columns: int, keep: int) -> None:
    plane = clouds(Draws(0, 0), 224, rows, columns, keep)
    assert plane.shape == (224, 224)
    assert plane.dtype == np.int16
    assert plane.min() >= 0 and plane.max() <= 255
    assert 90 < plane.mean() < 166
    assert np.mean((plane == 0) | (plane == 255)) < 0.2


def test_stretching_keeps_values_between_their_neighbours() -> None:
    plane = np.asarray([[0, 255], [255, 0]], dtype=np.int16)
    large = stretch(plane, 128)
    assert (large[0, 0], large.min(), large.max()) == (0, 0, large[0, -1])
    assert large[0, -1] >= 252 and large[-1, 0] >= 252
    assert (np.diff(large[0]) >= 0).all()
    np.testing.assert_array_equal(large, large.T)
    # The middle of the first row of a straight line from 0 to 255.
    assert large[0, 64] == 127
