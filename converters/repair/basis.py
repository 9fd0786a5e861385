"""What the files of some recipes begin with: the float network with its channel gains, and what was seen in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from converters import flatbuffer
from converters.calibrate import Calibration, Fed, widened
from converters.calibration_source import CalibrationSet
from converters.flatbuffer import Model
from converters.job import FloatNetwork
from converters.observe import Statistics, channel_means, observe
from converters.quantize import ActivationData
from converters.ranges import Range, RangeMethod, choose_ranges
from converters.repair.choose_gains import IMAGES, choose_gains, look_at
from converters.repair.gains import Gains, apply_gains, spreads
from converters.repair.recipe import matching
from edgenet.progress import Report, tracked


@dataclass
class Basis:
    """Gains and what was seen with them; graph and ranges follow from these when they are asked for."""

    network: FloatNetwork
    gains: Gains
    exact: dict[str, Range]  # ranges that are known beforehand: the input's, and those that go with the gains
    statistics: dict[str, Statistics]
    _data: dict[RangeMethod, ActivationData] = field(default_factory=dict)

    def model(self) -> Model:
        """Return the float graph with the gains in it, a new one each time."""
        model = flatbuffer.read(self.network.integer_content)
        apply_gains(model, self.gains)
        return model

    def data(self, method: RangeMethod) -> ActivationData:
        """Return the ranges of 8-bit activations by a method, and the channels' means."""
        if method not in self._data:
            model = self.model()
            ranges = choose_ranges(model, self.statistics, method) | self.exact
            self._data[method] = ActivationData(ranges, channel_means(model, self.statistics))
        return self._data[method]

    @cached_property
    def wide(self) -> dict[str, Range]:
        """Return the ranges of 16-bit activations by name."""
        return widened(choose_ranges(self.model(), self.statistics, "minmax")) | self.network.exact


def find_basis(
    network: FloatNetwork,
    calibration: Calibration,
    images: CalibrationSet,
    patterns: Sequence[str],
    report: Report,
) -> Basis:
    """Choose gains for the layers that `patterns` name, and watch the graph anew with them in it.

    Raise InputError for a pattern that fits no layer whose channels can have gains.
    """
    model = flatbuffer.read(network.integer_content)
    known = list(spreads(model)) if patterns else []
    names = list(dict.fromkeys(
        name for pattern in patterns for name in matching(pattern, known, "layer that can be equalized")
    ))  # fmt: skip
    if not names:
        return Basis(network, {}, dict(network.exact), calibration.statistics)
    inputs = [network.entry.feed(pixels) for pixels in islice(images, IMAGES)]
    chosen = choose_gains(model, look_at(model, names, tracked(inputs, "equalizing", len(inputs), report)))
    apply_gains(model, chosen.gains)
    seen = observe(flatbuffer.write(model), Fed(images, network.entry, report))
    return Basis(network, chosen.gains, network.exact | chosen.ranges, seen.statistics)
