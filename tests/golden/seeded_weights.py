"""Weights and an image that any machine makes anew, bit for bit, from names alone.

Golden logits are worth keeping only if the weights behind them need not be kept. A tensor's values come from the raw
words of PCG64, seeded with the sha256 of the tensor's timm name: NumPy promises the words for every version and
platform, which it does not for `Generator.normal`. So all distributions here are uniform.
"""

import hashlib
import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenet.layers import Architecture


@dataclass(frozen=True)
class Spread:
    """A uniform distribution: `center` ± `half_width`, the latter divided by sqrt(fan_in) where `by_fan_in`."""

    center: float
    half_width: float
    by_fan_in: bool = False


# A uniform distribution on ± sqrt(3) has unit variance.
UNIT = math.sqrt(3)
BATCH_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")

# First match wins. No batch norm normalises here (statistics are seeded too), so the gains keep the variance near 1
# by themselves: swish, ReLU and ReLU6 hand on 0.36 to 0.5 of the mean square of a standard normal input, the gates of
# squeeze-and-excite about half of that. A block with a skip (repeat 1 and later) adds little, so that a hundred of
# them do not explode. Biases stay small, or the logits would hardly depend on the image.
RULES: tuple[tuple[str, Spread], ...] = (
    (r"\.running_mean$", Spread(0.0, 0.1)),
    (r"\.running_var$", Spread(1.0, 0.3)),
    (r"bn\d\.weight$", Spread(1.0, 0.2)),
    (r"bn\d\.bias$", Spread(0.0, 0.1)),
    (r"se\.conv_expand\.bias$", Spread(1.0, 2.0)),
    (r"\.bias$", Spread(0.0, 0.3)),
    (r"^conv_stem\.weight$", Spread(0.0, 2.0 * UNIT, True)),
    (r"\.\d+\.0\.(conv_pwl|project)\.weight$", Spread(0.0, 1.9 * UNIT, True)),
    (r"\.(conv_pwl|project)\.weight$", Spread(0.0, 0.3 * UNIT, True)),
    (r"\.0\.conv\.weight$", Spread(0.0, 1.5 * UNIT, True)),
    (r"\.conv\.weight$", Spread(0.0, 0.3 * UNIT, True)),
    (r"\.(conv_dw|se\.conv_expand)\.weight$", Spread(0.0, 1.6 * UNIT, True)),
    (r"\.(conv_pw|conv_exp|se\.conv_reduce)\.weight$", Spread(0.0, 1.0 * UNIT, True)),
    (r"^conv_head\.weight$", Spread(0.0, 1.0 * UNIT, True)),
    (r"^classifier\.weight$", Spread(0.0, 1.5 * UNIT, True)),
)


def seeded_tensor(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the float32 tensor of `name`, a timm name, in PyTorch's layout ([O, I, kH, kW], dense [O, I], else [C]).

    Raises KeyError for a name that no rule knows.
    """
    spread = _spread(name, shape)
    half_width = spread.half_width / math.sqrt(math.prod(shape[1:])) if spread.by_fan_in else spread.half_width
    values = spread.center + half_width * (2.0 * _uniform(name, math.prod(shape)) - 1.0)
    return values.astype(np.float32).reshape(shape)


def tensor_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor that `architecture` needs, under timm's names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in architecture.layers:
        shapes[f"{layer.name}.weight"] = layer.weight_shape
        owner, parts = (layer.batch_norm, BATCH_NORM_PARTS) if layer.batch_norm else (layer.name, ("bias",))
        shapes.update({f"{owner}.{part}": (layer.out_channels,) for part in parts})
    return shapes


def seeded_tensors(architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """Return all tensors of `architecture` under timm's names."""
    return {name: seeded_tensor(name, shape) for name, shape in tensor_shapes(architecture).items()}


def seeded_image(side_px: int) -> NDArray[np.uint8]:
    """Return an RGB image [1, side, side, 3] with edges at every scale, up to the very border.

    Squares of 1, 2, 4, … pixels, each size of the same contrast: a shift by one pixel, which is what a wrong padding
    or stride amounts to, changes every layer's input. Whole numbers only, so that no rounding differs.
    """
    scales = [2**power for power in range(side_px.bit_length())]
    total = np.zeros((side_px, side_px, 3), dtype=np.int64)
    for cell_px in scales:
        cells = -(-side_px // cell_px)
        words = np.random.PCG64(_seed(f"image.{side_px}.{cell_px}")).random_raw(cells * cells * 3)
        levels = (words >> np.uint64(56)).astype(np.int64).reshape(cells, cells, 3) - 128
        total += levels.repeat(cell_px, axis=0).repeat(cell_px, axis=1)[:side_px, :side_px]
    # The sum of n uniform levels grows like sqrt(n): halve it so that few pixels clip.
    pixels: NDArray[np.uint8] = np.clip(128 + total // 2, 0, 255).astype(np.uint8)[np.newaxis]
    return pixels


def normalized(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (pixels - 127.5) / 127.5 as float32: every golden case's input, whatever the variant's own rule is."""
    return (pixels.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


def _spread(name: str, shape: tuple[int, ...]) -> Spread:
    # A depthwise-separable block's `conv_pw` projects; an inverted block's `conv_pw` expands.
    if re.search(r"\.conv_pw\.weight$", name) and shape[0] <= shape[1]:
        name = name.replace("conv_pw", "project")
    for pattern, spread in RULES:
        if re.search(pattern, name):
            return spread
    raise KeyError(f"no rule for a tensor named {name!r}")


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def _uniform(name: str, count: int) -> NDArray[np.float64]:
    """Return `count` values in [0, 1), from the 53 high bits of raw 64-bit words."""
    words = np.random.PCG64(_seed(name)).random_raw(count)
    values: NDArray[np.float64] = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return values
