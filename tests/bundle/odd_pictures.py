"""Twenty pictures that apps stumble over, as real files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from converters.procedural import procedural_image
from edgenet.photos import open_upright

PORTRAIT, UPSIDE_DOWN, MIRRORED = 6, 3, 2  # EXIF orientations
ORIENTATION_TAG = 0x0112
# EXIF orientation: degrees to turn clockwise, then whether left and right change places.
TURNS = {
    1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True),
    5: (90, True), 6: (90, False), 7: (270, True), 8: (270, False),
}  # fmt: skip


def _drawn(width: int, height: int, seed: int = 3) -> Image.Image:
    return Image.fromarray(procedural_image(seed, max(width, height))[:height, :width])


def _turned(orientation: int) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        _drawn(301, 200).save(path, exif=exif, quality=95)

    return save


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _with_alpha(mode: str) -> Image.Image:
    picture = _drawn(150, 120).convert("RGBA" if mode == "RGBA" else "L").convert(mode)
    picture.putalpha(Image.fromarray(procedural_image(9, 150)[:120, :150, 0]))
    return picture


def _deep_grey() -> Image.Image:
    levels = np.arange(180 * 140, dtype=np.uint16).reshape(140, 180) * 2
    return Image.fromarray(levels)


def _transparent_palette(path: Path) -> None:
    _drawn(120, 90).quantize(16).save(path, transparency=0)


ODD: dict[str, Callable[[Path], None]] = {
    "portrait.jpg": _turned(PORTRAIT),
    "upside-down.jpg": _turned(UPSIDE_DOWN),
    "mirrored.jpg": _turned(MIRRORED),
    "grey.jpg": lambda path: _drawn(220, 160).convert("L").save(path),
    "grey.png": lambda path: _drawn(220, 160).convert("L").save(path),
    "deep-grey.png": lambda path: _deep_grey().save(path),
    "one-bit.png": lambda path: _drawn(90, 70).convert("1").save(path),
    "alpha.png": lambda path: _with_alpha("RGBA").save(path),
    "grey-alpha.png": lambda path: _with_alpha("LA").save(path),
    "cmyk.jpg": lambda path: _drawn(200, 150).convert("CMYK").save(path, quality=95),
    "palette.png": lambda path: _drawn(160, 160).quantize(64).save(path),
    "transparent-palette.png": _transparent_palette,
    "one-pixel.png": lambda path: Image.new("RGB", (1, 1), (200, 30, 90)).save(path),
    "strip.png": lambda path: _noise(8000, 10).save(path),
    "tower.png": lambda path: _noise(3, 1500).save(path),
    "tiny.png": lambda path: _noise(2, 3).save(path),
    "noise.png": lambda path: _noise(333, 257).save(path),
    "exact.png": lambda path: _drawn(64, 64).save(path),
    "large.jpg": lambda path: _drawn(1999, 1501).save(path, quality=92),
    "web.webp": lambda path: _drawn(240, 181).save(path, lossless=True),
}


def write_odd_pictures(folder: Path) -> list[Path]:
    """Write all of them and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, save in ODD.items():
        save(folder / name)
    return [folder / name for name in ODD]


def as_stored(path: Path) -> tuple[np.ndarray, int, bool]:
    """Return a picture as an app has it before it is turned: RGBA [height, width, 4], degrees, mirrored."""
    with Image.open(path) as image:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        stored = orientation != 1 or image.has_transparency_data
        photo = image.convert("RGBA") if stored else open_upright(path).convert("RGBA")
    return np.asarray(photo), *TURNS[orientation]
