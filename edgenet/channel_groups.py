"""Channels that stand and fall together, and what each of them does to the layer that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgenet.folding import fold
from edgenet.layers import Architecture, Block, Layer, is_free_stem
from edgenet.moments import Array, gate_means, output_moments
from edgenet.weights.record import Weights

_EXPANSIONS = ("conv_pw", "conv_exp")


@dataclass(frozen=True)
class Group:
    """One width that can be cut: `makers` put it out, squeeze-and-excite scales it, `reader` sums it."""

    makers: tuple[Layer, ...]  # the first one's name is the name of the width; a depthwise layer may follow
    squeeze: tuple[Layer, ...]
    reader: Layer

    @property
    def name(self) -> str:
        """Return the name under which the width is kept."""
        return self.makers[0].name

    @property
    def channels(self) -> int:
        """Return how many channels there are."""
        return self.makers[-1].out_channels


@dataclass(frozen=True)
class Channels:
    """What is known of a group's channels without data: the mean of each and what its going costs, [C]."""

    means: Array  # before squeeze-and-excite, in real units
    gates: Array  # of squeeze-and-excite; 1 without
    noise: Array  # the mean square error of the reader's output, all its channels in sum, with the means made up for
    signal: float  # the mean square of the sum that the reader's output becomes part of

    @property
    def importance(self) -> Array:
        """Return the noise-to-signal ratio that each channel's going leaves, [C]."""
        return self.noise / self.signal


def groups(architecture: Architecture) -> Iterator[Group]:
    """Yield the widths that can be cut: free stem, expansions, head. What skips carry on stays as wide as it is."""
    first = architecture.blocks[0]
    if is_free_stem(architecture.variant):
        yield _stem_group(architecture.stem, first)
    for block in architecture.blocks:
        if block.before_squeeze[0].name.rpartition(".")[2] in _EXPANSIONS and block.after_squeeze:
            yield Group(block.before_squeeze, block.squeeze, block.after_squeeze[0])
    yield Group((architecture.head,), (), architecture.classifier)


def _stem_group(stem: Layer, first: Block) -> Group:
    if first.before_squeeze[0].kind == "depthwise":
        return Group((stem, *first.before_squeeze), first.squeeze, first.after_squeeze[0])
    return Group((stem,), (), first.before_squeeze[0])


def channel_figures(architecture: Architecture, weights: Weights) -> dict[str, Channels]:
    """Return what is known of each group's channels, by the group's name."""
    signals = _signals(architecture, weights)
    return {group.name: _figures(group, weights, signals) for group in groups(architecture)}


def _figures(group: Group, weights: Weights, signals: dict[str, float]) -> Channels:
    moments = output_moments(group.makers[-1], weights)
    gates = gate_means(group.squeeze, weights, moments.means)
    kernel = fold(group.reader, weights).weight.astype(np.float64)  # [O, I, ...]
    power = np.square(kernel).reshape(*kernel.shape[:2], -1).sum(axis=(0, 2))
    noise = moments.scaled(gates).variances * power
    return Channels(moments.means, gates, noise, signals.get(group.reader.name) or float(noise.sum()) or 1.0)


def _signals(architecture: Architecture, weights: Weights) -> dict[str, float]:
    """Return, by reader, the mean square of what the reader's output is added to, itself included."""
    signals: dict[str, float] = {}
    trunk = 0.0
    for block in architecture.blocks:
        first, last = block.before_squeeze[0], (block.after_squeeze or block.before_squeeze)[-1]
        trunk = _scale_power(last, weights) + (trunk if block.skip else 0.0)
        signals |= {first.name: _scale_power(first, weights), last.name: trunk}
    return signals


def _scale_power(layer: Layer, weights: Weights) -> float:
    return float(np.square(weights.tensors[f"{layer.batch_norm}.weight"].astype(np.float64)).sum())
