"""Read a timm-style `config.json`: the preprocessing and the conventions of the weights beside it.

Layout after timm's Hugging Face hub files: `architecture`, `num_classes`, `pretrained_cfg` {`input_size`,
`test_input_size`, `interpolation`, `crop_pct`, `test_crop_pct`, `crop_mode`, `mean`, `std`, …}.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import EdgenetError, InputError
from edgenet.preprocessing import Interpolation, Preprocessing, checked
from edgenet.variants import Variant, parse_variant
from edgenet.weights.names import BACKGROUND_CLASSES
from edgenet.weights.preprocessing_rules import Triple, to_pixels
from edgenet.weights.record import Convention

MAX_CONFIG_BYTES = 1_000_000
SIDES_PX = range(32, 2049)

TENSORFLOW = Convention("same", 1e-3)
TIMM_NATIVE = Convention("symmetric", 1e-5)  # timm `_efficientnet_builder.py`: BatchNorm2d's own epsilon

_INTERPOLATIONS: dict[object, Interpolation] = {"bicubic": "bicubic", "bilinear": "bilinear"}


@dataclass(frozen=True)
class TimmConfig:
    """What a config.json says that a conversion needs; `num_classes` 0 = it does not say."""

    architecture: str
    num_classes: int
    preprocessing: Preprocessing


def read_timm_config(path: Path) -> TimmConfig:
    """Read and check a config.json; raise InputError for anything that cannot be followed exactly."""
    document = _load(path)
    fields = document.get("pretrained_cfg", document)
    if not isinstance(fields, dict):
        raise InputError(f"{path}: pretrained_cfg is no object", allowed="timm's layout")
    num_classes = _integer(path, document, "num_classes", range(1_000_001))
    offset = int(num_classes == BACKGROUND_CLASSES)
    record = Preprocessing(
        side_px=_side_px(path, fields),
        crop_rule="squash"
        if _choice(path, fields, "crop_mode", ("center", "squash")) == "squash"
        else "resize_then_crop",
        crop_fraction=_number(path, fields, "test_crop_pct" if fields.get("test_crop_pct") else "crop_pct"),
        interpolation=_INTERPOLATIONS[_choice(path, fields, "interpolation", ("bicubic", "bilinear"))],
        mean=_triple(path, fields, "mean"),
        std=_triple(path, fields, "std"),
        label_offset=_integer(path, fields, "label_offset", range(2)) if "label_offset" in fields else offset,
    )
    if record.crop_rule == "squash" and record.crop_fraction != 1:
        raise InputError(f"{path}: crop_mode squash with crop_pct {record.crop_fraction:g}", allowed="crop_pct 1.0")
    return TimmConfig(str(document.get("architecture", ""))[:100], num_classes, checked(record))


def convention_of(architecture: str) -> Convention:
    """Return how a timm architecture pads: `tf_…` is a port of TensorFlow's weights, the others are PyTorch's own."""
    return TENSORFLOW if architecture.startswith("tf_") else TIMM_NATIVE


def refuse_other_variant(architecture: str, variant: Variant, what: str) -> None:
    """Raise InputError where `architecture` names a variant, but another one; unknown names say nothing."""
    try:
        named = parse_variant(architecture.partition(".")[0])
    except EdgenetError:
        return
    if named != variant:
        raise InputError(f"{what} is for {architecture}, not for {variant.name}", mend=f"--variant {named.name}")


def _load(path: Path) -> Mapping[str, object]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes", allowed=f"at most {MAX_CONFIG_BYTES}")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path} is no readable JSON: {error}", mend="repair it, or move it away") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no object", allowed="timm's layout")
    return document


def _side_px(path: Path, fields: Mapping[str, object]) -> int:
    # The evaluation size, where the weights have one of their own: the published accuracy is measured there.
    key = "test_input_size" if fields.get("test_input_size") else "input_size"
    match fields.get(key):
        case [3, int(high), int(wide)] if high == wide and high in SIDES_PX:
            return high
    raise _bad(path, fields, key, f"[3, SIDE, SIDE] with SIDE {SIDES_PX.start} to {SIDES_PX.stop - 1}")


def _choice(path: Path, fields: Mapping[str, object], key: str, allowed: tuple[str, ...]) -> str:
    value = fields.get(key, allowed[0])
    if not isinstance(value, str) or value not in allowed:
        raise _bad(path, fields, key, ", ".join(allowed))
    return value


def _number(path: Path, fields: Mapping[str, object], key: str) -> float:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.1 <= value <= 1:
        raise _bad(path, fields, key, "a number from 0.1 to 1")
    return float(value)


def _integer(path: Path, fields: Mapping[str, object], key: str, allowed: range) -> int:
    value = fields.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise _bad(path, fields, key, f"a whole number from {allowed.start} to {allowed.stop - 1}")
    return value


def _triple(path: Path, fields: Mapping[str, object], key: str) -> Triple:
    match fields.get(key):
        case [float() | int(), float() | int(), float() | int()] as shares if all(0 <= share <= 1 for share in shares):
            first, second, third = (to_pixels(share) for share in shares)
            return first, second, third
    raise _bad(path, fields, key, "three numbers from 0 to 1")


def _bad(path: Path, fields: Mapping[str, object], key: str, allowed: str) -> InputError:
    value = fields.get(key, math.nan)
    shown = "missing" if key not in fields else repr(value)[:60]
    return InputError(f"{path}: {key} is {shown}", allowed=allowed, mend="repair it, or move it away and use the flags")
