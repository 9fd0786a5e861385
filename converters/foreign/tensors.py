"""The arrays of recognised parts as a variant's tensors, and the conventions of whoever trained them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.foreign.nodes import Affine, Array, BatchNorm, as_affine, then
from converters.foreign.parts import Found, Head
from edgenet.errors import InputError
from edgenet.layers import Architecture, Layer
from edgenet.weights.names import expected_shapes
from edgenet.weights.record import Convention, Padding

Tensors = dict[str, NDArray[np.float32]]
DEFAULT_EPSILON = 1e-3


@dataclass(frozen=True)
class Read:
    """A variant's tensors, how its convolutions pad, and how many of its batch norms were folded away before."""

    tensors: Tensors
    convention: Convention
    folded: int


def read_tensors(network: Architecture, found: Sequence[Found], head: Head) -> Read:
    """Return the tensors of `network`, whose layers `found` are; raise InputError for what does not fit.

    A batch norm that was folded into its convolution before becomes one that does nothing but add the bias.
    """
    epsilon = _epsilon(found)
    tensors: Tensors = {}
    folded = 0
    for layer, row in zip(network.layers, found, strict=False):
        if not layer.batch_norm:
            tensors.update(_biased(layer.name, row.conv.weight, row.steps))
            continue
        tensors[f"{layer.name}.weight"] = row.conv.weight
        norm = _norm(row.steps, layer, epsilon)
        folded += norm not in row.steps
        parts = (norm.gamma, norm.beta, norm.mean, norm.variance)
        names = ("weight", "bias", "running_mean", "running_var")
        tensors.update({f"{layer.batch_norm}.{name}": part for name, part in zip(names, parts, strict=True)})
    tensors.update(_biased(network.classifier.name, head.dense.weight, head.steps))
    _check(tensors, network)
    return Read(tensors, Convention(_padding(network, found), epsilon), folded)


def _epsilon(found: Sequence[Found]) -> float:
    """Return the epsilon of most batch norms: one that has another becomes equivalent arrays with this one."""
    counts = Counter(step.epsilon for row in found for step in row.steps if isinstance(step, BatchNorm))
    # Files store it as a float32: 0.0010000000474974513 is 0.001.
    return float(np.format_float_positional(np.float32(counts.most_common(1)[0][0]))) if counts else DEFAULT_EPSILON


def _combined(steps: Sequence[Affine | BatchNorm]) -> tuple[Array, Array]:
    combined = np.ones(1), np.zeros(1)
    for step in steps:
        combined = then(combined, as_affine(step))
    return combined


def _norm(steps: Sequence[Affine | BatchNorm], layer: Layer, epsilon: float) -> BatchNorm:
    """Return the batch norm that a layer has, or one that computes the same as its steps: mean 0, variance 1."""
    if len(steps) == 1 and isinstance(steps[0], BatchNorm) and abs(steps[0].epsilon - epsilon) < 1e-9:
        return steps[0]
    scale, shift = (np.broadcast_to(row, layer.out_channels).astype(np.float32) for row in _combined(steps))
    still = np.zeros(layer.out_channels, np.float32)
    return BatchNorm("", (), scale, shift, still, np.full(layer.out_channels, 1 - epsilon, np.float32), epsilon)


def _biased(name: str, weight: NDArray[np.float32], steps: Sequence[Affine | BatchNorm]) -> Tensors:
    """Return weight and bias of a layer without batch norm; what scales its result is multiplied into the weight."""
    scale, shift = _combined(steps)
    scaled = weight if (scale == 1).all() else weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    bias = np.broadcast_to(shift, len(weight))
    return {f"{name}.weight": scaled.astype(np.float32), f"{name}.bias": bias.astype(np.float32)}


def _check(tensors: Tensors, network: Architecture) -> None:
    expected = expected_shapes(network.variant, network.num_classes)
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise InputError(f"{name} has shape {tensors[name].shape}", allowed=f"{shape} in {network.variant.name}")
        if not np.isfinite(tensors[name]).all():
            raise InputError(f"{name} holds values that are not finite", mend="the training diverged; take another")


def _padding(network: Architecture, found: Sequence[Found]) -> Padding:
    """Return the one rule by which all strided convolutions pad; raise InputError where there is none."""
    rules: list[Padding] = ["same", "symmetric"]
    for layer, row in zip(network.layers, found, strict=False):
        pads = _pads(row)
        # SAME needs no numbers; with stride 1 both rules say the same.
        fitting: list[Padding] = [
            rule for rule in rules if (pads == _wanted(rule, layer) if pads else rule == "same" or layer.stride == 1)
        ]
        if not fitting:
            what = f"{row.conv.label} pads by {pads} (top, left, bottom, right) on a map of {layer.in_side} px"
            allowed = f"{_wanted('same', layer)} (TensorFlow's SAME) or {_wanted('symmetric', layer)} (PyTorch's)"
            raise InputError(what, allowed=allowed + ", the same in all layers")
        rules = fitting
    return rules[0]


def _pads(row: Found) -> tuple[int, ...] | None:
    """Return what a convolution and a padding step before it add together; None for SAME."""
    before = row.pad.pads if row.pad else (0, 0, 0, 0)
    if row.conv.pads is None:
        return before if any(before) else None
    return tuple(a + b for a, b in zip(before, row.conv.pads, strict=True))


def _wanted(rule: Padding, layer: Layer) -> tuple[int, int, int, int]:
    if rule == "symmetric" or layer.stride == 1:
        edge = layer.kernel // 2
        return edge, edge, edge, edge
    total = max(0, (layer.out_side - 1) * layer.stride + layer.kernel - layer.in_side)
    return total // 2, total // 2, total - total // 2, total - total // 2
