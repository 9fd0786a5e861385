"""The images that prove a file: those that calibration does not see, and the golden ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.calibration_source import BUILTIN, CalibrationSet, open_calibration
from converters.job import FloatNetwork, Probe
from converters.procedural import procedural_image
from converters.verify import all_logits
from edgenet.photos import Photo, PhotoFile, find_photos, read_photos
from edgenet.preprocessing import Preprocessing, crop_photo

PROBE_IMAGES = 64
SURE_OF = 256  # procedural images that the surest are chosen from
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
    return Probe(images, f"{PROBE_IMAGES} procedural images", is_procedural=True)


def surest_probe(network: FloatNetwork) -> Probe:
    """Return the procedural images that a float network is as sure of as of photos: every other of the surer half.

    Most procedural images look like no class in particular: the two largest logits of lite0 are a median of 0.7 apart
    on them, 2.8 on photos and 1.6 to 2.5 on these, where its w8a8 file keeps the answers about as often as on photos.
    """
    drawn = range(SURE_OF)
    images = [procedural_image(index, network.preprocessing.side_px, PROBE_SEED) for index in drawn]
    logits = np.stack(list(all_logits(network.content, images)))
    first_two = np.sort(logits, axis=1)[:, -2:]
    order = np.argsort(first_two[:, 0] - first_two[:, 1], kind="stable")  # the surest first
    chosen = sorted(order[: SURE_OF // 2 : 2].tolist())
    description = f"{len(chosen)} of the surer half of {SURE_OF} procedural images"
    return Probe([images[index] for index in chosen], description, is_procedural=True)


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
