"""Cut channels out of a network: choose them against a budget of multiply-accumulates, and leave a narrower network.

The choice is a knapsack, as in Aflalo et al. (arXiv 2002.08258): keep the channels that are worth most in sum at no
more than the budget; what is worth least per multiply-accumulate goes first. A channel is worth the error that its
going leaves at the output of its block, relative to the signal there. Both follow from the batch norms alone
(`channel_groups.py`), so that no image is needed. The mean of what goes is made up for in the layer behind it, as bias
correction does (Nagel et al., arXiv 1906.04721, section 4.2.1).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgenet.channel_groups import Channels, Group, channel_figures, groups
from edgenet.counts import count, layer_macs
from edgenet.errors import InputError
from edgenet.layers import Architecture, Layer, Widths, expand
from edgenet.weights.record import Weights

# Channels that go at a time. Kernels take them by 8 (Arm) to 32 (int8 depthwise on AVX-512), and what is left over
# takes as long as a whole: half of lite0's w8a8 takes 0.70 of the time in steps of 8, 0.66 of 16 and 0.61 of 32.
STEP = 32
DEPTHWISE_PRICE = 3  # a depthwise multiply-accumulate is priced as so many others: memory is what it waits for
LEAST_SHARE = 8  # of a layer's channels, one in so many stays: a layer that is cut away cuts the network in two

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Cut:
    """One group and the channels of it that stay, ascending."""

    group: Group
    kept: NDArray[np.intp]

    @property
    def gone(self) -> NDArray[np.intp]:
        """Return the channels that go, ascending."""
        return np.setdiff1d(np.arange(self.group.channels), self.kept)


def prune_channels(weights: Weights, share: float) -> Weights:
    """Return a narrower network that does without `share` of the multiply-accumulates, at least.

    Raise InputError where so many cannot be cut out.
    """
    architecture = weights.architecture()
    cuts = choose_channels(architecture, weights, share)
    tensors = dict(make_up_for(architecture, weights, cuts).tensors)
    for cut in cuts:
        _slice(tensors, cut)
    widths = {**weights.widths, **{cut.group.name: len(cut.kept) for cut in cuts}}
    return replace(weights, tensors=tensors, widths=widths)


def choose_channels(architecture: Architecture, weights: Weights, share: float) -> list[Cut]:
    """Return what to cut so that `share` of the multiply-accumulates go; raise InputError where it is not there."""
    figures = channel_figures(architecture, weights)
    found = {group.name: group for group in groups(architecture)}
    steps = sorted(step for group in found.values() for step in _steps(group, figures[group.name]))
    macs = count(architecture).macs

    def gone_after(number: int) -> dict[str, int]:
        return {step.group: step.gone for step in steps[:number]}

    def left_after(number: int) -> float:
        widths = {name: found[name].channels - gone for name, gone in gone_after(number).items()}
        return count(_narrowed(architecture, {**weights.widths, **widths})).macs / macs

    number = bisect_left(range(len(steps)), True, key=lambda index: left_after(index) <= 1 - share)
    left = left_after(number)
    if left > 1 - share:
        raise InputError(
            f"--prune channels:{share:g} asks for more than {architecture.variant.name} can lose",
            allowed=f"up to channels:{math.floor(1000 * (1 - left)) / 1000:g}",
            mend="each layer keeps an eighth of its channels; take a smaller variant",
        )
    return [Cut(found[name], _kept(figures[name], gone)) for name, gone in gone_after(number).items()]


def _narrowed(architecture: Architecture, widths: Widths) -> Architecture:
    return expand(architecture.variant, architecture.num_classes, architecture.side_px, widths)


@dataclass(frozen=True, order=True)
class _Step:
    """The next channels of a group to go."""

    price: float  # worth per multiply-accumulate, depthwise ones counted several times
    group: str
    gone: int  # with all that went before


def _steps(group: Group, channels: Channels) -> list[_Step]:
    """Return the steps that a group can be cut by, in the order in which they must be taken; prices never fall."""
    floor = math.ceil(group.channels / LEAST_SHARE / STEP) * STEP
    worth = np.sort(channels.importance)
    layers = (*group.makers, *group.squeeze, group.reader)
    cost = sum(layer_macs(row) * (DEPTHWISE_PRICE if row.kind == "depthwise" else 1) for row in layers) / group.channels
    ends = range(group.channels % STEP or STEP, group.channels - floor + 1, STEP)
    return [_Step(float(worth[max(0, end - STEP) : end].mean()) / cost, group.name, end) for end in ends]


def _kept(channels: Channels, gone: int) -> NDArray[np.intp]:
    order = np.argsort(channels.importance, kind="stable")
    return np.sort(order[gone:])


def make_up_for(architecture: Architecture, weights: Weights, cuts: list[Cut]) -> Weights:
    """Return the full network with the mean of each channel that goes taken into the layers that read it."""
    figures = channel_figures(architecture, weights)
    tensors = dict(weights.tensors)
    for cut in cuts:
        channels, gone = figures[cut.group.name], cut.gone
        if cut.group.squeeze:
            _take_in(tensors, cut.group.squeeze[0], gone, channels.means[gone])
        _take_in(tensors, cut.group.reader, gone, (channels.means * channels.gates)[gone])
    return replace(weights, tensors=tensors)


def _take_in(
    tensors: dict[str, NDArray[np.float32]], layer: Layer, gone: NDArray[np.intp], means: NDArray[np.float64]
) -> None:
    """Put what the missing inputs [G] give in the mean into a layer's bias, or its batch norm's mean."""
    weight = tensors[f"{layer.name}.weight"].astype(np.float64)[:, gone]
    missing = weight.reshape(*weight.shape[:2], -1).sum(axis=2) @ means
    name, sign = (f"{layer.batch_norm}.running_mean", -1) if layer.batch_norm else (f"{layer.name}.bias", 1)
    tensors[name] = (tensors[name] + sign * missing).astype(np.float32)


def _slice(tensors: dict[str, NDArray[np.float32]], cut: Cut) -> None:
    """Take the channels that go out of every tensor that has them, in place."""
    kept = cut.kept
    for maker in cut.group.makers:
        for name in (f"{maker.name}.weight", *(f"{maker.batch_norm}.{part}" for part in _BATCH_NORM)):
            tensors[name] = np.ascontiguousarray(tensors[name][kept])
    for layer in (*cut.group.squeeze[:1], cut.group.reader):
        tensors[f"{layer.name}.weight"] = np.ascontiguousarray(tensors[f"{layer.name}.weight"][:, kept])
    for layer in cut.group.squeeze[1:]:
        for name in (f"{layer.name}.weight", f"{layer.name}.bias"):
            tensors[name] = np.ascontiguousarray(tensors[name][kept])
