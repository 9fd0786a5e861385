"""Seeded random weights: a network of the right shape whose activations stay sane, for speed and size alone.

Each tensor has a generator of its own (PCG64, seeded by SHA-256 of seed and name), and only its raw integers are used:
NumPy guarantees those, while the streams of its distributions may change. So a seed gives the same bytes anywhere.
"""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edgenet.layers import FULL, Architecture, Block, Layer, Widths, expand
from edgenet.variants import Activation, Variant
from edgenet.weights.names import expected_shapes
from edgenet.weights.preprocessing_rules import published_rule
from edgenet.weights.record import Weights

DEFAULT_SEED = 0

# 1 / E[f(x)^2] for x of unit variance: what a convolution must make up for after each activation (He, 1502.01852).
GAIN: dict[Activation, float] = {"swish": 2.81, "relu6": 2.0, "relu": 2.0, "sigmoid": 1.0, "none": 1.0}
GATE_GAIN = 4.0  # a squeeze-and-excite gate of random weights stays near sigmoid(0) = 1/2

# The sum of four uniform 16-bit numbers is bell-shaped; its standard deviation is sqrt(4 (2^32 - 1) / 12).
_SUM_MEAN = 2 * (2**16 - 1)
_SUM_STD = ((2**32 - 1) / 3) ** 0.5


def random_weights(
    variant: Variant, seed: int = DEFAULT_SEED, num_classes: int = 1000, widths: Widths = FULL
) -> Weights:
    """Return seeded weights: He-like convolutions by fan-in, batch norms that change nothing, biases of zero."""
    network = expand(variant, num_classes, widths=widths)
    deviations = dict(_deviations(network))
    tensors = {
        name: _tensor(name, shape, deviations.get(name.removesuffix(".weight"), 0.0), seed)
        for name, shape in expected_shapes(variant, num_classes, widths).items()
    }
    return Weights(
        tensors=tensors,
        source="random",
        origin=f"seed {seed}",
        sha256=digest(tensors),
        variant=variant,
        num_classes=num_classes,
        preprocessing=published_rule(variant).at(variant.side_px),
        widths=widths,
        notes=(f"seeded random weights (seed {seed}): speed and size are real, predictions mean nothing",),
    )


def digest(tensors: Mapping[str, NDArray[np.float32]]) -> str:
    """Return the SHA-256 over names and little-endian values, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(np.ascontiguousarray(tensors[name], dtype="<f4").data)
    return total.hexdigest()


def _tensor(name: str, shape: tuple[int, ...], deviation: float, seed: int) -> NDArray[np.float32]:
    if deviation:
        return _bell(name, shape, deviation, seed)
    identity = 1.0 if name.endswith((".weight", ".running_var")) else 0.0
    return np.full(shape, identity, np.float32)


def _bell(name: str, shape: tuple[int, ...], deviation: float, seed: int) -> NDArray[np.float32]:
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "little")
    raw = np.random.PCG64(key).random_raw(int(np.prod(shape)))
    parts = np.asarray(raw, dtype="<u8").view("<u2").reshape(-1, 4)
    total = parts[:, 0].astype(np.int32)
    for part in (1, 2, 3):
        total += parts[:, part]
    # One rounding to float32 at the end of exact integers and one double product: no library function in between.
    return ((total - _SUM_MEAN) * (deviation / _SUM_STD)).astype(np.float32).reshape(shape)


def _deviations(network: Architecture) -> Iterator[tuple[str, float]]:
    """Yield the standard deviation of each layer's weights, keeping the mean square of what flows at about 1."""
    skips = sum(block.skip for block in network.blocks)
    yield network.stem.name, _deviation(network.stem, 1.0)
    gain = GAIN[network.stem.activation]
    for block in network.blocks:
        yield from _block(block, gain, skips)
        gain = GAIN[block.layers[-1].activation]
    yield network.head.name, _deviation(network.head, gain)
    yield network.classifier.name, _deviation(network.classifier, GAIN[network.head.activation])


def _block(block: Block, gain: float, skips: int) -> Iterator[tuple[str, float]]:
    for layer in block.before_squeeze:
        yield layer.name, _deviation(layer, gain * _damping(block, layer, skips))
        gain = GAIN[layer.activation]
    for layer in block.squeeze:
        yield layer.name, _deviation(layer, 1.0)
    gain *= GATE_GAIN if block.squeeze else 1.0
    for layer in block.after_squeeze:
        yield layer.name, _deviation(layer, gain * _damping(block, layer, skips))


def _damping(block: Block, layer: Layer, skips: int) -> float:
    """Shrink what a block adds to its input: over n such sums the mean square grows by (1 + 1/n)^n < e, not by 2^n."""
    return 1 / skips if block.skip and layer is block.layers[-1] else 1.0


def _deviation(layer: Layer, gain: float) -> float:
    fan_in = int(np.prod(layer.weight_shape[1:]))
    return float((gain / fan_in) ** 0.5)
