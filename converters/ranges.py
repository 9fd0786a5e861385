"""Choose the range [low, high] that each activation's 256 steps cover.

`minmax` covers everything that was seen. `error` makes the expected squared error as small as it can: the error of the
tensor itself, or, for a tensor that only feeds x * sigmoid(x), the error after that product. `margin` is `error` for
images that are no photos: these excite the deep layers less than photos do, so the ranges that follow from them are
widened, but for the tensors around a swish, where a range that is too wide costs more than one that is too narrow.
Logits get room by all methods but `minmax`: one that is cut off is the very one that decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from converters.edit import text
from converters.flatbuffer import Model
from converters.histogram import Histogram
from converters.observe import Statistics, swish
from converters.patterns import find_gate_inputs, find_sigmoids, find_swish_inputs, find_swishes

Role = Literal["swish", "swish input", "gate", "logits", "other"]
Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
RangeMethod = Literal["minmax", "error", "margin"]
# What `margin` widens by. On photos, 1.15 and 1.3 gave int8 logits equally close to float, 1.0 and 1.45 worse ones, and
# 1.3 the most classes kept, for a ReLU6 network (lite0) and for a swish network alike, both calibrated on procedural
# images: `benchmarks/range_margin.py`.
MARGIN = 1.3
# What the range of logits reaches beyond all that was seen. The largest are rare: 200 photos reach 14.3 with lite0, the
# procedural images 11.3. A step of 1/256 of twice the range is still a tenth of the error that comes in from below.
LOGITS_ROOM: dict[RangeMethod, float] = {"error": 1.25, "margin": 1.5}
STEPS = 255  # int8: 256 values
GATE_LIMIT = 8.0  # sigmoid(8) = 0.99966 is within half an int8 step (1/512) of 1
SWISH_MINIMUM, SWISH_MINIMUM_AT = -0.27846, -1.27846  # the lowest value of x * sigmoid(x), and its x
_SHARES = np.concatenate([np.linspace(0.1, 0.5, 9), np.linspace(0.525, 1.0, 20)])  # of the seen extreme


@dataclass(frozen=True)
class Range:
    """The real numbers that a tensor's steps cover; 0 is among them."""

    low: float
    high: float


SIGMOID_RANGE = Range(0.0, 255 / 256)  # TFLite's 8-bit specification: LOGISTIC has scale 1/256, zero point -128


def choose_ranges(
    model: Model, statistics: dict[str, Statistics], method: RangeMethod, margin: float = MARGIN
) -> dict[str, Range]:
    """Return a range for every activation of `model` by name; `margin` is what the method of that name widens by."""
    graph = model.subgraphs[0]
    swishes, swish_inputs, gates = find_swishes(model), find_swish_inputs(model), find_gate_inputs(model)
    names = {index: text(tensor.name) for index, tensor in enumerate(graph.tensors)}
    ranges = {names[tensor]: SIGMOID_RANGE for tensor in find_sigmoids(model)}
    logits = {int(tensor) for tensor in graph.outputs}
    role: Role
    for index, name in names.items():
        if index in swishes:
            row, role = swish_statistics(statistics[names[swishes[index]]]), "swish"
        elif name in statistics:
            row = statistics[name]
            role = (
                "logits" if index in logits
                else "swish input" if index in swish_inputs
                else "gate" if index in gates
                else "other"
            )  # fmt: skip
        else:
            continue
        ranges[name] = _choose(row, method, role, margin)
    return ranges


def _choose(row: Statistics, method: RangeMethod, role: Role, margin: float) -> Range:
    seen = Range(min(row.minimum, 0.0), max(row.maximum, 0.0))
    if seen.low == seen.high:
        return Range(seen.low, seen.low + 1e-6)  # a tensor that is always 0 needs some scale
    if method == "minmax":
        return seen
    if role == "logits":
        return Range(seen.low * LOGITS_ROOM[method], seen.high * LOGITS_ROOM[method])
    if role == "gate":
        return Range(max(seen.low, -GATE_LIMIT), min(seen.high, GATE_LIMIT))
    best = _least_error(row.histogram, seen, swish if role == "swish input" else None)
    if method == "margin" and role == "other":
        return Range(max(seen.low, best.low * margin), min(seen.high, best.high * margin))
    return best


def swish_statistics(row: Statistics) -> Statistics:
    """Return the statistics of x * sigmoid(x), computed from those of x."""
    values = swish(np.asarray([row.minimum, row.maximum]))
    dips = row.minimum < SWISH_MINIMUM_AT < row.maximum
    low = SWISH_MINIMUM if dips else float(values.min())
    result = Statistics(minimum=low, maximum=float(values.max()))
    centers = swish(row.histogram.centers)
    filled = row.histogram.counts > 0
    # Each bin's mass moves to the image of its centre; 4096 bins are fine enough for a 256-step range.
    result.histogram.add_weighted(centers[filled], row.histogram.counts[filled])
    result.histogram.zeros = row.histogram.zeros
    return result


def _least_error(histogram: Histogram, seen: Range, after: Function | None) -> Range:
    """Return the range with the least expected squared error: each end is searched while the other stands, twice."""
    filled = histogram.counts > 0
    centers, counts = histogram.centers[filled], histogram.counts[filled].astype(np.float64)
    lows = np.unique(seen.low * _SHARES) if seen.low < 0 else np.zeros(1)
    highs = np.unique(seen.high * _SHARES) if seen.high > 0 else np.zeros(1)
    if after is not None and seen.low < -GATE_LIMIT:
        lows = np.union1d(lows, np.linspace(-GATE_LIMIT, -0.5, 16))

    def error(low: float, high: float) -> float:
        return _expected_error(centers, counts, low, high, after)

    low, high = seen.low, seen.high
    for _ in range(2):
        low = min(lows, key=lambda candidate: error(candidate, high))
        high = min(highs, key=lambda candidate: error(low, candidate))
    return Range(float(low), float(high))


def _expected_error(
    centers: NDArray[np.float64],
    counts: NDArray[np.float64],
    low: float,
    high: float,
    after: Function | None,
) -> float:
    step = (high - low) / STEPS
    zero_point = np.round(-low / step)
    steps = np.clip(np.round(centers / step) + zero_point, 0, STEPS) - zero_point
    difference = after(steps * step) - after(centers) if after else steps * step - centers
    return float(np.dot(counts, difference * difference))
