"""The built-in calibration images: pictures made of numbers, for users who have no photos at hand.

A cloudy ground, and on it leaves: ellipses and polygons with power-law radii (as objects at all distances have), each
with a texture, a pattern and light of its own. What calibration needs of them is that every layer sees values as far
out as photos give; noise or flat colours reach half as far in the deep layers.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.integer_noise import Draws, Plane, clouds, stretch

Box = tuple[slice, slice]
Colour = tuple[int, int, int]

# Larger images are drawn at this side and stretched: photos at 600 pixels are soft as well, most are enlarged to it.
DRAWN_SIDE_PX = 300

# Percentages, and sizes in 224ths of the side.
LEAVES = (3, 30)
SMALLEST_RADIUS = (4, 14)
LARGE_LEAVES, CENTRED_LEAVES, ELLIPSES, STRIPED, LIT, TWO_COLOURED = 15, 30, 80, 25, 60, 40
PATCHED_GROUND, MIRRORED, BLURRED = 50, 25, 25
VIVID = (0, 60)
CONTRAST = (120, 240)  # 128ths

# Twelve directions as (x, y) * 256, 15 degrees apart on the average; a table, since cosines differ between libraries.
_DIRECTIONS = (
    (256, 0), (247, 66), (222, 128), (181, 181), (128, 222), (66, 247),
    (0, 256), (-66, 247), (-128, 222), (-181, 181), (-222, 128), (-247, 66),
)  # fmt: skip


@dataclass(frozen=True)
class _Scene:
    draws: Draws
    canvas: Plane  # [3, side, side], 0–255
    textures: tuple[Plane, ...]  # [side, side], 0–255
    vivid: int  # percent of colours that are far from grey

    @property
    def side(self) -> int:
        return int(self.canvas.shape[1])


def procedural_image(index: int, side_px: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return picture number `index` of a seed, [side, side, 3] RGB: the same bytes on any machine."""
    draws = Draws(seed, index)
    scene = _ground(draws, min(side_px, DRAWN_SIDE_PX))
    for _ in range(draws.between(*LEAVES)):
        _add_leaf(scene)
    planes = _finish(scene)
    if side_px > scene.side:
        planes = np.stack([stretch(plane, side_px) for plane in planes])
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2)).astype(np.uint8)


def _ground(draws: Draws, side: int) -> _Scene:
    textures = (
        clouds(draws, side, *_square(draws.between(1, 4)), keep=draws.between(4, 16)),
        clouds(draws, side, draws.between(1, 12), draws.between(1, 12), keep=draws.between(6, 18)),
        clouds(draws, side, *_square(draws.between(16, 32)), keep=16),
    )
    scene = _Scene(draws, np.empty((3, side, side), np.int16), textures, draws.between(*VIVID))
    everywhere = (slice(0, side), slice(0, side))
    _paint(scene, everywhere, np.ones((side, side), np.bool_), textures[draws.below(3)], _colour(scene), _colour(scene))
    if draws.chance(PATCHED_GROUND):
        patches = textures[0] > draws.between(80, 170)
        _paint(scene, everywhere, patches, textures[1], _colour(scene), _colour(scene))
    return scene


def _square(cells: int) -> tuple[int, int]:
    return cells, cells


def _colour(scene: _Scene) -> Colour:
    """Draw brightness first and a little colour on top: most of what a camera sees is nearly grey."""
    draws = scene.draws
    grey = draws.between(8, 247)
    reach = draws.between(30, 110) if draws.chance(scene.vivid) else draws.between(2, 14)
    red, blue = draws.between(-reach, reach), draws.between(-reach, reach)
    if draws.chance(60):  # daylight: what is redder is less blue
        blue = -red * draws.between(40, 100) // 100
    green = -(red + blue) // 3
    return _limited(grey + red), _limited(grey + green), _limited(grey + blue)


def _limited(value: int) -> int:
    return min(255, max(0, value))


def _paint(
    scene: _Scene, box: Box, mask: NDArray[np.bool_], texture: Plane, first: Colour, second: Colour,
    light: Plane | int = 0,
) -> None:  # fmt: skip
    """Paint `mask` [h, w] of `box` with the texture [h, w] between two colours, plus light."""
    share = texture >> 1  # 7 bits: 255 * 127 fits int16
    for channel in range(3):
        low, high = first[channel], second[channel]
        fill = (share * (high - low) >> 7) + low + light
        np.copyto(scene.canvas[channel][box], np.clip(fill, 0, 255), where=mask)


