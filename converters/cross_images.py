"""The images that all runtimes are held together on: few enough for the slow ones among them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.patterns import op_code
from converters.probe import procedural_probe
from converters.quantized_layers import WEIGHTED
from edgenet.artifact import Artifact
from edgenet.datasets import Sample, open_dataset
from edgenet.errors import InputError
from edgenet.photos import Photo, Skipped, load_photo
from edgenet.preprocessing import crop_photo
from edgenet.progress import Report, tracked

# All images and all answers are held at a time, and images travel to devices.
MOST_IMAGES, MOST_PIXEL_BYTES = 256, 100_000_000
FEWEST_IMAGES = 2
# Multiply-accumulates of all slow rows together: the reference kernels took 0.28 s (fp32) and 0.15 s (w8a8) for lite0's
# 385 million, TFLite's int16 kernels 0.26 s, one core of an x86-64 each. So this is about 2 minutes on one core.
SLOW_BUDGET_MACS = 200_000_000_000


@dataclass(frozen=True)
class Limit:
    """How many images are used at most, and why no more."""

    images: int
    reason: str


@dataclass(frozen=True)
class Images:
    """Raw pixels [side, side, 3] each, with all their labels or none."""

    pixels: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.intp] | None
    description: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def image_limit(macs: int, slow_rows: int, side_px: int) -> Limit:
    """Return the limit for a network of `macs` that `slow_rows` pairs of file and runtime run slowly."""
    held = min(MOST_IMAGES, MOST_PIXEL_BYTES // (3 * side_px**2))
    affordable = max(FEWEST_IMAGES, SLOW_BUDGET_MACS // (slow_rows * macs)) if slow_rows else held
    if affordable >= held:
        return Limit(held, f"at most {held} are held in memory")
    spent = f"{slow_rows} slow rows (reference kernels, int16) of {macs / 1e6:.0f} million MACs an image each"
    return Limit(affordable, f"{spent} share a budget of {SLOW_BUDGET_MACS // 10**9} billion MACs")


def file_macs(content: bytes) -> int:
    """Return the multiply-accumulates of a .tflite file's convolutions and dense layers."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    total = 0
    for row in graph.operators:
        if op_code(model, row) in WEIGHTED:
            output = [int(size) for size in graph.tensors[row.outputs[0]].shape]
            weights = [int(size) for size in graph.tensors[row.inputs[1]].shape]
            total += math.prod(weights) * math.prod(output) // output[-1]  # channels are the last axis of an output
    return total


def choose_images(artifact: Artifact, data: Path | None, labels: Path | None, limit: Limit, report: Report) -> Images:
    """Return photos of `data`, spread evenly over it, or procedural images; raise InputError if none can be used."""
    preprocessing = artifact.manifest.to_preprocessing()
    if data is None:
        probe = procedural_probe(preprocessing)
        kept = probe.images[: limit.images]
        return Images(tuple(kept), None, "procedural images", (), _limited(len(kept), len(probe.images), limit))
    record = artifact.manifest.weights
    dataset = open_dataset(data, record.num_classes - preprocessing.label_offset, labels, record.labels)
    chosen = _spread(dataset.samples, limit.images)
    pixels, indices, skipped = [], [], list(dataset.skipped)
    for sample in tracked(chosen, "reading photos", len(chosen), report):
        photo = load_photo(sample.file)
        if isinstance(photo, Photo):
            pixels.append(crop_photo(photo.image, preprocessing))
            indices.append(-1 if sample.class_index is None else sample.class_index + preprocessing.label_offset)
        else:
            skipped.append(photo)
    if not pixels:
        raise InputError(
            f"none of {len(skipped)} photos can be used; the first: {skipped[0].name}: {skipped[0].reason}"
        )
    description = f"photos of {data}" + (f", labels by {dataset.rule}" if dataset.labelled else ", without labels")
    known = np.asarray(indices, dtype=np.intp) if dataset.labelled else None
    notes = (*dataset.notes, *_limited(len(chosen), len(dataset.samples), limit))
    return Images(tuple(pixels), known, description, tuple(skipped), notes)


def _limited(used: int, there: int, limit: Limit) -> tuple[str, ...]:
    return (f"{used} of {there} images are used: {limit.reason}",) if used < there else ()


def _spread(samples: tuple[Sample, ...], most: int) -> list[Sample]:
    """Return at most so many samples, evenly from all."""
    count = min(most, len(samples))
    return [samples[index * len(samples) // count] for index in range(count)]
