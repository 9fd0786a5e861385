"""Small labelled picture sets that a network can learn in a few steps."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (210, 50, 40)}


def colour_picture(colour: tuple[int, int, int], number: int, side_px: int = 40) -> Image.Image:
    """Return a noisy picture of one colour, another for each number."""
    noise = np.random.default_rng((*colour, number)).integers(-40, 40, (side_px, side_px, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def write_colours(folder: Path, count: int) -> Path:
    """Write `count` pictures of each colour, one folder a class, and return the folder."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            colour_picture(colour, number).save(folder / name / f"{number:03}.png")
    return folder
