"""The layers of a variant: names, shapes, strides, skips, and the traps that cost others accuracy."""

from itertools import pairwise

import pytest

from edgenet.counts import count, layer_macs
from edgenet.errors import InputError
from edgenet.layers import LAST_DROP_RATE, Layer, expand
from edgenet.variants import VARIANTS, parse_variant

ALL = pytest.mark.parametrize("name", VARIANTS)


def _layers(name: str, side_px: int = 0) -> dict[str, Layer]:
    return {layer.name: layer for layer in expand(VARIANTS[name], side_px=side_px).layers}


@ALL
def test_names_are_unique(name: str) -> None:
    network = expand(VARIANTS[name])
    names = [layer.name for layer in network.layers]
    norms = [layer.batch_norm for layer in network.layers if layer.batch_norm]
    assert len(set(names)) == len(names)
    assert len(set(norms)) == len(norms)


@ALL
def test_each_layer_takes_what_the_one_before_gives(name: str) -> None:
    network = expand(VARIANTS[name])
    chain = [network.stem]
    for block in network.blocks:
        chain += [*block.before_squeeze, *block.after_squeeze]
    for before, after in pairwise([*chain, network.head]):
        assert (after.in_channels, after.in_side) == (before.out_channels, before.out_side), after.name
    assert network.classifier.in_channels == network.head.out_channels


@ALL
def test_the_strides_make_32(name: str) -> None:
    network = expand(VARIANTS[name], side_px=256)
    assert network.head.out_side == 8
    assert sum(layer.stride == 2 for layer in network.layers) == 5


@ALL
def test_squeeze_goes_around_the_widest_tensor(name: str) -> None:
    for block in expand(VARIANTS[name]).blocks:
        for reduce, expansion in [block.squeeze] if block.squeeze else []:
            wide = block.before_squeeze[-1].out_channels
            assert (reduce.in_channels, expansion.out_channels) == (wide, wide)
            assert reduce.out_channels == expansion.in_channels
            assert (reduce.in_side, expansion.out_side) == (1, 1)
            assert not reduce.batch_norm
            assert expansion.activation == "sigmoid"


@ALL
def test_skips_join_equal_shapes_only(name: str) -> None:
    for block in expand(VARIANTS[name]).blocks:
        first, last = block.before_squeeze[0], (block.after_squeeze or block.before_squeeze)[-1]
        same = (first.in_channels, first.in_side) == (last.out_channels, last.out_side)
        assert not block.skip or same, block.name
        assert block.drop_rate == 0 or block.skip, block.name


@ALL
def test_drop_rates_rise_to_the_last_block(name: str) -> None:
    rates = [block.drop_rate for block in expand(VARIANTS[name]).blocks if block.skip]
    assert rates == sorted(rates)
    assert 0 < rates[-1] < LAST_DROP_RATE


def test_b0_has_the_names_and_shapes_that_timm_gives() -> None:
    layers = _layers("b0")
    assert layers["conv_stem"].weight_shape == (32, 3, 3, 3)
    assert layers["blocks.0.0.conv_dw"].weight_shape == (32, 1, 3, 3)
    assert layers["blocks.0.0.se.conv_reduce"].weight_shape == (8, 32, 1, 1)
    assert layers["blocks.0.0.conv_pw"].weight_shape == (16, 32, 1, 1)
    assert layers["blocks.1.0.conv_pw"].weight_shape == (96, 16, 1, 1)
    assert layers["blocks.1.0.se.conv_reduce"].weight_shape == (4, 96, 1, 1)  # a quarter of the block's input, 16
    assert layers["blocks.5.3.conv_pwl"].weight_shape == (192, 1152, 1, 1)
    assert layers["conv_head"].weight_shape == (1280, 320, 1, 1)
    assert layers["classifier"].weight_shape == (1000, 1280)
    assert (layers["blocks.1.0.conv_pw"].batch_norm, layers["blocks.1.0.conv_pwl"].batch_norm) == (
        "blocks.1.0.bn1",
        "blocks.1.0.bn3",
    )


