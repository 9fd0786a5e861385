"""A variant spelled out: every convolution with its shape, in the order in which it runs.

Names are timm's (`blocks.1.0.conv_dw`), so that a weights file, a Keras layer, a tensor of the .tflite file and a line
of a report speak of the same thing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from edgenet.errors import InputError
from edgenet.variants import Activation, Stage, Variant, round_filters, round_repeats

LayerKind = Literal["conv", "depthwise", "dense"]
# Output channels of the layers that have fewer than their variant says, by name: what channel pruning leaves behind.
Widths = Mapping[str, int]
FULL: Widths = MappingProxyType({})


@dataclass(frozen=True)
class Layer:
    """One convolution or dense layer, [H_in, W_in, C_in] -> [H_out, W_out, C_out] with H = W = side."""

    name: str
    kind: LayerKind
    kernel: int
    stride: int
    in_channels: int
    out_channels: int
    in_side: int
    out_side: int
    batch_norm: str = ""  # the batch norm that follows; "" = none, then the layer has a bias of its own
    activation: Activation = "none"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Return the weight's shape as PyTorch stores it: [O, I, kH, kW], depthwise [C, 1, kH, kW], dense [O, I]."""
        if self.kind == "dense":
            return (self.out_channels, self.in_channels)
        in_channels = 1 if self.kind == "depthwise" else self.in_channels
        return (self.out_channels, in_channels, self.kernel, self.kernel)


@dataclass(frozen=True)
class Block:
    """One MBConv or fused MBConv block."""

    name: str
    before_squeeze: tuple[Layer, ...]
    squeeze: tuple[Layer, ...]  # conv_reduce, conv_expand; () = no squeeze-and-excite
    after_squeeze: tuple[Layer, ...]
    skip: bool
    drop_rate: float  # stochastic depth: the chance that training skips the block

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return the block's layers in the order in which they run."""
        return self.before_squeeze + self.squeeze + self.after_squeeze

    @property
    def out_side(self) -> int:
        """Return the side of the block's output."""
        return (self.after_squeeze or self.before_squeeze)[-1].out_side

    @property
    def out_channels(self) -> int:
        """Return the channels of the block's output."""
        return (self.after_squeeze or self.before_squeeze)[-1].out_channels


@dataclass(frozen=True)
class Architecture:
    """A variant at one input side and with one number of classes."""

    variant: Variant
    side_px: int
    num_classes: int
    stem: Layer
    blocks: tuple[Block, ...]
    head: Layer
    classifier: Layer

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return every layer in the order in which it runs."""
        inner = [layer for block in self.blocks for layer in block.layers]
        return (self.stem, *inner, self.head, self.classifier)


# google/automl and tensorflow/tpu: survival_prob 0.8 at the last block, 1 at the first.
LAST_DROP_RATE = 0.2


def expand(variant: Variant, num_classes: int = 1000, side_px: int = 0, widths: Widths = FULL) -> Architecture:
    """Spell out `variant`; `side_px` 0 means the variant's own input side.

    `widths` narrows the layers that it names: the stem, the head, or a block's expansion, and with each the layers that
    have to follow. Raise InputError for a layer that cannot be narrowed, or not to that many channels.
    """
    side = side_px or variant.side_px
    rules = variant.rules
    own_stem = _stem_channels(variant)
    own_head = rules.head_channels if rules.fixed_ends else _scale(variant, rules.head_channels)
    narrow = _Narrow(widths)
    stem_channels = narrow("conv_stem", own_stem) if is_free_stem(variant) else own_stem
    stem = Layer("conv_stem", "conv", 3, 2, 3, stem_channels, side, _halve(side, 2), "bn1", rules.activation)
    blocks = tuple(_blocks(variant, stem, own_stem, narrow))
    last, head_channels = blocks[-1], narrow("conv_head", own_head)
    in_channels, in_side = last.out_channels, last.out_side
    head = Layer("conv_head", "conv", 1, 1, in_channels, head_channels, in_side, in_side, "bn2", rules.activation)
    classifier = Layer("classifier", "dense", 1, 1, head_channels, num_classes, 1, 1)
    narrow.refuse_rest()
    return Architecture(variant, side, num_classes, stem, blocks, head, classifier)


def is_free_stem(variant: Variant) -> bool:
    """Tell whether the stem's channels can be cut: not where the first block adds its input to its output."""
    first = variant.stages[0]
    return not (first.skip and first.stride == 1 and _stem_channels(variant) == _scale(variant, first.out_channels))


def _stem_channels(variant: Variant) -> int:
    channels = variant.stages[0].in_channels
    return channels if variant.rules.fixed_ends else _scale(variant, channels)


class _Narrow:
    """The widths that were asked for, each to be used exactly once."""

    def __init__(self, widths: Widths) -> None:
        self._left = dict(widths)

    def __call__(self, name: str, own: int) -> int:
        """Return the channels of a layer that has `own` in its variant."""
        channels = self._left.pop(name, own)
        if not 1 <= channels <= own:
            raise InputError(f"{name} cannot have {channels} channels", allowed=f"1 to {own}")
        return channels

    def refuse_rest(self) -> None:
        """Raise InputError for a layer that is not there or whose width is not free."""
        if self._left:
            names = ", ".join(sorted(self._left)[:5])
            allowed = "conv_stem, conv_head, and the expansions of blocks (conv_pw, conv_exp)"
            raise InputError(f"these layers cannot be narrowed: {names}", allowed=allowed)


