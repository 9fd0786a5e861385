"""Time lite0's post-training quantization with 100 images: edgenet against TFLiteConverter and litert-quantizer.

    python -m benchmarks.peers.calibration [--json]

Everybody calibrates on the same 100 procedural images, made beforehand, and ends with the bytes of a full-integer
file. Against the converter both sides start from the weights in memory (its tf_keras network built beforehand), against
litert-quantizer from one float .tflite file in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import converter, litert_quantizer_ways
from benchmarks.peers.ratios import Ratio, Side, arguments, exit_with, interleaved, machine, quiet, show, timed
from converters import flatbuffer
from converters.calibrate import Calibration, calibrate
from converters.calibration_source import BUILTIN, CalibrationSet, open_calibration
from converters.ends import set_ends
from converters.entry import Entry, integer_entry
from converters.float_file import build_float
from converters.probe import procedural_probe
from converters.runtime import Runner
from edgenet.agreement import sqnr_db
from edgenet.layers import Architecture, expand
from edgenet.progress import silent
from edgenet.variants import VARIANTS
from edgenet.weights.packaged import packaged_weights
from edgenet.weights.record import Weights

IMAGES = 100
JUDGED = 32  # images that nobody calibrates on
CONVERTER_BAR, QUANTIZER_BAR = 8.0, 4.0
ALONE = "edgenet's calibration"


@dataclass(frozen=True)
class Network:
    """lite0 in the forms that the sides start from; `content` is the float file with normalized input."""

    weights: Weights
    architecture: Architecture
    entry: Entry
    content: bytes
    keras: Any
    images: CalibrationSet

    def fed(self) -> list[NDArray[np.float32]]:
        """Return the calibration images [1, side, side, 3] as the network takes them."""
        return [self.entry.feed(pixels) for pixels in self.images]


def network_of(weights: Weights) -> Network:
    """Return everything that is no part of the work that is timed."""
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    entry = integer_entry(weights.preprocessing)
    return Network(
        weights,
        architecture,
        entry,
        flatbuffer.write(build_float(architecture, weights, entry)),
        converter.keras_network(architecture, weights),
        open_calibration(BUILTIN, weights.preprocessing, IMAGES),
    )


def calibration(network: Network) -> Calibration:
    """Return the ranges of the float file, chosen and all."""
    exact = network.entry.ranges(network.weights.preprocessing)
    return calibrate(network.content, network.entry, exact, network.images, silent)


def quantized(network: Network) -> bytes:
    """Return the w8a8 file of the float file, as `edgenet convert` makes it."""
    model = flatbuffer.read(calibration(network).narrow_content)
    set_ends(model, "uint8", mean=network.entry.zero_point, std=network.entry.std)
    return flatbuffer.write(model)


def from_weights(network: Network) -> bytes:
    """Return the w8a8 file of the weights."""
    content = flatbuffer.write(build_float(network.architecture, network.weights, network.entry))
    return quantized(replace(network, content=content))


def sides(network: Network) -> dict[str, Callable[[], bytes]]:
    """Return each side's way to a full-integer file, and the converter's calibrator by itself on its own float file."""
    fed, keras, content = network.fed(), network.keras, network.content
    with quiet():
        theirs = converter.guide(keras).convert()
    return {
        "edgenet from the weights": lambda: from_weights(network),
        "edgenet from the float file": lambda: quantized(network),
        "TFLiteConverter.from_keras_model": lambda: converter.full_integer(converter.guide(keras), fed).convert(),
        "TFLiteConverter on a frozen graph": lambda: converter.full_integer(converter.frozen(keras), fed).convert(),
        "TFLiteConverter's calibrator": lambda: converter.calibrated(theirs, fed),
        "litert-quantizer": lambda: litert_quantizer_ways.full_integer(content, fed),
        "litert-quantizer, profiler mode": lambda: litert_quantizer_ways.full_integer_by_profiler(content, fed),
    }


def rows_of(runs: dict[str, tuple[float, ...]], alone: tuple[float, ...]) -> list[Ratio]:
    """Return the table; `alone` is our calibration without what comes before and after it."""
    weights, file, guide, frozen, calibrator, quantizer, profiler = runs.values()
    return [
        Ratio("whole PTQ vs TFLiteConverter.from_keras_model", weights, guide, CONVERTER_BAR, "times faster"),
        Ratio("whole PTQ vs TFLiteConverter on a frozen graph", weights, frozen, None, "times faster"),
        Ratio("calibration vs TFLiteConverter's calibrator", alone, calibrator, CONVERTER_BAR, "times faster"),
        Ratio("whole PTQ vs litert-quantizer", file, quantizer, QUANTIZER_BAR, "times faster"),
        Ratio("whole PTQ vs litert-quantizer, profiler mode", file, profiler, None, "times faster"),
    ]


def closeness(network: Network, content: bytes) -> float:
    """Return the logit SQNR in dB of a quantized file against the float one, on images that nobody calibrated on."""
    reference, test = Runner(network.content), Runner(content)
    signal = noise = 0.0
    for pixels in procedural_probe(network.weights.preprocessing).images[:JUDGED]:
        fed = network.entry.feed(pixels)
        wanted = reference.real_output(fed)
        signal += float(np.sum(np.square(wanted)))
        noise += float(np.sum(np.square(wanted - test.real_output(fed))))
    return sqnr_db(signal, noise)


def main() -> int:
    """Print the ratios; return the exit code."""
    given, host = arguments(str(__doc__)).parse_args(), machine()
    network = network_of(packaged_weights(VARIANTS["lite0"]))
    ways, made = sides(network), dict[str, bytes]()

    def keeping(name: str) -> Side:
        return timed(lambda: made.update({name: ways[name]()}))

    work = {name: keeping(name) for name in ways}
    work[ALONE] = timed(lambda: calibration(network))
    runs = interleaved(work, given.rounds)
    alone = runs.pop(ALONE)
    del made["TFLiteConverter's calibrator"]  # a float file
    quality = ", ".join(f"{name} {closeness(network, content):.1f} dB" for name, content in made.items())
    notes = [
        f"lite0 w8a8, packaged weights, the same {IMAGES} procedural images; edgenet's calibration includes the trial "
        "of two ways of choosing ranges, the others have no such step",
        f"logit SQNR against float on {JUDGED} other procedural images: {quality}",
    ]
    return show("calibration", host, rows_of(runs, alone), notes, given.json)


if __name__ == "__main__":
    exit_with(main)
