"""Which layer of a network fills which tensor of the 8-bit file: what quantization-aware training has to round.

A convolution, its batch norm and a clipping activation are one op of the file, so that only the last of them is
rounded; a swish is two ops and three tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgenet.layers import Architecture, Layer

OUTPUT_NAME = "logits"
# Beyond 8 a sigmoid is within half an 8-bit step of 0 or 1: steps spent there are lost to where they count.
GATE_LIMIT = 8.0


@dataclass(frozen=True)
class Rounded:
    """A tensor of the file: its name, the Keras layer whose output it is, and what its range may not pass."""

    tensor: str
    layer: str
    low: float = -math.inf
    high: float = math.inf


def rounded_tensors(architecture: Architecture) -> tuple[Rounded, ...]:
    """Return every activation whose range is learned, in the order in which it is computed.

    The input's range and that of a sigmoid are known beforehand.
    """
    return tuple(_all(architecture))


def _all(architecture: Architecture) -> Iterator[Rounded]:
    yield from _of_layer(architecture.stem)
    for block in architecture.blocks:
        for layer in block.before_squeeze:
            yield from _of_layer(layer)
        if block.squeeze:
            yield Rounded(f"{block.name}.se.pool", f"{block.name}.se.pool")
            for layer in block.squeeze:
                yield from _of_layer(layer)
            yield Rounded(f"{block.name}.se/scaled", f"{block.name}.se.scaled")
        for layer in block.after_squeeze:
            yield from _of_layer(layer)
        if block.skip:
            yield Rounded(f"{block.name}/sum", f"{block.name}.sum")
    yield from _of_layer(architecture.head)
    yield Rounded("pool", "pool")
    yield Rounded(OUTPUT_NAME, architecture.classifier.name)


def _of_layer(layer: Layer) -> Iterator[Rounded]:
    before_activation = layer.batch_norm or layer.name
    activated = f"{layer.name}.{layer.activation}"
    if layer.activation in ("relu", "relu6"):
        yield Rounded(layer.name, activated)
    elif layer.activation == "swish":
        yield Rounded(layer.name, before_activation, low=-GATE_LIMIT)
        yield Rounded(f"{layer.name}/swish", activated)
    elif layer.activation == "sigmoid":
        yield Rounded(layer.name, before_activation, -GATE_LIMIT, GATE_LIMIT)
    else:
        yield Rounded(layer.name, before_activation)


def compressible(architecture: Architecture) -> tuple[Layer, ...]:
    """Return the layers that are pruned and clustered: all but the stem and the depthwise ones.

    Those hold 0.8 % (v2-xl) to 5.1 % (edgetpu-m) of the weights, and have few for each output: they lose most by it.
    2:4 needs inputs in fours, which they do not have, and no runtime skips their zeros.
    """
    return tuple(layer for layer in architecture.layers if layer.kind != "depthwise" and layer != architecture.stem)
