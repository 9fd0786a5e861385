"""Time networks with half of their multiply-accumulates cut out, channel by channel, against the full ones.

    python -m benchmarks.peers.channel_pruning [--json] [--rounds N]

`ours` is the cut file, `theirs` the full one of the same precision: fp32 and w8a8, one thread, XNNPACK. The weights
are random: how long a file takes does not depend on their values. For a quiet run: chrt -r 1 python -m ...
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.peers.latency import LEGEND, BlockRatio, Model, timed_blocks
from benchmarks.peers.ratios import arguments, exit_with, machine, show
from converters import conversion
from edgenet.artifact import Artifact
from edgenet.compression import NOTHING, Compression, parse_compression
from edgenet.precision import Precision, default_io
from edgenet.progress import silent
from edgenet.variants import VARIANTS

BAR = 0.65
SHARE = "channels:0.5"
VARIANT_NAMES = ("lite0", "b0")
PRECISIONS: tuple[Precision, ...] = ("fp32", "w8a8")
BLOCKS, SAMPLES = 8, 16


@dataclass(frozen=True)
class Pair:
    """The full file and the cut one."""

    full: Artifact
    cut: Artifact

    def row(self, blocks: int) -> BlockRatio:
        """Time both in turns."""
        manifest = self.cut.manifest
        side_px = manifest.side_px
        pixels = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
        print(f"timing {manifest.variant} {manifest.precision}", file=sys.stderr)
        ours, theirs = (Model(row.path.read_bytes(), pixels) for row in (self.cut, self.full))
        share = manifest.compression.macs_share if manifest.compression else 1.0
        what = f"{manifest.variant} {manifest.precision} {side_px} px, {100 * share:.1f} % of the MACs"
        return BlockRatio(what, *timed_blocks(ours, theirs, blocks), BAR, "of theirs")


def pairs(name: str, folder: Path) -> list[Pair]:
    """Write a variant's files in both precisions, full and cut."""
    formats = tuple((precision, default_io(precision)) for precision in PRECISIONS)
    request = conversion.Request(VARIANTS[name], formats, "random", "builtin", SAMPLES)
    full, cut = (_written(request, compression, folder) for compression in (NOTHING, parse_compression(SHARE)))
    return [Pair(*row) for row in zip(full, cut, strict=True)]


def _written(request: conversion.Request, compression: Compression, folder: Path) -> list[Artifact]:
    asked = replace(request, compression=compression)
    return conversion.run(asked, folder, False, (), silent, lambda text: None)


def main() -> int:
    """Print the ratios; return 1 if a bar is missed."""
    given, host = arguments(str(__doc__), rounds=BLOCKS).parse_args(), machine()
    with tempfile.TemporaryDirectory() as folder:
        found = [pair for name in VARIANT_NAMES for pair in pairs(name, Path(folder))]
        rows = [pair.row(given.rounds) for pair in found]
    notes = [f"{given.rounds} blocks; --prune {SHARE}, random weights, invoke() alone, one thread, XNNPACK"]
    return show("channel pruning", host, rows, notes, given.json, LEGEND)


if __name__ == "__main__":
    exit_with(main)
