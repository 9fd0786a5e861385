"""What a conversion works on: the float network, the images that prove a file, and what is to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.calibration_source import CalibrationSet
from converters.entry import Entry
from converters.onnx_file.options import TFLITE_ONLY, FileChoice
from converters.ranges import Range
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe, Rounding
from edgenet.artifact import marks
from edgenet.compression import NOTHING, Compression
from edgenet.manifest import CompilerTarget, WeightsRecord
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import Preprocessing


@dataclass(frozen=True)
class FloatNetwork:
    """A float network as the files are made from it; `content` takes raw pixels 0–255."""

    variant: str
    content: bytes
    integer_content: bytes  # what w8a8 and w8a16 are made from, with the input that `entry` describes
    entry: Entry
    exact: dict[str, Range]  # ranges of the input, known beforehand
    weights: WeightsRecord
    preprocessing: Preprocessing
    network_error: float | None
    compression: Compression = NOTHING  # what made it smaller than the network that it came from
    original: bytes | None = None  # that network's float graph; None: nothing was done to it
    macs_share: float = 1.0  # of that network's multiply-accumulates
    uncompressed: str = ""  # stem of that network's fp32 file

    @property
    def reference(self) -> bytes:
        """Return the float graph that files are held against: what it was before it was made smaller."""
        return self.content if self.original is None else self.original

    @property
    def rounding(self) -> Rounding:
        """Return how 8-bit weights are rounded: keeping kernel sums would part what clustering brought together."""
        return "nearest" if self.compression.clusters else "kernel_sums"

    def keeps_sums(self, output_name: str) -> bool:
        """Tell whether the kernel sums of the layer with this output are kept."""
        del output_name
        return self.rounding == "kernel_sums"

    @property
    def marks(self) -> tuple[str, ...]:
        """Return what file names tell of the network."""
        return marks(self.compression, self.weights.widths)


@dataclass(frozen=True)
class Probe:
    """Images that calibration does not see: raw pixels [side, side, 3], and where they are from."""

    images: Sequence[NDArray[np.uint8]]
    description: str
    is_procedural: bool = False


@dataclass(frozen=True)
class Job:
    """What to write, where to, and on which images to prove it."""

    formats: tuple[tuple[Precision, IoType], ...]
    out: Path
    calibration: CalibrationSet | None  # w8a8 and w8a16 need it
    probe: Probe | None  # None: do not verify
    golden: Sequence[NDArray[np.uint8]]
    command: tuple[str, ...] = ()
    files: FileChoice = TFLITE_ONLY
    repair: Gate | None = None  # w8a8 alone: climb the ladder to this gate
    recipe: Recipe | None = None  # w8a8 alone: write the file of this recipe
    target: CompilerTarget | None = None  # w8a8 alone: keep to what this compiler knows
