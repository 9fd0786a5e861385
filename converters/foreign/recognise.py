"""Which variant a sequence of convolutions is: every one of them has to fit, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from converters.foreign.nodes import Other
from converters.foreign.parts import Found
from edgenet.errors import InputError
from edgenet.layers import Layer, expand
from edgenet.variants import VARIANTS, Variant


@dataclass(frozen=True)
class Look:
    """What a convolution looks like, in a file and in a variant."""

    kind: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    in_channels: int
    out_channels: int
    activation: str

    def __str__(self) -> str:
        """Return it in words."""
        wide = "x".join(str(side) for side in self.kernel)
        steps = self.strides[0] if len(set(self.strides)) == 1 else f"{self.strides[0]}x{self.strides[1]}"
        activation = self.activation if self.activation != "none" else "no activation"
        return f"{self.kind} {wide}/{steps}, {self.in_channels} to {self.out_channels} channels, {activation}"


def recognise(found: Sequence[Found], wanted: Variant | None, name: str, others: Sequence[Other] = ()) -> Variant:
    """Return the variant whose convolutions these are; raise InputError that names the nearest, or is not `wanted`.

    `others` are what the network has that no EfficientNet has: the first one may be all that makes the difference.
    """
    looks = [_look(row) for row in found]
    if not looks:
        raise InputError(f"{name} holds no convolution", allowed="an EfficientNet classifier")
    candidates = [*VARIANTS.values(), *([wanted] if wanted and wanted.name not in VARIANTS else [])]
    fitting = [variant for variant in candidates if _fitting(looks, variant) == len(looks) == len(_layers(variant))]
    if wanted in fitting:
        fitting = [wanted]
    if len(fitting) == 1 and (wanted is None or wanted == fitting[0]):
        return fitting[0]
    if len(fitting) == 1:
        assert wanted is not None
        what = f"{name} is {fitting[0].name}, not {wanted.name}"
        raise InputError(
            f"{what}: {_difference(found, looks, wanted)}", mend=f"--variant {fitting[0].name}, or leave it out"
        )
    nearest = wanted or max(candidates, key=lambda variant: _likeness(looks, variant))
    mend = "" if wanted is None else "leave --variant out to see which variant comes nearest"
    odd = f"; {others[0].label} is in none" if others else ""
    raise InputError(
        f"{name} is no EfficientNet that edgenet knows; {_difference(found, looks, nearest)}{odd}",
        allowed=f"one of {', '.join(VARIANTS)}, unchanged but for the number of classes",
        mend=mend,
    )


def _look(found: Found) -> Look:
    conv = found.conv
    channels, inner, height, wide = conv.weight.shape
    kind = "depthwise" if conv.depthwise else "conv"
    entering = channels if conv.depthwise else inner
    return Look(kind, (height, wide), conv.strides, entering, channels, str(found.activation))


def _layers(variant: Variant) -> tuple[Layer, ...]:
    return expand(variant).layers[:-1]


def _wanted(layer: Layer) -> Look:
    kernel, strides = (layer.kernel, layer.kernel), (layer.stride, layer.stride)
    return Look(layer.kind, kernel, strides, layer.in_channels, layer.out_channels, layer.activation)


def _fitting(looks: Sequence[Look], variant: Variant) -> int:
    """Return how many convolutions fit from the first on."""
    count = 0
    for look, layer in zip(looks, _layers(variant), strict=False):
        if look != _wanted(layer):
            break
        count += 1
    return count


def _likeness(looks: Sequence[Look], variant: Variant) -> tuple[float, int]:
    """Return the share of layers in common, then how many fit from the first on."""
    wanted = [_wanted(layer) for layer in _layers(variant)]
    return SequenceMatcher(None, looks, wanted, autojunk=False).ratio(), _fitting(looks, variant)


def _difference(found: Sequence[Found], looks: Sequence[Look], variant: Variant) -> str:
    layers, count = _layers(variant), _fitting(looks, variant)
    start = f"nearest is {variant.name}, the first difference at layer {count + 1}"
    if count == len(layers):
        return f"{start}: {found[count].conv.label} comes after its last convolution, {layers[-1].name}"
    if count == len(looks):
        return f"{start}: no convolution is left for {layers[count].name} ({_wanted(layers[count])})"
    here = f"{found[count].conv.label} is a {looks[count]}"
    return f"{start}: {here}; {layers[count].name} is a {_wanted(layers[count])}"