def _add_leaf(scene: _Scene) -> None:
    draws, side = scene.draws, scene.side
    radius = _radius(scene)
    x, y = draws.below(side), draws.below(side)
    if draws.chance(CENTRED_LEAVES):
        x, y = side // 2 + draws.between(-side // 6, side // 6), side // 2 + draws.between(-side // 6, side // 6)
    box = (_span(y, radius, side), _span(x, radius, side))
    dx = np.arange(box[1].start - x, box[1].stop - x, dtype=np.int32)
    dy = np.arange(box[0].start - y, box[0].stop - y, dtype=np.int32)[:, np.newaxis]
    mask = _ellipse(draws, dx, dy, radius) if draws.chance(ELLIPSES) else _polygon(draws, dx, dy, radius)
    texture = _cut(scene, mask.shape)
    first = _colour(scene)
    second = _colour(scene) if draws.chance(TWO_COLOURED) else _shade(first, draws.between(-60, 60))
    light = _light(draws, dx, dy, radius) if draws.chance(LIT) else 0
    _paint(scene, box, mask, texture, first, second, light)
    if draws.chance(STRIPED):
        _paint(scene, box, mask & _stripes(draws, dx, dy, texture), texture, _colour(scene), second, light)


def _radius(scene: _Scene) -> int:
    """Draw a radius with density r**-3 from a few pixels to half the side, or in some cases a large one."""
    draws, side = scene.draws, scene.side
    small, large = max(2, draws.between(*SMALLEST_RADIUS) * side // 224), side // 2
    if draws.chance(LARGE_LEAVES):
        return draws.between(side // 8, large)
    share = draws.below(1 << 16)
    # Inverse of the distribution function: 1 / r**2 is uniform.
    below = ((1 << 16) - share) * large**2 + share * small**2
    return math.isqrt((small * large) ** 2 * (1 << 16) // below)


def _span(centre: int, radius: int, side: int) -> slice:
    return slice(max(0, centre - radius), min(side, centre + radius + 1))


def _ellipse(draws: Draws, dx: NDArray[np.int32], dy: NDArray[np.int32], radius: int) -> NDArray[np.bool_]:
    u, v = _DIRECTIONS[draws.below(len(_DIRECTIONS))]
    short = max(2, radius * draws.between(15, 100) // 100)
    along, across = (dx * u + dy * v) >> 8, (dy * u - dx * v) >> 8
    # At most (150 * 150)**2 * 2 at the largest drawn side: within int32.
    return np.asarray((along * short) ** 2 + (across * radius) ** 2 < (short * radius) ** 2)


def _polygon(draws: Draws, dx: NDArray[np.int32], dy: NDArray[np.int32], radius: int) -> NDArray[np.bool_]:
    mask = np.ones(np.broadcast_shapes(dx.shape, dy.shape), dtype=np.bool_)
    for _ in range(draws.between(3, 6)):
        u, v = _DIRECTIONS[draws.below(len(_DIRECTIONS))]
        sign = 1 if draws.chance(50) else -1
        mask &= (dx * (sign * u) + dy * (sign * v)) < 256 * radius * draws.between(25, 90) // 100
    return mask


def _cut(scene: _Scene, shape: tuple[int, ...]) -> Plane:
    """Cut a piece out of a texture, turned and from a random place, so that no two leaves look alike."""
    draws = scene.draws
    texture = scene.textures[draws.below(len(scene.textures))]
    texture = texture.T if draws.chance(50) else texture
    top, left = draws.below(scene.side - shape[0] + 1), draws.below(scene.side - shape[1] + 1)
    return texture[top : top + shape[0], left : left + shape[1]]


def _shade(colour: Colour, change: int) -> Colour:
    return _limited(colour[0] + change), _limited(colour[1] + change), _limited(colour[2] + change)


def _light(draws: Draws, dx: NDArray[np.int32], dy: NDArray[np.int32], radius: int) -> Plane:
    """Return brightness from -64 to 64 that rises in one direction."""
    u, v = _DIRECTIONS[draws.below(len(_DIRECTIONS))]
    return np.asarray((dx * u + dy * v) // (4 * radius), dtype=np.int16)


def _stripes(draws: Draws, dx: NDArray[np.int32], dy: NDArray[np.int32], texture: Plane) -> NDArray[np.bool_]:
    u, v = _DIRECTIONS[draws.below(len(_DIRECTIONS))]
    period = draws.between(3, 40)
    phase = (dx * u + dy * v) >> 8
    if draws.chance(50):  # wavy, as on an animal
        phase = phase + (texture.astype(np.int32) * period >> 8)
    return np.asarray(phase % period < period * draws.between(50, 150) // 200)


def _finish(scene: _Scene) -> Plane:
    """Mirror or soften some pictures, and set the contrast."""
    draws, planes, side = scene.draws, scene.canvas, scene.side
    if draws.chance(MIRRORED):  # animals, faces and cars are symmetric
        planes[:, :, side - side // 2 :] = planes[:, :, : side // 2][:, :, ::-1]
    if draws.chance(BLURRED):
        planes = _softened(planes)
    return np.asarray(np.clip(((planes - 128) * draws.between(*CONTRAST) >> 7) + 128, 0, 255))


def _softened(planes: Plane) -> Plane:
    """Average each pixel with its neighbours (1 2 1) / 4, across and down."""
    across = (planes[:, :, :-2] + 2 * planes[:, :, 1:-1] + planes[:, :, 2:]) >> 2
    planes[:, :, 1:-1] = across
    down = (planes[:, :-2] + 2 * planes[:, 1:-1] + planes[:, 2:]) >> 2
    planes[:, 1:-1] = down
    return planes
