"""Which variant a row of convolutions is, how they pad, and what their input's normalization is: without any file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from converters.foreign.nodes import Affine, BatchNorm, Conv, Dense, Input, Pad, as_affine, then
from converters.foreign.normalization import BY_HAND, OF_MANIFEST, Given, settle
from converters.foreign.parts import Found, Head
from converters.foreign.recognise import recognise
from converters.foreign.tensors import read_tensors
from edgenet.errors import InputError
from edgenet.folding import fold
from edgenet.layers import Layer, expand
from edgenet.variants import VARIANTS, Variant, scaled
from edgenet.weights.random import random_weights
from edgenet.weights.record import Convention

IMAGE = Input("image", (), 64)


def found_of(layers: Sequence[Layer]) -> list[Found]:
    """Return convolutions that look like `layers`; their weights are zeros that take no memory."""
    return [_found(layer) for layer in layers]


def _found(layer: Layer, pads: tuple[int, int, int, int] | None = None, pad: Pad | None = None) -> Found:
    weight = np.broadcast_to(np.float32(0), layer.weight_shape)
    depthwise, strides = layer.kind == "depthwise", (layer.stride, layer.stride)
    conv = Conv(f"their {layer.name}", (pad or IMAGE,), weight, depthwise, strides, pads)
    return Found(conv, pad, (), layer.activation, conv)


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_is_told_from_all_others(name: str) -> None:
    found = found_of(expand(VARIANTS[name]).layers[:-1])
    assert recognise(found, None, "mine").name == name
    assert recognise(found, VARIANTS[name], "mine").name == name


def test_a_variant_between_the_named_ones_is_recognised_where_it_is_asked_for() -> None:
    variant = scaled(0.5)
    found = found_of(expand(variant).layers[:-1])
    assert recognise(found, variant, "mine") == variant
    with pytest.raises(InputError, match="no EfficientNet that edgenet knows; nearest is b1"):
        recognise(found, None, "mine")


@dataclass(frozen=True)
class Odd:
    """Layers that are no variant's, and where they begin to differ."""

    id: str
    layers: tuple[Layer, ...]
    message: str


B0, LITE0 = expand(VARIANTS["b0"]).layers[:-1], expand(VARIANTS["lite0"]).layers[:-1]
ODD = (
    Odd(
        "a layer less", B0[:-1], "nearest is b0, the first difference at layer 81: no convolution is left for conv_head"
    ),
    Odd("a layer more", (*LITE0, LITE0[-1]), "at layer 50: their conv_head comes after its last convolution"),
    Odd(
        "relu for swish",
        (replace(B0[0], activation="relu"), *B0[1:]),
        "nearest is b0, the first difference at layer 1: their conv_stem",
    ),
    Odd(
        "another width",
        (*LITE0[:5], replace(LITE0[5], out_channels=32)),
        "32 channels, no activation; blocks.1.0.conv_pwl",
    ),
    Odd("nothing", (), "mine holds no convolution"),
)


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.id)
def test_the_nearest_variant_and_the_first_difference_are_named(case: Odd) -> None:
    with pytest.raises(InputError, match=case.message):
        recognise(found_of(case.layers), None, "mine")


def _head(variant: Variant) -> Head:
    channels = expand(variant).classifier.in_channels
    return Head(Dense("kinds", (), np.zeros((3, channels), np.float32)), (), False)


def _same(layer: Layer) -> tuple[int, int, int, int]:
    total = max(0, (layer.out_side - 1) * layer.stride + layer.kernel - layer.in_side)
    return total // 2, total // 2, total - total // 2, total - total // 2