def test_edgetpu_has_its_stride_on_the_wide_convolution() -> None:
    layers = _layers("edgetpu-s")
    assert (layers["blocks.1.0.conv_exp"].kernel, layers["blocks.1.0.conv_exp"].stride) == (3, 2)
    assert layers["blocks.1.0.conv_pwl"].stride == 1


def test_edgetpu_expands_its_first_block_from_24_channels() -> None:
    assert _layers("edgetpu-s")["blocks.0.0.conv_exp"].weight_shape == (96, 32, 3, 3)
    assert _layers("edgetpu-l")["blocks.0.0.conv_exp"].weight_shape == (128, 40, 3, 3)  # 24 * 1.2 rounds to 32
    assert not expand(VARIANTS["edgetpu-s"]).blocks[0].skip


def test_v2_has_single_convolutions_without_expansion() -> None:
    first = expand(VARIANTS["v2-s"]).blocks[0]
    assert [layer.name for layer in first.layers] == ["blocks.0.0.conv"]
    assert first.skip


def test_lite_keeps_its_ends_whatever_the_scale() -> None:
    network = expand(VARIANTS["lite4"])
    stages = [block.name.split(".")[1] for block in network.blocks]
    assert (network.stem.out_channels, network.head.out_channels) == (32, 1280)
    assert (stages.count("0"), stages.count("6")) == (1, 1)
    assert not any(block.squeeze for block in network.blocks)


@pytest.mark.parametrize(
    ("side_px", "sides"), [(224, [112, 56, 28, 14, 7]), (225, [113, 57, 29, 15, 8]), (32, [16, 8, 4, 2, 1])]
)
def test_sides_are_rounded_up_as_same_padding_does(side_px: int, sides: list[int]) -> None:
    strided = [layer.out_side for layer in expand(VARIANTS["lite0"], side_px=side_px).layers if layer.stride == 2]
    assert strided == sides


def test_classes_change_the_classifier_only() -> None:
    ten, thousand = expand(VARIANTS["b0"], num_classes=10), expand(VARIANTS["b0"])
    assert ten.layers[:-1] == thousand.layers[:-1]
    assert ten.classifier.weight_shape == (10, 1280)


def test_macs_of_a_layer() -> None:
    layer = Layer("x", "depthwise", 3, 2, 8, 8, 10, 5)
    assert layer_macs(layer) == 8 * 3 * 3 * 5 * 5


def test_a_large_phi_still_chains() -> None:
    network = expand(parse_variant("scaled:10"))
    assert network.side_px == 904
    assert network.head.out_side == 29


# architectures.md's figures: multiply-adds in millions, and the largest activation.
RELEASED = {"edgetpu-s": (2352.31, 2_408_448), "edgetpu-m": (3660.29, 2_764_800), "edgetpu-l": (9661.90, 5_760_000)}


@pytest.mark.parametrize("name", RELEASED)
def test_edgetpu_as_released_has_its_stride_on_the_projection(name: str) -> None:
    """The same weights, another graph: whichever is meant is said, and stands in the variant's name."""
    released, current = (
        expand(variant, num_classes=1001) for variant in (parse_variant(f"{name}:released"), VARIANTS[name])
    )
    assert released.variant.name == f"{name}-released"
    assert parse_variant(f"{name}-released") == released.variant, "as manifests spell it"
    assert released.variant.trained_as == name
    (first,) = (block for block in released.blocks if block.name == "blocks.1.0")
    assert [layer.stride for layer in first.layers] == [1, 2]
    counts = count(released)
    assert (round(counts.macs / 1e6, 2), counts.peak_activation) == RELEASED[name]
    assert counts.trainable == count(current).trainable
    shapes = [[layer.weight_shape for layer in network.layers] for network in (released, current)]
    assert shapes[0] == shapes[1]


def test_only_edgetpu_was_released_otherwise() -> None:
    with pytest.raises(InputError, match="unknown variant 'lite0:released'"):
        parse_variant("lite0:released")
