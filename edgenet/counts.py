"""Parameters, multiply-accumulates and activation sizes, computed from the rows alone."""

from dataclasses import dataclass
from math import prod

from edgenet.layers import Architecture, Layer


@dataclass(frozen=True)
class Counts:
    """What a network costs; parameters as numbers of values, activations as numbers of elements at batch 1."""

    trainable: int
    with_batch_norm_statistics: int
    batch_norm_folded: int  # weights and biases as the deployed file holds them
    macs: int  # multiply-accumulates of convolutions and the dense layer, batch 1
    peak_activation: int  # elements of the largest single tensor
    blocks: int
    adds: int
    squeezes: int
    int8_size_bytes: int  # int8 weights + int32 biases

    @property
    def keras_total(self) -> int:
        """Return Keras' published total: its Normalization layer holds 7 more values (mean 3, variance 3, count 1)."""
        return self.with_batch_norm_statistics + 7


def layer_macs(layer: Layer) -> int:
    """Return the multiply-accumulates of one layer at batch 1."""
    return prod(layer.weight_shape) * layer.out_side**2


def count(network: Architecture) -> Counts:
    """Count `network` exactly."""
    layers = network.layers
    weights = sum(prod(layer.weight_shape) for layer in layers)
    biases = sum(layer.out_channels for layer in layers if not layer.batch_norm)
    normed = sum(layer.out_channels for layer in layers if layer.batch_norm)
    return Counts(
        trainable=weights + biases + 2 * normed,
        with_batch_norm_statistics=weights + biases + 4 * normed,
        batch_norm_folded=weights + biases + normed,
        macs=sum(layer_macs(layer) for layer in layers),
        peak_activation=max(layer.out_side**2 * layer.out_channels for layer in layers),
        blocks=len(network.blocks),
        adds=sum(block.skip for block in network.blocks),
        squeezes=sum(bool(block.squeeze) for block in network.blocks),
        int8_size_bytes=weights + 4 * (biases + normed),
    )
