"""Time lite0's float conversion in process: edgenet against TFLiteConverter.

    python -m benchmarks.peers.fp32_conversion [--json]

Both start from the same packaged weights in memory, TensorFlow imported and the converter's tf_keras network built
beforehand, and end with the file's bytes.
"""

import numpy as np

from benchmarks.peers import converter
from benchmarks.peers.ratios import Ratio, arguments, exit_with, interleaved, machine, show, timed
from converters import flatbuffer
from converters.convert import float_network
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.probe import golden_images
from converters.runtime import Runner
from edgenet.errors import GateFailed
from edgenet.layers import expand
from edgenet.preprocessing import normalize
from edgenet.variants import VARIANTS
from edgenet.weights.packaged import packaged_weights
from edgenet.weights.record import Weights

BAR = 4.0
SAME = 1e-4  # of the largest logit: both files compute one network


def difference(ours: bytes, peer: bytes, weights: Weights) -> float:
    """Return max |ours - peer| / max |peer| of the logits; raise GateFailed if the files are not one network."""
    mine, theirs = Runner(ours), Runner(peer)
    worst = largest = 0.0
    for pixels in golden_images(weights.preprocessing):
        expected = theirs.real_output(normalize(pixels, weights.preprocessing)[np.newaxis]).reshape(-1)
        worst = max(worst, float(np.abs(mine.logits(pixels) - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
    if not worst <= SAME * largest:
        raise GateFailed(f"the two files differ by {worst / largest:.2g} of the largest logit", allowed=f"{SAME:g}")
    return worst / largest


def main() -> int:
    """Print the ratios; return the exit code."""
    given, host = arguments(str(__doc__)).parse_args(), machine()
    weights = packaged_weights(VARIANTS["lite0"])
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    network = converter.keras_network(architecture, weights)
    images = golden_images(weights.preprocessing)

    def ours() -> bytes:
        return flatbuffer.write(build_float(architecture, weights, FLOAT_ENTRY))

    sides = {
        "edgenet": timed(ours),
        "edgenet with its network check": timed(lambda: float_network(weights, images)),
        "TFLiteConverter.from_keras_model": timed(lambda: converter.guide(network).convert()),
        "TFLiteConverter on a frozen graph": timed(lambda: converter.frozen(network).convert()),
    }
    runs = interleaved(sides, given.rounds)
    plain, checked, guide, frozen = (runs[name] for name in sides)
    rows = [
        Ratio("conversion vs TFLiteConverter.from_keras_model", plain, guide, BAR, "times faster"),
        Ratio("conversion vs TFLiteConverter on a frozen graph", plain, frozen, None, "times faster"),
        Ratio("conversion and check vs TFLiteConverter.from_keras_model", checked, guide, None, "times faster"),
    ]
    apart = difference(ours(), converter.guide(network).convert(), weights)
    notes = [
        f"lite0 fp32, packaged weights; both files compute one network: logits {apart:.1g} apart",
        "the check: the file against the tf_keras network on 3 images, which edgenet convert never leaves out; the "
        "converter has none",
    ]
    return show("fp32_conversion", host, rows, notes, given.json)


if __name__ == "__main__":
    exit_with(main)
