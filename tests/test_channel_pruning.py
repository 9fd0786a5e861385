"""Cutting channels: the budget is met, what is worth least goes, and the narrow network is the masked full one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.network_check import network_error
from converters.runtime import Runner
from edgenet.channel_groups import channel_figures, groups
from edgenet.channel_pruning import STEP, Cut, choose_channels, make_up_for, prune_channels
from edgenet.counts import count
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.variants import VARIANTS
from edgenet.weights.random import random_weights
from edgenet.weights.record import Weights
from tests.networks import pictures, small_weights

FAMILIES = ("b", "lite", "edgetpu", "v2")


def weights_of(family: str) -> Weights:
    """Return seeded weights whose batch norms differ from channel to channel, as trained ones do."""
    weights, random = small_weights(family), np.random.default_rng(0)
    tensors = dict(weights.tensors)
    for layer in weights.architecture().layers:
        if layer.batch_norm:
            for part, low, high in (("weight", 0.2, 1.5), ("bias", -0.5, 0.5), ("running_mean", -0.2, 0.2)):
                name = f"{layer.batch_norm}.{part}"
                tensors[name] = random.uniform(low, high, tensors[name].shape).astype(np.float32)
    return replace(weights, tensors=tensors)


def masked(weights: Weights, cuts: list[Cut]) -> Weights:
    """Return the full network whose channels that go are zero, their means made up for."""
    full = make_up_for(weights.architecture(), weights, cuts)
    tensors = dict(full.tensors)
    for cut in cuts:
        for part in ("weight", "bias"):
            name = f"{cut.group.makers[-1].batch_norm}.{part}"
            tensors[name] = tensors[name].copy()
            tensors[name][cut.gone] = 0
    return replace(full, tensors=tensors)


def logits(weights: Weights) -> NDArray[np.float32]:
    runner = Runner(flatbuffer.write(build_float(weights.architecture(), weights, FLOAT_ENTRY)), 1)
    return np.stack([runner.logits(pixels) for pixels in pictures(3)])


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_narrow_network_is_the_masked_full_one(family: str, share: float) -> None:
    weights = weights_of(family)
    cuts = choose_channels(weights.architecture(), weights, share)
    narrow, full = logits(prune_channels(weights, share)), logits(masked(weights, cuts))
    assert np.abs(narrow - full).max() < 1e-5 * np.abs(full).max()
    assert np.abs(narrow - logits(weights)).max() > 1e-3 * np.abs(full).max()  # and not the uncut one


@pytest.mark.parametrize("family", FAMILIES)
def test_the_narrow_network_is_that_of_keras(family: str) -> None:
    narrow = prune_channels(weights_of(family), 0.5)
    content = flatbuffer.write(build_float(narrow.architecture(), narrow, FLOAT_ENTRY))
    assert network_error(content, narrow.architecture(), narrow, pictures(2)) < 1e-5


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("name", ["b0", "lite0", "edgetpu-s", "v2-b0"])
def test_the_budget_is_met_and_hardly_undercut(name: str, share: float) -> None:
    weights = random_weights(VARIANTS[name])
    narrow = prune_channels(weights, share).architecture()
    before, left = count(weights.architecture()).macs, count(narrow).macs
    assert 0.95 * (1 - share) < left / before <= 1 - share
    assert all(group.channels % STEP == 0 for group in groups(narrow) if group.channels < _own(weights, group.name))


def _own(weights: Weights, name: str) -> int:
    return next(layer.out_channels for layer in weights.architecture().layers if layer.name == name)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_stays_is_worth_more_than_what_goes(family: str) -> None:
    weights = weights_of(family)
    figures = channel_figures(weights.architecture(), weights)
    for cut in choose_channels(weights.architecture(), weights, 0.4):
        importance = figures[cut.group.name].importance
        assert importance[cut.gone].max() <= importance[cut.kept].min()


# Without squeeze-and-excite, and with one pixel to read, a channel that gives a constant is a part of the next bias.
DEAD = [("b", ("weight", "bias")), ("edgetpu", ("weight", "bias")), ("v2", ("weight", "bias")), ("lite", ("weight",))]


@pytest.mark.parametrize(("family", "zero"), DEAD)
def test_dead_channels_go_first_and_nothing_changes(family: str, zero: tuple[str, ...]) -> None:
    weights = weights_of(family)
    tensors = dict(weights.tensors)
    for group in groups(weights.architecture()):
        for name in (f"{group.makers[-1].batch_norm}.{part}" for part in zero):
            tensors[name] = tensors[name].copy()
            tensors[name][: group.channels // 2] = 0
    dead = replace(weights, tensors=tensors)
    cuts = choose_channels(dead.architecture(), dead, 0.1)
    assert all(cut.gone.max() < cut.group.channels // 2 for cut in cuts)
    assert np.abs(logits(prune_channels(dead, 0.1)) - logits(dead)).max() < 1e-5 * np.abs(logits(dead)).max()


def test_a_network_can_be_cut_again() -> None:
    once = prune_channels(weights_of("lite"), 0.3)
    twice = prune_channels(once, 0.3)
    assert count(twice.architecture()).macs <= 0.7 * count(once.architecture()).macs
    assert all(twice.widths[name] <= channels for name, channels in once.widths.items())


def test_more_than_a_network_can_lose_is_refused() -> None:
    with pytest.raises(InputError, match=r"channels:0\.95 asks for more .* up to channels:0\.[78]"):
        prune_channels(random_weights(VARIANTS["lite0"]), 0.95)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"blocks.1.0.conv_pw": 97}, "conv_pw cannot have 97 channels; allowed: 1 to 96"),
        ({"conv_head": 0}, "conv_head cannot have 0 channels; allowed: 1 to 1280"),
        ({"blocks.1.0.conv_pwl": 16}, "cannot be narrowed: blocks.1.0.conv_pwl"),
        ({"blocks.9.0.conv_pw": 16}, "cannot be narrowed: blocks.9.0.conv_pw"),
    ],
)
def test_widths_that_cannot_be(widths: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        expand(VARIANTS["lite0"], widths=widths)
    assert message in str(caught.value)


def test_the_stem_of_a_network_whose_first_block_adds_is_not_free() -> None:
    with pytest.raises(InputError, match="cannot be narrowed: conv_stem"):
        expand(VARIANTS["v2-s"], widths={"conv_stem": 16})
    narrow = expand(VARIANTS["lite0"], widths={"conv_stem": 16})
    assert (narrow.blocks[0].skip, narrow.blocks[0].layers[0].in_channels) == (False, 16)  # 16 to 16, yet no skip
