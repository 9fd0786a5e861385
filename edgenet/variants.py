"""The EfficientNet variants as rows: one a stage, one a variant.

Sources: tensorflow/tpu `models/official/efficientnet` (B, Lite, EdgeTPU), google/automl
`efficientnetv2/effnetv2_configs.py` (V2), arXiv 1905.11946 (compound scaling), arXiv 2104.00298 (V2).
"""

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from edgenet.errors import InputError

BlockKind = Literal["inverted", "fused"]
Activation = Literal["swish", "relu6", "relu", "sigmoid", "none"]
Family = Literal["b", "lite", "edgetpu", "v2"]


@dataclass(frozen=True)
class Stage:
    """One row of the paper's table: `repeats` blocks, the first of which has the stride."""

    kind: BlockKind
    repeats: int
    kernel: int
    stride: int
    expand: int
    in_channels: int
    out_channels: int
    squeeze: float = 0.0  # squeeze-and-excite width as a share of the block's INPUT channels; 0 = none
    skip: bool = True
    expand_from: int = 0  # channels that `expand` multiplies where the source declares other ones than the input has


#           kind  repeats k s e  in   out  squeeze
B_STAGES = (
    Stage("inverted", 1, 3, 1, 1, 32, 16, 0.25),
    Stage("inverted", 2, 3, 2, 6, 16, 24, 0.25),
    Stage("inverted", 2, 5, 2, 6, 24, 40, 0.25),
    Stage("inverted", 3, 3, 2, 6, 40, 80, 0.25),
    Stage("inverted", 3, 5, 1, 6, 80, 112, 0.25),
    Stage("inverted", 4, 5, 2, 6, 112, 192, 0.25),
    Stage("inverted", 1, 3, 1, 6, 192, 320, 0.25),
)
LITE_STAGES = (
    Stage("inverted", 1, 3, 1, 1, 32, 16),
    Stage("inverted", 2, 3, 2, 6, 16, 24),
    Stage("inverted", 2, 5, 2, 6, 24, 40),
    Stage("inverted", 3, 3, 2, 6, 40, 80),
    Stage("inverted", 3, 5, 1, 6, 80, 112),
    Stage("inverted", 4, 5, 2, 6, 112, 192),
    Stage("inverted", 1, 3, 1, 6, 192, 320),
)
# The first row declares 24 input channels although the stem gives 32: its expansion is 24 * 4 = 96 wide (scaled with
# the width), and it has no skip. The stride of a fused block sits on its 3x3 expansion, as in tensorflow/tpu since
# commit 32572cb and in timm; the files of August 2019 had it on the 1x1 projection (tensorflow/tpu#660).
EDGETPU_STAGES = (
    Stage("fused", 1, 3, 1, 4, 32, 24, skip=False, expand_from=24),
    Stage("fused", 2, 3, 2, 8, 24, 32),
    Stage("fused", 4, 3, 2, 8, 32, 48),
    Stage("inverted", 5, 5, 2, 8, 48, 96),
    Stage("inverted", 4, 5, 1, 8, 96, 144),
    Stage("inverted", 2, 5, 2, 8, 144, 192),
)
V2_BASE_STAGES = (
    Stage("fused", 1, 3, 1, 1, 32, 16),
    Stage("fused", 2, 3, 2, 4, 16, 32),
    Stage("fused", 2, 3, 2, 4, 32, 48),
    Stage("inverted", 3, 3, 2, 4, 48, 96, 0.25),
    Stage("inverted", 5, 3, 1, 6, 96, 112, 0.25),
    Stage("inverted", 8, 3, 2, 6, 112, 192, 0.25),
)
V2_S_STAGES = (
    Stage("fused", 2, 3, 1, 1, 24, 24),
    Stage("fused", 4, 3, 2, 4, 24, 48),
    Stage("fused", 4, 3, 2, 4, 48, 64),
    Stage("inverted", 6, 3, 2, 4, 64, 128, 0.25),
    Stage("inverted", 9, 3, 1, 6, 128, 160, 0.25),
    Stage("inverted", 15, 3, 2, 6, 160, 256, 0.25),
)
V2_M_STAGES = (
    Stage("fused", 3, 3, 1, 1, 24, 24),
    Stage("fused", 5, 3, 2, 4, 24, 48),
    Stage("fused", 5, 3, 2, 4, 48, 80),
    Stage("inverted", 7, 3, 2, 4, 80, 160, 0.25),
    Stage("inverted", 14, 3, 1, 6, 160, 176, 0.25),
    Stage("inverted", 18, 3, 2, 6, 176, 304, 0.25),
    Stage("inverted", 5, 3, 1, 6, 304, 512, 0.25),
)
V2_L_STAGES = (
    Stage("fused", 4, 3, 1, 1, 32, 32),
    Stage("fused", 7, 3, 2, 4, 32, 64),
    Stage("fused", 7, 3, 2, 4, 64, 96),
    Stage("inverted", 10, 3, 2, 4, 96, 192, 0.25),
    Stage("inverted", 19, 3, 1, 6, 192, 224, 0.25),
    Stage("inverted", 25, 3, 2, 6, 224, 384, 0.25),
    Stage("inverted", 7, 3, 1, 6, 384, 640, 0.25),
)
V2_XL_STAGES = (
    Stage("fused", 4, 3, 1, 1, 32, 32),
    Stage("fused", 8, 3, 2, 4, 32, 64),
    Stage("fused", 8, 3, 2, 4, 64, 96),
    Stage("inverted", 16, 3, 2, 4, 96, 192, 0.25),
    Stage("inverted", 24, 3, 1, 6, 192, 256, 0.25),
    Stage("inverted", 32, 3, 2, 6, 256, 512, 0.25),
    Stage("inverted", 8, 3, 1, 6, 512, 640, 0.25),
)


