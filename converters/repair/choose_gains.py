"""Choose the gains of a layer's channels, and the range that goes with them, from what flows through it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.compensate import LARGEST as LARGEST_STEP
from converters.flatbuffer import Model
from converters.observe import swish
from converters.patterns import Op, op_code
from converters.ranges import GATE_LIMIT, STEPS, Range
from converters.repair.gains import Gains, Spread, constant, spreads
from converters.verify import with_outputs

IMAGES = 48  # whose values are looked at
PLACES = 48  # of an image whose channels are looked at; largest and smallest values come from every place
FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0)  # powers of two lose nothing in float
_EXPONENTS = (0.0, 0.5, 1.0)  # of the gains that are best for the activation alone
RELU6_LIMIT = 6.0
RELU6_MARGIN = 1.5  # a gained channel saturates at 6 / gain: that much above all that was seen
_TOPS = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0)  # of the largest value seen
_BOTTOMS = (-4.0, -8.0, -16.0, -32.0)


@dataclass(frozen=True)
class Seen:
    """Values [N, C] of a layer's output, drawn from all images, and each channel's largest [C] over every place."""

    values: NDArray[np.float32]
    maximum: NDArray[np.float32]


@dataclass(frozen=True)
class Equalized:
    """The gains of some layers, and the ranges that were chosen along with them, by tensor name."""

    gains: Gains
    ranges: dict[str, Range]


def look_at(
    model: Model, names: Sequence[str], inputs: Iterable[NDArray[np.float32]], seed: int = 0
) -> dict[str, Seen]:
    """Run float inputs [1, H, W, 3] through a float graph and keep some values of the named layers' outputs."""
    found = spreads(model)
    runner = with_outputs(model, [found[name].tensor for name in names])
    draws = np.random.Generator(np.random.PCG64(seed))
    values: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    largest: dict[str, NDArray[np.float32]] = {}
    for image in inputs:
        runner.run(image)
        for index, name in enumerate(names):
            places = runner.view(index).reshape(-1, runner.outputs[index].shape[-1])
            chosen = draws.integers(0, len(places), min(PLACES, len(places)))
            values[name].append(places[chosen])
            top = places.max(axis=0)
            largest[name] = np.maximum(largest.get(name, top), top)
            del places  # the runtime's own memory: it must not be held during the next run
    return {name: Seen(np.concatenate(values[name]), largest[name]) for name in names}


def choose_gains(model: Model, seen: dict[str, Seen]) -> Equalized:
    """Return gains for the layers that were looked at; those that no gain helps are left out."""
    found = spreads(model)
    gains: Gains = {}
    ranges: dict[str, Range] = {}
    for name, row in seen.items():
        spread = found[name]
        if spread.has_swish:
            gain, inside = _for_swish(model, spread, row)
            ranges |= {name: inside, f"{name}/without_gains": Range(-GATE_LIMIT, GATE_LIMIT)}
        elif spread.has_relu6 and _only_depthwise(model, spread):
            gain = _for_relu6(row)
        else:
            continue
        if gain.max() > 1:
            gains[name] = gain
    return Equalized(gains, {name: row for name, row in ranges.items() if name.removesuffix("/without_gains") in gains})


def _for_relu6(row: Seen) -> NDArray[np.float64]:
    """Return gains under which no channel that was seen reaches 6 sooner than it did: the clipping stays what it is."""
    room = RELU6_LIMIT / np.maximum(row.maximum.astype(np.float64) * RELU6_MARGIN, 1e-9)
    return np.asarray(np.clip(2.0 ** np.floor(np.log2(room)), 1.0, FACTORS[-1]))


def _for_swish(model: Model, spread: Spread, row: Seen) -> tuple[NDArray[np.float64], Range]:
    """Return the gains and the range of x under which the layers that read x * sigmoid(x) err least.

    Their error comes from two roundings: that of x, which gains make smaller, and that of their own weights, which they
    make larger where channels meet in one sum: there a small channel's weights lie below a large one's steps.
    """
    wanted = swish(row.values.astype(np.float64)).astype(np.float32)
    power = np.mean(np.square(wanted, dtype=np.float64), axis=0)
    importance = _importance(model, spread)
    largest = max(float(row.values.max()), 1.0)
    best: tuple[float, NDArray[np.float64], Range] | None = None
    for high in (share * largest for share in _TOPS):
        for low in _BOTTOMS:
            errors = np.stack([_swish_error(row.values, wanted, factor, low, high) for factor in FACTORS])
            alone = np.asarray(FACTORS)[errors.argmin(axis=0)]
            for gain in (2.0 ** np.round(np.log2(alone) * exponent) for exponent in _EXPONENTS):
                chosen = errors[np.log2(gain).astype(np.intp), np.arange(len(gain))]
                error = float(chosen @ importance) + _weight_error(model, spread, gain, power)
                if best is None or error < best[0]:
                    best = error, gain, Range(low, high)
    assert best is not None  # the tables above are not empty
    return best[1], best[2]


def _weight_error(model: Model, spread: Spread, gain: NDArray[np.float64], power: NDArray[np.float64]) -> float:
    """Return the squared error that rounding the weights makes, summed over the outputs of what reads the tensor."""
    total = 0.0
    for operator in spread.divided:
        if op_code(model, operator) != Op.DEPTHWISE_CONV_2D:
            weight = constant(model, operator.inputs[1]) / gain
            steps = np.abs(weight).reshape(len(weight), -1).max(axis=1) / LARGEST_STEP
            taps = weight[0].size / len(gain)
            total += float(np.sum(np.square(steps)) / 12 * taps * np.sum(power * np.square(gain)))
    return total


def _swish_error(
    values: NDArray[np.float32], wanted: NDArray[np.float32], factor: float, low: float, high: float
) -> NDArray[np.float64]:
    """Return each channel's mean squared error of the swish [C], its input times `factor` rounded to 256 steps."""
    step = (high - low) / STEPS
    first = np.round(low / step)
    levels = swish((np.arange(STEPS + 1) + first) * step / factor).astype(np.float32)
    index = np.clip(np.rint(values * np.float32(factor / step)) - np.float32(first), 0, STEPS).astype(np.intp)
    difference = levels[index] - wanted
    return np.asarray(np.einsum("nc,nc->c", difference, difference) / len(values), dtype=np.float64)


def _importance(model: Model, spread: Spread) -> NDArray[np.float64]:
    """Return how much an error of each channel counts [C]: the squared weights that read it."""
    total = np.zeros(int(model.subgraphs[0].tensors[spread.tensor].shape[-1]))
    for operator in spread.divided:
        weight = constant(model, operator.inputs[1])
        total += np.sum(np.square(weight, dtype=np.float64), axis=tuple(range(weight.ndim - 1)))
    return total


def _only_depthwise(model: Model, spread: Spread) -> bool:
    return all(op_code(model, operator) == Op.DEPTHWISE_CONV_2D for operator in spread.divided)
