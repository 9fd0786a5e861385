"""Time one inference of our file against that of a peer's file of the same network and precision.

    python -m benchmarks.peers.latency DIR [--json]

DIR holds what keras_files.py and litert_torch_files.py write; each file is a row. Ours is written on the spot with
random weights and timed as it is shipped: raw pixels 0–255 in. So are the Keras files; those of litert-torch want
normalized images and are spared that op. Interpreter, threads (1) and delegate (XNNPACK) are the same for both.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.ratios import Ratio, arguments, exit_with, machine, show
from converters.api import convert
from converters.calibration_source import FLOOR
from converters.runtime import interpreter_class
from edgenet.errors import InputError
from edgenet.native_noise import quiet_native_stderr
from edgenet.preprocessing import Preprocessing, normalize

BAR = 1.02
BLOCKS = 20
PAIRS = 10  # invocations of each side in half a block
WARM_UPS = 5
LEGEND = f"ratio: median of the blocks' ratios ({2 * PAIRS} invocations a side and block, in turn); spread: p10 to p90"
PEER_FILE = re.compile(
    r"(?P<peer>keras|litert-torch)-(?P<variant>.+?)-(?P<precision>fp32|fp16|w8|w8d|w8a8|w8a16)(-n(hwc|chw))?\.tflite"
)

Image = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class BlockRatio(Ratio):
    """Ours against a peer's, block by block: neighbours in time see the same machine, and no block weighs more."""

    @property
    def ratio(self) -> float:
        """Return the median of the blocks' ratios."""
        return median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the 10th and the 90th percentile of the blocks' ratios."""
        low, high = np.percentile(self.ratios, (10, 90))
        return float(low), float(high)


@dataclass(frozen=True)
class PeerFile:
    """A peer's file and what its name says."""

    path: Path
    variant: str
    precision: str
    normalized: bool  # wants (pixels - mean) / std

    @staticmethod
    def of(path: Path) -> PeerFile | None:
        """Return the file, or None if its name is not one of the makers'."""
        found = PEER_FILE.fullmatch(path.name)
        return found and PeerFile(path, found["variant"], found["precision"], found["peer"] == "litert-torch")


@dataclass(frozen=True)
class OurFile:
    """A file of ours and the preprocessing that belongs to it."""

    content: bytes
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Model:
    """A file and the image [side, side, 3] that it is given."""

    content: bytes
    image: Image


class Loaded:
    """A model with its input set, ready to be invoked again and again."""

    def __init__(self, model: Model) -> None:
        with quiet_native_stderr():
            self._interpreter = interpreter_class()(model_content=model.content, num_threads=1)
            entry = self._interpreter.get_input_details()[0]
            if -1 in entry["shape_signature"]:  # Keras leaves the batch open
                self._interpreter.resize_tensor_input(entry["index"], [1, *entry["shape"][1:]])
            self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(entry["index"], _as_input(model.image, entry))
            for _ in range(WARM_UPS):
                self._interpreter.invoke()

    def seconds(self) -> float:
        """Run the model once; return how long that took."""
        start = time.perf_counter()
        self._interpreter.invoke()
        return time.perf_counter() - start


def _as_input(image: Image, entry: dict[str, Any]) -> NDArray[Any]:
    batch = image[np.newaxis]
    if entry["shape"][1] == 3:  # [1, 3, side, side], as PyTorch has it
        batch = batch.transpose(0, 3, 1, 2)
    if batch.shape != (1, *entry["shape"][1:]):
        raise InputError(f"the peer's file takes {list(entry['shape'])}, ours {list(batch.shape)}")
    return np.ascontiguousarray(batch, dtype=entry["dtype"])


def peer_files(folder: Path) -> list[PeerFile]:
    """Return the peers' files in `folder`; raise InputError if there is none."""
    found = [PeerFile.of(path) for path in sorted(folder.glob("*.tflite"))] if folder.is_dir() else []
    files = [file for file in found if file]
    if not files:
        raise InputError(
            f"no peer's file in {str(folder)!r}",
            allowed="keras-*.tflite, litert-torch-*.tflite",
            mend="write them with benchmarks.peers.keras_files and benchmarks.peers.litert_torch_files",
        )
    return files


def our_file(variant: str, precision: str) -> OurFile:
    """Write a variant with random weights; what it predicts means nothing, how long it takes is real."""
    with tempfile.TemporaryDirectory() as folder:
        (made,) = convert(variant, precision, weights="random", samples=FLOOR, out=folder, verify=False)
        return OurFile(made.path.read_bytes(), made.manifest.to_preprocessing())


def timed_blocks(ours: Model, peer: Model, blocks: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each block's seconds of both sides: the mean of the medians of its two halves.

    Each half loads both files afresh, in the other order: where its memory happens to lie makes a model up to 2 %
    faster than its own copy, and the one that is loaded first is the lucky one.
    """
    our_runs, peer_runs = [], []
    for _ in range(blocks):
        first = half_block(ours, peer)
        second = half_block(peer, ours)
        our_runs.append(mean((first[0], second[1])))
        peer_runs.append(mean((first[1], second[0])))
    return tuple(our_runs), tuple(peer_runs)


def half_block(first: Model, second: Model) -> tuple[float, float]:
    """Return the median seconds of two models that are loaded in this order; who runs first changes each time."""
    loaded = Loaded(first), Loaded(second)
    runs: tuple[list[float], list[float]] = ([], [])
    for pair in range(PAIRS):
        for side in (0, 1) if pair % 2 else (1, 0):
            runs[side].append(loaded[side].seconds())
    return median(runs[0]), median(runs[1])


def row_of(file: PeerFile, ours: OurFile, blocks: int) -> BlockRatio:
    """Time one peer's file against ours."""
    side_px = ours.preprocessing.side_px
    pixels = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    wanted = normalize(pixels, ours.preprocessing) if file.normalized else pixels
    print(f"timing {file.path.name}", file=sys.stderr)
    runs = timed_blocks(Model(ours.content, pixels), Model(file.path.read_bytes(), wanted), blocks)
    return BlockRatio(f"{file.variant} {file.precision} vs {file.path.stem}", *runs, BAR, "of theirs")


def main() -> int:
    """Print the ratios; return the exit code."""
    parser = arguments(str(__doc__), rounds=BLOCKS)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the peers' files")
    given, host = parser.parse_args(), machine()
    files = peer_files(given.folder)
    kinds = dict.fromkeys((file.variant, file.precision) for file in files)
    ours = {kind: our_file(*kind) for kind in kinds}
    rows = [row_of(file, ours[file.variant, file.precision], given.rounds) for file in files]
    notes = [f"{given.rounds} blocks; random weights on both sides, invoke() alone, one thread, XNNPACK"]
    return show("latency", host, rows, notes, given.json, LEGEND)


if __name__ == "__main__":
    exit_with(main)