@dataclass(frozen=True)
class FamilyRules:
    """What all variants of a family share."""

    activation: Activation
    head_channels: int
    ten_percent_rule: bool  # round_filters never goes below 90 % (V1); V2 dropped the rule
    fixed_ends: bool  # Lite: stem and head are not width-scaled, first and last stage not depth-scaled
    batch_norm_momentum: float


FAMILIES: dict[Family, FamilyRules] = {
    "b": FamilyRules("swish", 1280, True, False, 0.99),
    "lite": FamilyRules("relu6", 1280, True, True, 0.99),
    "edgetpu": FamilyRules("relu", 1280, True, False, 0.99),
    "v2": FamilyRules("swish", 1280, False, False, 0.9),
}


@dataclass(frozen=True)
class Variant:
    """One network: stages and how far they are scaled."""

    name: str
    family: Family
    stages: tuple[Stage, ...]
    width: float
    depth: float
    side_px: int
    dropout: float
    train_side_px: int

    @property
    def rules(self) -> FamilyRules:
        """Return what all variants of the family share."""
        return FAMILIES[self.family]


#       name      family  stages       width depth side dropout train_side
_ROWS = (
    Variant("b0", "b", B_STAGES, 1.0, 1.0, 224, 0.2, 224),
    Variant("b1", "b", B_STAGES, 1.0, 1.1, 240, 0.2, 240),
    Variant("b2", "b", B_STAGES, 1.1, 1.2, 260, 0.3, 260),
    Variant("b3", "b", B_STAGES, 1.2, 1.4, 300, 0.3, 300),
    Variant("b4", "b", B_STAGES, 1.4, 1.8, 380, 0.4, 380),
    Variant("b5", "b", B_STAGES, 1.6, 2.2, 456, 0.4, 456),
    Variant("b6", "b", B_STAGES, 1.8, 2.6, 528, 0.5, 528),
    Variant("b7", "b", B_STAGES, 2.0, 3.1, 600, 0.5, 600),
    Variant("lite0", "lite", LITE_STAGES, 1.0, 1.0, 224, 0.2, 224),
    Variant("lite1", "lite", LITE_STAGES, 1.0, 1.1, 240, 0.2, 240),
    Variant("lite2", "lite", LITE_STAGES, 1.1, 1.2, 260, 0.3, 260),
    Variant("lite3", "lite", LITE_STAGES, 1.2, 1.4, 280, 0.3, 280),
    Variant("lite4", "lite", LITE_STAGES, 1.4, 1.8, 300, 0.3, 300),
    Variant("edgetpu-s", "edgetpu", EDGETPU_STAGES, 1.0, 1.0, 224, 0.2, 224),
    Variant("edgetpu-m", "edgetpu", EDGETPU_STAGES, 1.0, 1.1, 240, 0.2, 240),
    Variant("edgetpu-l", "edgetpu", EDGETPU_STAGES, 1.2, 1.4, 300, 0.3, 300),
    Variant("v2-b0", "v2", V2_BASE_STAGES, 1.0, 1.0, 224, 0.2, 192),
    Variant("v2-b1", "v2", V2_BASE_STAGES, 1.0, 1.1, 240, 0.2, 192),
    Variant("v2-b2", "v2", V2_BASE_STAGES, 1.1, 1.2, 260, 0.3, 208),
    Variant("v2-b3", "v2", V2_BASE_STAGES, 1.2, 1.4, 300, 0.3, 240),
    Variant("v2-s", "v2", V2_S_STAGES, 1.0, 1.0, 384, 0.2, 300),
    Variant("v2-m", "v2", V2_M_STAGES, 1.0, 1.0, 480, 0.3, 384),
    Variant("v2-l", "v2", V2_L_STAGES, 1.0, 1.0, 480, 0.4, 384),
    Variant("v2-xl", "v2", V2_XL_STAGES, 1.0, 1.0, 512, 0.4, 384),
)
VARIANTS: dict[str, Variant] = {row.name: row for row in _ROWS}

ScaledBase = Literal["b0", "lite0"]
SCALED_BASES: tuple[ScaledBase, ...] = get_args(ScaledBase)  # the variants that compound scaling begins from
ALPHA_DEPTH, BETA_WIDTH, GAMMA_RESOLUTION = 1.2, 1.1, 1.15  # arXiv 1905.11946, section 3.3
MOST_PHI, MOST_FACTOR, MOST_SIDE_PX = 10.0, 2.0, 4096
# scaled-1.5, scaled-1.5-lite0, scaled-1.5-lite0-a1.3-b1.05-g1.1; people write a colon for the first dash.
_SCALED = re.compile(
    r"scaled[:-](?P<phi>.*?)(?:-(?P<base>b0|lite0))?(?:-a(?P<a>[\d.]+)-b(?P<b>[\d.]+)-g(?P<g>[\d.]+))?"
)

