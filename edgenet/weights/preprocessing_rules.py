"""The preprocessing that goes with a set of weights: published rules as tables, and what the user overrides.

Sources: tensorflow/tpu `models/official/efficientnet/{preprocessing,main}.py` (B, Lite, EdgeTPU: fixed fraction 0.875),
google/automl `efficientnetv2/preprocessing.py` (V2), torchvision `models/efficientnet.py` (its own weights).
"""

from dataclasses import dataclass, replace

from edgenet.errors import InputError
from edgenet.preprocessing import CropRule, Interpolation, Preprocessing, checked
from edgenet.variants import Variant

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Normalization:
    """Mean and std of the input, in pixel units (0–255)."""

    mean: Triple
    std: Triple


def to_pixels(share: float) -> float:
    """Turn a share of the 0–1 range into pixel units, rid of float noise: 0.4980392156862745 is 127.0 exactly."""
    return round(share * 255, 6)


# 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225 of 255.
IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
LITE = Normalization((127.0,) * 3, (128.0,) * 3)  # tensorflow/tpu lite and edgetpu builders
V2_LARGE = Normalization((128.0,) * 3, (128.0,) * 3)  # google/automl: (x - 128) / 128
HALF = Normalization((127.5,) * 3, (127.5,) * 3)  # timm's 0.5 / 0.5


@dataclass(frozen=True)
class Rule:
    """How a source crops, resizes and normalizes, whatever the side."""

    crop_rule: CropRule
    crop_fraction: float
    interpolation: Interpolation
    normalization: Normalization

    def at(self, side_px: int, label_offset: int = 0) -> Preprocessing:
        """Return the record for one input side."""
        numbers = self.normalization
        return checked(
            Preprocessing(
                side_px,
                self.crop_rule,
                self.crop_fraction,
                self.interpolation,
                numbers.mean,
                numbers.std,
                label_offset=label_offset,
            )
        )


# Google's own rule for each family or variant; the name is tried before the family.
PUBLISHED: dict[str, Rule] = {
    "b": Rule("crop_then_resize", 0.875, "bicubic", IMAGENET),
    "lite": Rule("crop_then_resize", 0.875, "bilinear", LITE),
    "edgetpu": Rule("crop_then_resize", 0.875, "bilinear", LITE),
    # V2-B keeps the legacy rule size / (size + 32) and bicubic; from 320 pixels on automl only resizes.
    "v2-b0": Rule("crop_then_resize", 224 / 256, "bicubic", IMAGENET),
    "v2-b1": Rule("crop_then_resize", 240 / 272, "bicubic", IMAGENET),
    "v2-b2": Rule("crop_then_resize", 260 / 292, "bicubic", IMAGENET),
    "v2-b3": Rule("crop_then_resize", 300 / 332, "bicubic", IMAGENET),
    "v2-s": Rule("squash", 1.0, "bilinear", V2_LARGE),
    "v2-m": Rule("squash", 1.0, "bilinear", V2_LARGE),
    "v2-l": Rule("squash", 1.0, "bilinear", V2_LARGE),
    "v2-xl": Rule("squash", 1.0, "bilinear", V2_LARGE),
}

# torchvision's IMAGENET1K_V1 weights: resize_size / crop_size of each `ImageClassification` transform.
TORCHVISION: dict[str, Rule] = {
    "b0": Rule("resize_then_crop", 224 / 256, "bicubic", IMAGENET),
    "b1": Rule("resize_then_crop", 240 / 256, "bicubic", IMAGENET),
    "b2": Rule("resize_then_crop", 1.0, "bicubic", IMAGENET),
    "b3": Rule("resize_then_crop", 300 / 320, "bicubic", IMAGENET),
    "b4": Rule("resize_then_crop", 380 / 384, "bicubic", IMAGENET),
    "b5": Rule("resize_then_crop", 1.0, "bicubic", IMAGENET),
    "b6": Rule("resize_then_crop", 1.0, "bicubic", IMAGENET),
    "b7": Rule("resize_then_crop", 1.0, "bicubic", IMAGENET),
    "v2-s": Rule("resize_then_crop", 1.0, "bilinear", IMAGENET),
    "v2-m": Rule("resize_then_crop", 1.0, "bilinear", IMAGENET),
    "v2-l": Rule("resize_then_crop", 1.0, "bicubic", HALF),
}


def published_rule(variant: Variant) -> Rule:
    """Return Google's own rule for a variant."""
    return PUBLISHED.get(variant.name) or PUBLISHED[variant.family]


def naming_rule(variant: Variant, naming: str) -> Rule:
    """Return the rule that goes with a file's naming, where nothing in or beside the file says more."""
    return (TORCHVISION.get(variant.name) if naming == "torchvision" else None) or published_rule(variant)


def keras_rule(rule: Rule, mean: tuple[float, ...], variance: tuple[float, ...]) -> Rule:
    """Return `rule` with the numbers of a Keras file's Normalization layer, which follows Rescaling(1/255).

    The layer divides by the root of `variance`. In the published ImageNet files that variable holds the std itself
    and the network divides by the root once more (tensorflow#49930), so there the variance is the divisor. Raises
    InputError for numbers that are not three.
    """
    if len(mean) != 3 or len(variance) != 3 or min(variance) <= 0:
        raise InputError(
            f"the Normalization layer holds mean {mean}, variance {variance}", allowed="three numbers each"
        )
    published_std = IMAGENET.std
    is_std = all(abs(to_pixels(value) - std) < 0.01 for value, std in zip(variance, published_std, strict=True))
    divisors = variance if is_std else [value**0.5 for value in variance]
    return replace(rule, normalization=Normalization(_triple(mean), _triple(divisors)))


def _triple(shares: tuple[float, ...] | list[float]) -> Triple:
    # Keras stores float32: four decimals are what it can tell apart here.
    first, second, third = (round(share * 255, 4) for share in shares)
    return first, second, third


@dataclass(frozen=True)
class PreprocessingOverrides:
    """What the user sets by hand; None = not set. Mean and std in pixel units (0–255)."""

    mean: Triple | None = None
    std: Triple | None = None
    crop_fraction: float | None = None
    crop_rule: CropRule | None = None
    interpolation: Interpolation | None = None


def apply_overrides(
    record: Preprocessing, overrides: PreprocessingOverrides | None
) -> tuple[Preprocessing, tuple[str, ...]]:
    """Return the record with what the user set, and a note that names it; raise InputError for impossible values."""
    given = {key: value for key, value in vars(overrides).items() if value is not None} if overrides else {}
    if not given:
        return record, ()
    changed = checked(replace(record, **given))
    listed = ", ".join(f"{key.replace('_', ' ')} {_spelled(value)}" for key, value in given.items())
    return changed, (f"preprocessing set by hand: {listed}",)


def _spelled(value: object) -> str:
    return ",".join(f"{number:g}" for number in value) if isinstance(value, tuple) else str(value)


def describe(record: Preprocessing) -> str:
    """Return a record as one phrase for a note."""
    return (
        f"{record.side_px} px, {record.crop_rule.replace('_', ' ')} {record.crop_fraction:g}, {record.interpolation}, "
        f"mean {_spelled(record.mean)}, std {_spelled(record.std)}"
    )
