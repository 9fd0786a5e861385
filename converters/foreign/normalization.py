"""How a model wants its pixels: read from the model itself, or asked for, never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converters.foreign.nodes import Array
from edgenet.errors import InputError
from edgenet.variants import Family, Variant
from edgenet.weights.preprocessing_rules import HALF, IMAGENET, LITE, V2_LARGE, Normalization, Triple

# Pixels 0–255 come out of a normalization a few units wide; where that of a model makes them wider, it was made for
# numbers of 0 to 1, or it only subtracts a mean that no number of 0 to 1 can have.
WIDEST, LEAST_MEAN = 32.0, 2.0
UNIT = Normalization((0.0,) * 3, (255.0,) * 3)

_IMAGENET = (IMAGENET, "ImageNet's, of tensorflow/tpu, timm and torchvision")
_HALF = (HALF, "-1 to 1, of timm's tf_ ports and of many Keras scripts")
_UNIT = (UNIT, "0 to 1, pixels / 255")
USUAL: dict[Family, tuple[tuple[Normalization, str], ...]] = {
    "b": (_IMAGENET, _HALF, _UNIT),
    "lite": ((LITE, "of tensorflow/tpu's Lite"), _HALF, _IMAGENET, _UNIT),
    "edgetpu": ((LITE, "of tensorflow/tpu's EdgeTPU"), _HALF, _IMAGENET, _UNIT),
    "v2": (_IMAGENET, (V2_LARGE, "of google/automl's S to XL"), _HALF, _UNIT),
}


BY_HAND, OF_CONFIG, OF_MANIFEST = "set by hand", "of the config.json beside it", "of the manifest"


@dataclass(frozen=True)
class Given:
    """A normalization from outside the model, and where it comes from; mean and std in pixel units."""

    mean: Triple | None
    std: Triple | None
    origin: str  # one of the three above; "" for none


@dataclass(frozen=True)
class Settled:
    """Mean and std of raw pixels, and how raw pixels become what the model itself takes: scale * x + shift."""

    mean: Triple
    std: Triple
    scale: Triple
    shift: Triple
    note: str


def settle(own: tuple[Array, Array], given: Given, variant: Variant, name: str) -> Settled:
    """Return the normalization of a model whose own first layers compute scale * x + shift; raise InputError that asks.

    A model that rescales by itself takes raw pixels; `given` is then not needed, and refused where it is flags.
    """
    scale, shift = (np.broadcast_to(row, 3).astype(np.float64) for row in own)
    if (scale <= 0).any():
        raise InputError(f"{name} multiplies its image by {scale.tolist()}", allowed="positive factors")
    untouched = (scale == 1).all() and (shift == 0).all()
    if not untouched and ((scale * 255 <= WIDEST).all() or (-shift / scale >= LEAST_MEAN).all()):
        return _own(scale, shift, given, name)
    mean, std = given.mean, given.std
    if mean is None or std is None:
        steps = f"{_spelled(_triple(scale))} * x + {_spelled(_triple(shift))}"
        raise asked(variant, name, "" if untouched else f"{name} computes {steps} of an x that is not 0–255")
    outer = 1 / np.asarray(std), -np.asarray(mean) / np.asarray(std)
    whole = outer[0] * scale, outer[1] * scale + shift
    note = f"mean {_spelled(mean)}, std {_spelled(std)} {given.origin}"
    if not untouched:
        note += f", and then what {name}'s own first layers do"
    return Settled(*_as_normalization(*whole), _triple(outer[0]), _triple(outer[1]), note)


def _own(scale: Array, shift: Array, given: Given, name: str) -> Settled:
    mean, std = _as_normalization(scale, shift)
    spelled = f"mean {_spelled(mean)}, std {_spelled(std)}"
    if given.origin == BY_HAND:
        raise InputError(f"{name} normalizes its image itself: {spelled}", mend="leave --mean and --std out")
    ignored = f" (those {given.origin} are not needed)" if given.origin == OF_CONFIG else ""
    note = f"mean and std are those of {name}'s own first layers: {spelled}{ignored}"
    return Settled(mean, std, (1.0,) * 3, (0.0,) * 3, note)


def _as_normalization(scale: Array, shift: Array) -> tuple[Triple, Triple]:
    """Return mean and std such that (x - mean) / std = scale * x + shift; a mean of -1e-8 is one of 0."""
    # Files hold float32: four decimals are what it can tell apart here.
    return _triple(np.round(-shift / scale, 4) + 0.0), _triple(np.round(1 / scale, 4))


def asked(variant: Variant, name: str, what: str = "") -> InputError:
    """Return the error that asks for mean and std and names what is usual for the variant's family."""
    usual = "; ".join(
        f"--mean {_spelled(row.mean)} --std {_spelled(row.std)} ({origin})" for row, origin in USUAL[variant.family]
    )
    return InputError(
        what or f"nothing in {name} says how its image is normalized",
        allowed=f"usual for {variant.family}: {usual}",
        mend="say what was done to pixels 0–255 before the model in training: --mean and --std",
    )


def _triple(values: Sequence[float] | Array) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _spelled(values: Sequence[float]) -> str:
    shown = [f"{value:.7g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else ",".join(shown)
