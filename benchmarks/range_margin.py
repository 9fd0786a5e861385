"""Choose the margin of converters/ranges.py: int8 files of several margins, held against float on photos.

    python -m benchmarks.range_margin DIR [--variant b0 --weights FILE] [--json]

Calibration has the built-in procedural images, as where a user gives none; DIR holds photos, with labels or without,
as `edgenet verify --data` takes them. Without flags the network is lite0 with its packaged weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converters import flatbuffer
from converters.calibration_source import BUILTIN, open_calibration
from converters.conversion import DEFAULT_SAMPLES
from converters.convert import float_network
from converters.ends import set_ends
from converters.job import FloatNetwork
from converters.observe import channel_means, observe
from converters.probe import golden_images
from converters.quantize import ActivationData, quantize_model
from converters.ranges import MARGIN, RangeMethod, choose_ranges
from converters.verify_photos import compare_on_photos
from edgenet.agreement import Agreement
from edgenet.datasets import open_dataset
from edgenet.errors import EdgenetError
from edgenet.progress import silent
from edgenet.variants import parse_variant
from edgenet.weights.load import load_weights

SCHEMA_VERSION = 1
MARGINS = (1.0, 1.15, 1.3, 1.45)


@dataclass(frozen=True)
class Candidate:
    """One way to choose ranges; `margin` counts for the method of that name."""

    method: RangeMethod
    margin: float = 1.0

    @property
    def name(self) -> str:
        """Return how the table names it."""
        return f"margin {self.margin:g}" if self.method == "margin" else self.method


# Covering all that was seen stands beside them: `edgenet convert` takes the better of the two on calibration images.
CANDIDATES = (Candidate("minmax"), *(Candidate("margin", margin) for margin in MARGINS))


def candidate_files(network: FloatNetwork, samples: int) -> list[bytes]:
    """Return one w8a8 file a candidate; all come from one calibration."""
    entry, content = network.entry, network.integer_content
    images = open_calibration(BUILTIN, network.preprocessing, samples)
    statistics = observe(content, [entry.feed(pixels) for pixels in images]).statistics
    model = flatbuffer.read(content)
    means = channel_means(model, statistics)
    files = []
    for candidate in CANDIDATES:
        ranges = choose_ranges(model, statistics, candidate.method, candidate.margin) | network.exact
        quantized = quantize_model(content, "w8a8", ActivationData(ranges, means))
        set_ends(quantized, "uint8", mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
        files.append(flatbuffer.write(quantized))
    return files


def measure(given: argparse.Namespace) -> tuple[Agreement, ...]:
    """Return each candidate's agreement with the float network on the photos."""
    weights = load_weights(given.weights, parse_variant(given.variant), say=_say)
    dataset = open_dataset(given.folder, weights.num_classes - weights.preprocessing.label_offset)
    network = float_network(weights, golden_images(weights.preprocessing))
    files = candidate_files(network, given.samples)
    return compare_on_photos(network.content, files, dataset, weights.preprocessing, silent).agreements


def cells(candidate: Candidate, row: Agreement) -> tuple[str, ...]:
    """Return a row of the table."""
    share, accuracy = row.agreement, row.accuracy
    return (
        candidate.name + (" (in use)" if candidate == Candidate("margin", MARGIN) else ""),
        f"{row.sqnr_db:.2f} dB",
        f"{share.fraction:.1%} ({share.low:.1%}–{share.high:.1%})",
        f"{accuracy.drop.points:.1f} points" if accuracy else "no labels",
    )


def document(given: argparse.Namespace, rows: tuple[Agreement, ...]) -> dict[str, Any]:
    """Return the JSON document."""
    results = [{**asdict(candidate), **asdict(row)} for candidate, row in zip(CANDIDATES, rows, strict=True)]
    flags = {"variant": given.variant, "weights": given.weights, "samples": given.samples}
    return {"schema_version": SCHEMA_VERSION, "benchmark": "range_margin", **flags, "in_use": MARGIN, "rows": results}


def main() -> int:
    """Print a row a candidate; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="photos")
    parser.add_argument("--variant", default="lite0", metavar="NAME", help="default lite0")
    parser.add_argument("--weights", default="packaged", metavar="W", help="as for edgenet convert; default packaged")
    parser.add_argument("--samples", type=int, default=DEFAULT_SAMPLES, metavar="N", help="calibration images")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout instead of the table")
    given = parser.parse_args()
    try:
        rows = measure(given)
    except EdgenetError as error:
        _say(f"error: {error}")
        return error.exit_code
    if given.json:
        print(json.dumps(document(given, rows), indent=2))
        return 0
    title = f"{given.variant} w8a8 against float on {rows[0].images} photos"
    print(f"{title}, calibrated on {given.samples} procedural images")
    table = [("ranges", "logit SQNR", "agreement", "top-1 drop"), *map(cells, CANDIDATES, rows)]
    for name, *others in table:
        print(f"{name:22}{others[0]:>12}{others[1]:>24}{others[2]:>14}")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
