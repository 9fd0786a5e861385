"""Golden crops: what timm's evaluation pipeline makes of drawn photos, five by five pixels of each.

`crops.json` holds one case a line. `rebuild_crops.py` writes it; the tests only read.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILE = Path(__file__).parent / "crops.json"
GRID = 5

# Landscape, portrait, square, smaller than any side, and ratios where rounding matters: 214 / 107 is exactly 2, and
# 500 x 333 leaves half a pixel on each side of the crop.
PHOTO_SIZES = ((500, 375), (375, 500), (256, 256), (90, 60), (214, 107), (500, 333), (1000, 667))


@dataclass(frozen=True)
class GoldenCrop:
    """One photo through one variant's pipeline."""

    id: str
    variant: str  # its row in `edgenet.weights.hub.HUB`
    side_px: int
    photo_size: tuple[int, int]  # width, height
    source: str  # library and version, then the checkpoint's name there
    pixels: tuple[int, ...]  # 5 x 5 x 3 levels 0–255, evenly spread over the crop from corner to corner


def photo(width_px: int, height_px: int) -> Image.Image:
    """Return a photo in which no two places look alike, with detail of a few pixels; the same on any machine."""
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.int64)
    red = x * 255 // width_px
    green = y * 255 // height_px
    blue = (x * x // 7 + y * y // 11 + x * y // 5) % 256
    return Image.fromarray(np.stack([(red + blue) // 2, (green + blue) // 2, blue], axis=2).astype(np.uint8))


def sampled(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Return 5 x 5 pixels of [side, side, 3], corners included, as one row."""
    places = np.linspace(0, len(pixels) - 1, GRID).round().astype(int)
    return tuple(int(level) for level in pixels[places][:, places].reshape(-1))


def write_crops(crops: list[GoldenCrop]) -> None:
    """Write one case a line, so that a change shows as the lines that changed."""
    lines = ",\n".join(json.dumps(asdict(crop)) for crop in crops)
    fresh = FILE.with_suffix(".new")
    fresh.write_text(f"[\n{lines}\n]\n")
    fresh.replace(FILE)


def read_crops() -> list[GoldenCrop]:
    """Return the stored cases."""
    rows = json.loads(FILE.read_text())
    return [
        GoldenCrop(**(row | {"photo_size": tuple(row["photo_size"]), "pixels": tuple(row["pixels"])})) for row in rows
    ]
