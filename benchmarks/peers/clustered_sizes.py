"""What zeros and clusters do to the size of lite0's files, raw and after gzip -9.

    python -m benchmarks.peers.clustered_sizes

The packaged weights are masked and clustered as a training begins to, without training: sizes ask for no more. Folding
a batch norm multiplies each channel, so that a float file has 16 values a channel instead of 16 a layer; what a file
with unfolded weights would take stands beside it.
"""

from __future__ import annotations

import gzip
import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY, integer_entry
from converters.float_file import build_float
from converters.learned import learned_steps
from converters.quantize import ActivationData, quantize_model
from edgenet.folding import fold
from edgenet.layers import Architecture, expand
from edgenet.training.compress.clusters import first_centroids, nearest
from edgenet.training.compress.sparsity import magnitude_mask
from edgenet.training.compress.tensors import compressible, rounded_tensors
from edgenet.variants import parse_variant
from edgenet.weights.packaged import packaged_weights
from edgenet.weights.record import LearnedRanges, Weights

CLUSTERS = 16


def architecture_of(weights: Weights) -> Architecture:
    """Return the network that the weights are for."""
    return expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)


def chosen_layers(weights: Weights) -> set[str]:
    """Return the names of the layers that are compressed."""
    return {layer.name for layer in compressible(architecture_of(weights))}


def compressed(weights: Weights, sparsity: float, clusters: int) -> Weights:
    """Return weights with a share of zeros and few distinct values; 0 leaves them as they are."""
    names = [f"{name}.weight" for name in chosen_layers(weights)]
    tensors = {name: _kernel(weights.tensors[name], sparsity, clusters) for name in names}
    return replace(weights, tensors=weights.tensors | tensors)


def _kernel(weight: NDArray[np.float32], sparsity: float, clusters: int) -> NDArray[np.float32]:
    mask = magnitude_mask(weight, sparsity)
    if not clusters:
        return weight * mask
    centroids = first_centroids(weight[mask > 0], clusters - (sparsity > 0))
    return nearest(weight, centroids) * mask


def float_file(weights: Weights) -> bytes:
    """Return the float file."""
    return flatbuffer.write(build_float(architecture_of(weights), weights, FLOAT_ENTRY))


def int8_file(weights: Weights, *, one_scale: bool) -> bytes:
    """Return the int8 file with a scale for each channel, or one for each clustered layer; its ranges are any."""
    entry = integer_entry(weights.preprocessing)
    content = flatbuffer.write(build_float(architecture_of(weights), weights, entry))
    ranges = {row.tensor: (-3.0, 6.0) for row in rounded_tensors(architecture_of(weights))}
    learned = LearnedRanges(ranges, frozenset(chosen_layers(weights)) if one_scale else frozenset(), "")
    exact = entry.ranges(weights.preprocessing)
    steps = learned_steps(content, architecture_of(weights), replace(weights, learned=learned), entry, exact)
    if steps is None:
        raise ValueError("weights with ranges gave no steps")
    return flatbuffer.write(quantize_model(content, "w8a8", ActivationData(steps.ranges, {}), trained=steps.weights))


def unfolded_bytes(weights: Weights) -> bytes:
    """Return the bare weights as a file would hold them if clustered layers kept their batch norms apart."""
    parts, chosen = [], chosen_layers(weights)
    for layer in architecture_of(weights).layers:
        folded = fold(layer, weights)
        weight = weights.tensors[f"{layer.name}.weight"] if layer.name in chosen else folded.weight
        order = (0, 2, 3, 1) if weight.ndim == 4 else (0, 1)
        parts += [np.ascontiguousarray(weight.transpose(order)).tobytes(), folded.bias.tobytes()]
    return b"".join(parts)


def main() -> int:
    """Print a row a file; return the exit code."""
    plain = packaged_weights(parse_variant("lite0"))
    half, clustered, both = (compressed(plain, *how) for how in ((0.5, 0), (0, CLUSTERS), (0.5, CLUSTERS)))
    files = {
        "float": float_file(plain),
        "float, 50 % zeros": float_file(half),
        "float, 16 clusters": float_file(clustered),
        "float, 16 clusters, unfolded": unfolded_bytes(clustered),
        "int8": int8_file(plain, one_scale=False),
        "int8, 50 % zeros": int8_file(half, one_scale=False),
        "int8, 16 clusters, a scale for each channel": int8_file(clustered, one_scale=False),
        "int8, 16 clusters": int8_file(clustered, one_scale=True),
        "int8, 50 % zeros, 16 clusters": int8_file(both, one_scale=True),
    }
    print(f"{'lite0':46}{'MB':>7}{'gzip -9':>10}")
    for name, content in files.items():
        print(f"{name:46}{len(content) / 1e6:7.2f}{len(gzip.compress(content, 9)) / 1e6:10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