def _scale(variant: Variant, channels: int) -> int:
    return round_filters(channels, variant.width, variant.rules.ten_percent_rule)


def _halve(side: int, stride: int) -> int:
    """Return the output side of a SAME convolution."""
    return -(-side // stride)


def _repeats(variant: Variant) -> list[int]:
    last = len(variant.stages) - 1
    return [
        stage.repeats
        if variant.rules.fixed_ends and index in (0, last)
        else round_repeats(stage.repeats, variant.depth)
        for index, stage in enumerate(variant.stages)
    ]


def _blocks(variant: Variant, stem: Layer, own_stem: int, narrow: _Narrow) -> Iterator[Block]:
    repeats = _repeats(variant)
    side, channels, own, done, total = stem.out_side, stem.out_channels, own_stem, 0, sum(repeats)
    for stage_index, (stage, count) in enumerate(zip(variant.stages, repeats, strict=True)):
        for repeat in range(count):
            place = _Place(f"blocks.{stage_index}.{repeat}", repeat == 0, side, channels, own)
            yield _block(variant, stage, place, LAST_DROP_RATE * done / total, narrow)
            side = _halve(side, stage.stride) if repeat == 0 else side
            channels = own = _scale(variant, stage.out_channels)
            done += 1


@dataclass(frozen=True)
class _Place:
    """Where a block stands, and what comes in there."""

    name: str
    is_first: bool  # of its stage
    side: int
    in_channels: int
    own_channels: int  # that come in where nothing is narrowed: what the block's own widths are computed from


def _block(variant: Variant, stage: Stage, place: _Place, drop_rate: float, narrow: _Narrow) -> Block:
    name, in_channels, own = place.name, place.in_channels, place.own_channels
    stride = stage.stride if place.is_first else 1
    out_channels = _scale(variant, stage.out_channels)
    base = _scale(variant, stage.expand_from) if place.is_first and stage.expand_from else own
    expansion = f"{name}.{'conv_exp' if stage.kind == 'fused' else 'conv_pw'}"
    wide = in_channels if stage.expand == 1 else narrow(expansion, base * stage.expand)
    maker = _fused if stage.kind == "fused" else _inverted
    before, after = maker(variant, stage, name, place.side, stride, in_channels, wide, out_channels)
    squeeze = _squeeze(variant, stage, name, own, before[-1].out_channels) if stage.squeeze else ()
    skip = stage.skip and stride == 1 and own == out_channels
    return Block(name, before, squeeze, after, skip, drop_rate if skip else 0.0)


LayerRows = tuple[tuple[Layer, ...], tuple[Layer, ...]]


def _inverted(
    variant: Variant, stage: Stage, name: str, side: int, stride: int, in_c: int, mid_c: int, out_c: int
) -> LayerRows:
    """Return MBConv: [1x1 expansion], depthwise | 1x1 projection. Without expansion timm's names are shorter."""
    act, out_side, k = variant.rules.activation, _halve(side, stride), stage.kernel
    if stage.expand == 1:
        dw = Layer(f"{name}.conv_dw", "depthwise", k, stride, in_c, in_c, side, out_side, f"{name}.bn1", act)
        return (dw,), (Layer(f"{name}.conv_pw", "conv", 1, 1, in_c, out_c, out_side, out_side, f"{name}.bn2"),)
    pw = Layer(f"{name}.conv_pw", "conv", 1, 1, in_c, mid_c, side, side, f"{name}.bn1", act)
    dw = Layer(f"{name}.conv_dw", "depthwise", k, stride, mid_c, mid_c, side, out_side, f"{name}.bn2", act)
    return (pw, dw), (Layer(f"{name}.conv_pwl", "conv", 1, 1, mid_c, out_c, out_side, out_side, f"{name}.bn3"),)


def _fused(
    variant: Variant, stage: Stage, name: str, side: int, stride: int, in_c: int, mid_c: int, out_c: int
) -> LayerRows:
    """Return fused MBConv: kxk expansion | 1x1 projection; with expansion 1 a single kxk convolution."""
    act, out_side, k = variant.rules.activation, _halve(side, stride), stage.kernel
    if stage.expand == 1:
        return (Layer(f"{name}.conv", "conv", k, stride, in_c, out_c, side, out_side, f"{name}.bn1", act),), ()
    exp = Layer(f"{name}.conv_exp", "conv", k, stride, in_c, mid_c, side, out_side, f"{name}.bn1", act)
    return (exp,), (Layer(f"{name}.conv_pwl", "conv", 1, 1, mid_c, out_c, out_side, out_side, f"{name}.bn2"),)


def _squeeze(variant: Variant, stage: Stage, name: str, in_channels: int, wide: int) -> tuple[Layer, Layer]:
    """Return the two 1x1 convolutions of squeeze-and-excite; the width comes from the variant's `in_channels`."""
    narrow = max(1, int(in_channels * stage.squeeze))
    reduce = Layer(f"{name}.se.conv_reduce", "conv", 1, 1, wide, narrow, 1, 1, "", variant.rules.activation)
    return reduce, Layer(f"{name}.se.conv_expand", "conv", 1, 1, narrow, wide, 1, 1, "", "sigmoid")
