"""The images that prove a file: those that calibration does not see, and the golden ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.calibration_source import BUILTIN, CalibrationSet, open_calibration
from converters.procedural import procedural_image
from converters.write import Probe
from edgenet.photos import Photo, PhotoFile, find_photos, read_photos
from edgenet.preprocessing import Preprocessing, crop_photo

PROBE_IMAGES = 64
ENOUGH_PHOTOS = 16  # fewer held-out photos say too little; procedural images are used instead, and said to be
HELD_OUT_SHARE = 5  # a folder of 80 photos or more gives up one in five for the probe
# Procedural images come from a seed: these two never meet a calibration's, whose seeds are the user's, 0 to 2**32.
# NumPy splits a seed into 32-bit words and pads with zeros, so (2**32 + 1, index 0) would be (1, index 1); the bit at
# the top puts such an equal at an index that nobody reaches.
PROBE_SEED, GOLDEN_SEED = 2**63 + 1, 2**63 + 2
GOLDEN_IMAGES = 3


def golden_images(preprocessing: Preprocessing) -> list[NDArray[np.uint8]]:
    """Return the three procedural images [side, side, 3] that go beside every artifact."""
    return [procedural_image(index, preprocessing.side_px, GOLDEN_SEED) for index in range(GOLDEN_IMAGES)]


def procedural_probe(preprocessing: Preprocessing) -> Probe:
    """Return a probe of procedural images, from a seed that calibration never has."""
    images = [procedural_image(index, preprocessing.side_px, PROBE_SEED) for index in range(PROBE_IMAGES)]
    return Probe(images, f"{PROBE_IMAGES} procedural images")


def open_images(source: str, preprocessing: Preprocessing, samples: int, seed: int) -> tuple[CalibrationSet, Probe]:
    """Return calibration images and a probe that has none of them.

    From a folder of 80 photos or more, up to 64 are held out for the probe; from anything else it is procedural.
    """
    if source == BUILTIN or not Path(source).is_dir():
        return open_calibration(source, preprocessing, samples, seed), procedural_probe(preprocessing)
    files = find_photos(Path(source)).files
    held_out = min(PROBE_IMAGES, len(files) // HELD_OUT_SHARE)
    wanted = min(samples, len(files) - held_out) if held_out >= ENOUGH_PHOTOS else samples
    calibration = open_calibration(source, preprocessing, wanted, seed)
    used = {file.name for file in calibration.manifest.files}
    images = list(
        islice(_crops(_spread([file for file in files if file.name not in used]), preprocessing), PROBE_IMAGES)
    )
    if len(images) < ENOUGH_PHOTOS:
        return calibration, procedural_probe(preprocessing)
    return calibration, Probe(images, f"{len(images)} photos of {source} that calibration did not see")


def _spread(files: list[PhotoFile]) -> list[PhotoFile]:
    """Return the files so that the first 64 are spread evenly over all of them."""
    step = max(1, len(files) // PROBE_IMAGES)
    return [file for start in range(step) for file in files[start::step]]


def _crops(files: list[PhotoFile], preprocessing: Preprocessing) -> Iterator[NDArray[np.uint8]]:
    for photo in read_photos(files):
        if isinstance(photo, Photo):
            yield crop_photo(photo.image, preprocessing)