# timm's and Coral's short names of the EdgeTPU family.
_EDGETPU_SHORT = {"es": "edgetpu-s", "em": "edgetpu-m", "el": "edgetpu-l"}


def parse_variant(text: str) -> Variant:
    """Return the variant of a short, long or `scaled:PHI` name; raise InputError for any other."""
    if match := _SCALED.fullmatch(text.strip().lower()):  # the dash is how file names and manifests spell it
        return _parse_scaled(text, match)
    short = _short_name(text)
    if short in VARIANTS:
        return VARIANTS[short]
    close = get_close_matches(short, VARIANTS, n=1)
    mend = f"did you mean {close[0]}?" if close else "edgenet list shows them all"
    raise InputError(f"unknown variant {text!r}", allowed=f"{', '.join(VARIANTS)}, scaled:PHI", mend=mend)


def _short_name(text: str) -> str:
    """Reduce `tf_efficientnet_lite0`, `EfficientNetV2S`, `efficientnet-edgetpu-M` … to `lite0`, `v2-s`, `edgetpu-m`."""
    name = re.sub(r"[\s_]+", "-", text.strip().lower())
    name = re.sub(r"^tf-", "", name)
    name = re.sub(r"^efficientnet-?", "", name)
    name = re.sub(r"^v2-?(?=\w)", "v2-", name)
    name = re.sub(r"^edgetpu-?(?=\w)", "edgetpu-", name)
    return _EDGETPU_SHORT.get(name, name)


def _parse_scaled(text: str, match: re.Match[str]) -> Variant:
    base: ScaledBase = "lite0" if match["base"] == "lite0" else "b0"
    try:
        phi = float(match["phi"])
        alpha, beta, gamma = (
            (float(match["a"]), float(match["b"]), float(match["g"]))
            if match["a"]
            else (ALPHA_DEPTH, BETA_WIDTH, GAMMA_RESOLUTION)
        )
    except ValueError:
        phi = alpha = beta = gamma = math.nan
    allowed = f"scaled:PHI with PHI from 0 to {MOST_PHI:g}"
    if not 0 <= phi <= MOST_PHI:
        raise InputError(f"cannot scale by {text!r}", allowed=allowed, mend="try scaled:0.5")
    if not all(1 <= factor <= MOST_FACTOR for factor in (alpha, beta, gamma)):
        raise InputError(f"cannot scale by {text!r}", allowed=f"factors from 1 to {MOST_FACTOR:g}")
    return scaled(phi, alpha, beta, gamma, base)


def scaled(
    phi: float,
    alpha: float = ALPHA_DEPTH,
    beta: float = BETA_WIDTH,
    gamma: float = GAMMA_RESOLUTION,
    base: ScaledBase = "b0",
) -> Variant:
    """Scale a variant by `phi`: depth alpha**phi, width beta**phi, side gamma**phi (arXiv 1905.11946, eq. 3).

    The side is rounded to a multiple of 8 pixels; dropout follows B0–B7 and Lite0–Lite4 (0.1 more every second phi, at
    most as much as the family's largest). The name holds all that is needed to make the same variant again. Raise
    InputError for a side over 4096 pixels.
    """
    row = VARIANTS[base]
    side_px = max(8, round(row.side_px * gamma**phi / 8) * 8)
    if side_px > MOST_SIDE_PX:
        what = f"gamma {gamma:g} and phi {phi:g} make a side of {side_px} px"
        raise InputError(what, allowed=f"{MOST_SIDE_PX} px at most", mend="take a smaller phi")
    most = max(other.dropout for other in VARIANTS.values() if other.family == row.family)
    dropout = min(most, round(row.dropout + 0.1 * int(phi // 2), 1))
    name = f"scaled-{_plain(phi)}" + (f"-{base}" if base != "b0" else "")
    if (alpha, beta, gamma) != (ALPHA_DEPTH, BETA_WIDTH, GAMMA_RESOLUTION):
        name += f"-a{_plain(alpha)}-b{_plain(beta)}-g{_plain(gamma)}"
    return Variant(name, row.family, row.stages, beta**phi, alpha**phi, side_px, dropout, side_px)


def _plain(number: float) -> str:
    """Return the shortest text that is read as the same number again."""
    return repr(float(number)).removesuffix(".0")


def round_filters(filters: int, width: float, ten_percent_rule: bool) -> int:
    """Scale a channel count to the nearest multiple of 8; V1 never goes below 90 % of the scaled value."""
    wanted = filters * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    if ten_percent_rule and rounded < 0.9 * wanted:
        rounded += 8
    return rounded


def round_repeats(repeats: int, depth: float) -> int:
    """Scale a stage's number of blocks, rounding up."""
    return math.ceil(repeats * depth)