def test_padding_is_read_from_the_pads_whoever_adds_them() -> None:
    network = expand(VARIANTS["lite0"], 3, 64)
    edges = [(row.kernel // 2,) * 4 for row in network.layers[:-1]]
    none = (0, 0, 0, 0)
    styles = {
        "same": [[_found(row) for row in network.layers[:-1]],
                 [_found(row, _same(row)) for row in network.layers[:-1]],
                 [_found(row, none, Pad("pad", (IMAGE,), _same(row))) for row in network.layers[:-1]]],
        "symmetric": [[_found(row, (e, e, e, e)) for row, (e, *_) in zip(network.layers, edges, strict=False)],
                      [_found(row, none, Pad("pad", (IMAGE,), (e, e, e, e)))
                       for row, (e, *_) in zip(network.layers, edges, strict=False)]],
    }  # fmt: skip
    for padding, rows in styles.items():
        for found in rows:
            assert read_tensors(network, found, _head(VARIANTS["lite0"])).convention.padding == padding


def test_padding_of_no_kind_is_refused_by_the_layers_name() -> None:
    network = expand(VARIANTS["lite0"], 3, 64)
    found = found_of(network.layers[:-1])
    found[0] = _found(network.layers[0], (0, 0, 0, 0))
    with pytest.raises(InputError, match=r"their conv_stem pads by \(0, 0, 0, 0\)"):
        read_tensors(network, found, _head(VARIANTS["lite0"]))


def test_batch_norms_stay_as_they_are_or_become_equivalent() -> None:
    weights = random_weights(VARIANTS["lite0"], 0, 3)
    network = expand(VARIANTS["lite0"], 3, 64)
    found = [
        replace(_found(row), steps=(_norm(row.out_channels, index, 1e-5 if index % 2 else 1e-3),))
        for index, row in enumerate(network.layers[:-1])
    ]
    read = read_tensors(network, found, _head(VARIANTS["lite0"]))
    assert read.convention == Convention("same", 1e-3)  # 25 of 49 have it
    assert read.folded == 24
    read_weights = replace(weights, tensors=read.tensors, convention=read.convention)
    for layer, row in zip(network.layers[:-1], found, strict=True):
        scale, shift = as_affine(row.steps[0])
        one = np.ones_like(read.tensors[f"{layer.name}.weight"])
        folded = fold(layer, replace(read_weights, tensors={**read.tensors, f"{layer.name}.weight": one}))
        assert folded.weight[:, 0, 0, 0] == pytest.approx(scale, rel=1e-6)
        assert folded.bias == pytest.approx(shift, rel=1e-5, abs=1e-6)


def _norm(channels: int, seed: int, epsilon: float) -> BatchNorm:
    draw = np.random.default_rng(seed).uniform(0.5, 1.5, (4, channels)).astype(np.float32)
    return BatchNorm("norm", (), draw[0], draw[1], draw[2], draw[3], epsilon)


# Normalization


def own(mean: float, std: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift of (x - mean) / std."""
    return np.asarray([1 / std]), np.asarray([-mean / std])


ONE, TWO = np.ones(1), np.full(1, 2.0)
NOTHING, IDENTITY = Given(None, None, ""), (np.ones(1), np.zeros(1))
HAND = Given((127.0,) * 3, (128.0,) * 3, BY_HAND)
LITE = VARIANTS["lite0"]


def test_a_models_own_normalization_is_taken_and_needs_no_flags() -> None:
    settled = settle(own(127.5, 127.5), NOTHING, LITE, "mine")
    assert (settled.mean, settled.std) == ((127.5,) * 3, (127.5,) * 3)
    assert (settled.scale, settled.shift) == ((1.0,) * 3, (0.0,) * 3)
    with pytest.raises(InputError, match=r"normalizes its image itself: mean 127.5, std 127.5; leave --mean"):
        settle(own(127.5, 127.5), HAND, LITE, "mine")
    again = settle(own(127.5, 127.5), replace(HAND, origin=OF_MANIFEST), LITE, "mine")  # a repeated run asks nothing
    assert again.mean == settled.mean


def test_without_own_layers_flags_say_it() -> None:
    settled = settle(IDENTITY, HAND, LITE, "mine")
    assert (settled.mean, settled.std) == ((127.0,) * 3, (128.0,) * 3)
    assert settled.scale == pytest.approx((1 / 128,) * 3)
    with pytest.raises(InputError, match=r"--mean 127 --std 128 \(of tensorflow/tpu's Lite\)"):
        settle(IDENTITY, NOTHING, LITE, "mine")


def test_layers_made_for_0_to_1_ask_for_what_comes_before_them() -> None:
    small = own(0.485, 0.229)
    with pytest.raises(InputError, match="of an x that is not 0–255"):
        settle(small, NOTHING, LITE, "mine")
    settled = settle(small, Given((0.0,) * 3, (255.0,) * 3, BY_HAND), LITE, "mine")
    assert settled.mean == pytest.approx((123.675,) * 3)
    assert settled.std == pytest.approx((58.395,) * 3)
    assert settled.scale == pytest.approx((1 / 255,) * 3)


def test_a_mean_alone_tells_pixels_where_no_0_to_1_can_have_it() -> None:
    settled = settle(own(127.0, 1.0), NOTHING, LITE, "mine")  # the std is folded into the first convolution
    assert (settled.mean, settled.std) == ((127.0,) * 3, (1.0,) * 3)


def test_a_negative_scale_is_refused() -> None:
    with pytest.raises(InputError, match="allowed: positive factors"):
        settle((-np.ones(1), np.zeros(1)), HAND, LITE, "mine")


def test_two_steps_are_one() -> None:
    first, second = Affine("a", (), TWO, ONE), Affine("b", (), ONE, TWO)
    scale, shift = then(as_affine(first), as_affine(second))  # 1 * (2 x + 1) + 2
    assert (scale.item(), shift.item()) == (2.0, 3.0)
