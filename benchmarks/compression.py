"""What making a network smaller brought: its file's size as it is and packed, and its measured latency, each beside
those of the same network as it was, in the same precision and in one run.

A weight that is zero takes as long as any other unless a runtime skips it, and takes as many bytes unless something
packs the file. So both are measured, and where no speed-up is shown, that is what is said.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from backports import zstd
from numpy.typing import NDArray

from benchmarks.bootstrap import interval, quantile, resampled_quantiles, resampling, small_number_factor
from converters.compress.sparse_inference import sparse_refusals
from converters.compress.weights import SHOWN_ZEROS, LayerFacts, layer_facts
from converters.runtime import load_runner
from edgenet.agreement import Accuracy
from edgenet.artifact import Artifact

Compared = Literal["the same network uncompressed", "the full variant with seeded random weights"]
GZIP_LEVEL, ZSTD_LEVEL = 9, 12
BLOCKS = 8  # each loads both files anew: where one comes to lie in memory moves its time by percents
PAIRS, WARM_UPS = 12, 2  # of runs in turn in each block
LONGEST_BLOCK_S = 4.0  # a b7 takes a second a run
FLOOR = 1.03  # one file loaded twice is up to 2.7 % faster than itself


@dataclass(frozen=True)
class Sizes:
    """A file's bytes: as it is, by gzip -9, by zstd -12."""

    size_bytes: int
    gzip_bytes: int
    zstd_bytes: int


@dataclass(frozen=True)
class Speed:
    """How long the file takes over the time of what it is compared with, one thread, with the 95 % interval."""

    ratio: float
    low: float
    high: float
    median_s: float
    compared_median_s: float
    blocks: int

    @property
    def verdict(self) -> str:
        """Return what that shows."""
        if self.high < 1 / FLOOR:
            return f"{1 / self.ratio:.2f} times as fast"
        return "slower" if self.low > FLOOR else "no speed-up on this runtime"


@dataclass(frozen=True)
class Compressed:
    """One file's report."""

    artifact: Artifact
    compared_with: Compared
    sizes: Sizes
    compared_sizes: Sizes
    speed: Speed
    layers: tuple[LayerFacts, ...]  # as the file holds them; () for an .onnx file
    accuracy: Accuracy | None  # of the file against its float network on labelled photos
    sparse_refusals: tuple[str, ...]  # why XNNPACK does not skip the zeros there are

    @property
    def zero_share(self) -> float:
        """Return the share of all weights that are zero."""
        return sum(row.zeros for row in self.layers) / max(1, sum(row.weights for row in self.layers))


def measure(
    artifact: Artifact, compared: Artifact, compared_with: Compared, accuracy: Accuracy | None = None
) -> Compressed:
    """Hold a file against the uncompressed one of the same precision, both run in turn on this machine."""
    own, other = artifact.path.read_bytes(), compared.path.read_bytes()
    side = artifact.manifest.side_px
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    layers = () if artifact.manifest.onnx else layer_facts(own)
    zeros = sum(row.zeros for row in layers) >= SHOWN_ZEROS * sum(row.weights for row in layers)
    refusals = sparse_refusals(own, processor_flags()) if layers and zeros else ()
    measured = speed(own, other, pixels)
    return Compressed(artifact, compared_with, sizes(own), sizes(other), measured, layers, accuracy, refusals)


def sizes(content: bytes) -> Sizes:
    """Return a file's bytes as it is and packed."""
    packed = gzip.compress(content, GZIP_LEVEL, mtime=0)
    return Sizes(len(content), len(packed), len(zstd.compress(content, ZSTD_LEVEL)))


def speed(content: bytes, compared: bytes, pixels: NDArray[np.uint8]) -> Speed:
    """Time both files in turn on raw pixels [side, side, 3], in blocks that load them anew."""
    blocks = [_block((content, compared), pixels, swap=index % 2 == 1) for index in range(BLOCKS)]
    own, other = [block[0] for block in blocks], [block[1] for block in blocks]
    own_s, other_s = (quantile(np.concatenate(runs), 0.5) for runs in (own, other))
    ratio = own_s / other_s
    drawn = resampling(BLOCKS, 0)  # whole blocks, the same ones for both: their moment is the same
    resampled = resampled_quantiles(own, drawn, 0.5) / resampled_quantiles(other, drawn, 0.5)
    low, high = interval(ratio, resampled, small_number_factor(BLOCKS))
    return Speed(ratio, low, high, own_s, other_s, BLOCKS)


def _block(
    contents: tuple[bytes, bytes], pixels: NDArray[np.uint8], *, swap: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the seconds of the runs of each file; with `swap` the second one is loaded first."""
    order = (1, 0) if swap else (0, 1)
    runners = {index: load_runner(contents[index]) for index in order}
    for index in order * WARM_UPS:
        runners[index].logits(pixels)
    seconds: dict[int, list[float]] = {0: [], 1: []}
    begin = time.perf_counter()
    for pair in range(PAIRS):
        for index in order if pair % 2 else order[::-1]:
            start = time.perf_counter()
            runners[index].logits(pixels)
            seconds[index].append(time.perf_counter() - start)
        if time.perf_counter() - begin > LONGEST_BLOCK_S:
            break
    return np.asarray(seconds[0]), np.asarray(seconds[1])


def processor_flags() -> frozenset[str]:
    """Return what this processor can do, as Linux spells it; nothing where it does not tell."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return frozenset(word for line in lines if line.startswith("flags") for word in line.partition(":")[2].split())


def document(rows: Sequence[Compressed]) -> list[dict[str, object]]:
    """Return the report for --json."""
    return [
        {
            "file": row.artifact.path.name,
            "compared_with": row.compared_with,
            "size": vars(row.sizes),
            "compared_size": vars(row.compared_sizes),
            "latency": {**vars(row.speed), "verdict": row.speed.verdict},
            "zero_share": row.zero_share,
            "sparse_inference_refused": row.sparse_refusals,
            "layers": [{**vars(layer), "zero_share": layer.zero_share} for layer in row.layers],
            "top1": row.accuracy.test_top1.fraction if row.accuracy else None,
            "top1_float": row.accuracy.reference_top1.fraction if row.accuracy else None,
        }
        for row in rows
    ]
