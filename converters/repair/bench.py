"""The repair bench: make the w8a8 file of a recipe, and measure it on images that calibration did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.calibrate import Calibration
from converters.calibration_source import CalibrationSet
from converters.flatbuffer import Model
from converters.job import FloatNetwork, Probe
from converters.quantize import ActivationData, quantize_model
from converters.repair.basis import Basis, find_basis
from converters.repair.crossed_agreement import crossed_agreement
from converters.repair.islands import full_integer, high_precision_share, restore_layers
from converters.repair.latency import latency_ratio
from converters.repair.learned_rounding import learn_weights
from converters.repair.recipe import Recipe, Rounding, layer_precisions, layer_roundings
from converters.repair.weighted_layers import WeightedLayer, weighted_layers
from converters.verify import all_logits
from edgenet.agreement import Agreement, Comparison
from edgenet.progress import Report, tracked


@dataclass(frozen=True)
class Made:
    """A recipe's file, its ends int8, with what it was made from."""

    recipe: Recipe
    content: bytes
    float_content: bytes
    data: ActivationData


@dataclass(frozen=True)
class Trial:
    """A recipe's file and what it showed on the probe."""

    made: Made
    agreement: Agreement
    crossed: float  # the share of answers that are kept where the probe's errors and logits are crossed
    latency_ratio: float  # to the plain w8a8 file on this machine
    full_integer: bool
    high_precision_share: float  # of the multiply-accumulates


@dataclass
class Bench:
    """Everything that the rungs of one ladder share; what took long is made once."""

    network: FloatNetwork
    calibration: Calibration
    images: CalibrationSet
    probe: Probe
    report: Report
    _bases: dict[tuple[str, ...], Basis] = field(default_factory=dict)
    _quantized: dict[Recipe, bytes] = field(default_factory=dict)
    _learned: dict[Recipe, Made] = field(default_factory=dict)
    _expected: list[NDArray[np.float32]] = field(default_factory=list)
    _latency_ratios: dict[Recipe, float] = field(default_factory=dict)

    @property
    def plain(self) -> bytes:
        """Return the w8a8 file that would be written without a repair: what latencies are held against."""
        return self.calibration.narrow_content

    def float_model(self) -> Model:
        """Return the float graph as it was before any gains."""
        return flatbuffer.read(self.network.integer_content)

    @cached_property
    def layers(self) -> tuple[WeightedLayer, ...]:
        """Return the layers of the network in their order."""
        return weighted_layers(self.float_model())

    def make(self, recipe: Recipe) -> Made:
        """Return the file of a recipe; raise InputError for a pattern that fits no layer.

        Layers leave 8 bits before the others learn: these make up for the rounding that they find before them.
        """
        if recipe in self._learned:
            return self._learned[recipe]
        ops = {row.name: row.op for row in self.layers}
        precisions, by_name = layer_precisions(recipe, ops), layer_roundings(recipe, ops)
        roundings = {row.output_name: by_name[row.name] for row in self.layers}
        basis = self._basis(recipe)
        model, original = flatbuffer.read(self._all_in_8_bits(recipe, roundings)), basis.model()
        if precisions:
            restore_layers(model, original, precisions, basis.wide)
        learns = "learned" in roundings.values()
        if learns:
            chosen = {output for output, rounding in roundings.items() if rounding == "learned"}
            learn_weights(model, original, self.images, self.network.entry, self.report, chosen.__contains__)
        made = Made(recipe, flatbuffer.write(model), flatbuffer.write(original), basis.data(recipe.ranges))
        if learns:
            self._learned[recipe] = made
        return made

    def _all_in_8_bits(self, recipe: Recipe, roundings: Mapping[str, Rounding]) -> bytes:
        """Return the file of a recipe before any layer leaves 8 bits or learns; the last one is held.

        Recipes that differ in the layers that leave 8 bits come one after the other, by the dozen.
        """
        key = recipe.in_8_bits
        if key not in self._quantized:
            basis = self._basis(recipe)
            original = basis.model()
            model = quantize_model(
                flatbuffer.write(original), "w8a8", basis.data(recipe.ranges), original,
                keep_sums=lambda output: roundings.get(output) != "nearest", bias_correction=recipe.bias_correction,
            )  # fmt: skip
            self._quantized.clear()
            self._quantized[key] = flatbuffer.write(model)
        return self._quantized[key]

    def _basis(self, recipe: Recipe) -> Basis:
        if recipe.equalize not in self._bases:
            self._bases[recipe.equalize] = find_basis(
                self.network, self.calibration, self.images, recipe.equalize, self.report
            )
        return self._bases[recipe.equalize]

    def try_out(self, recipe: Recipe) -> Trial:
        """Return the file of a recipe with what it shows on the probe and what it costs."""
        made = self.make(recipe)
        model = flatbuffer.read(made.content)
        expected, got = self._on_probe(made.content)
        return Trial(
            made,
            _compared(expected, got),
            crossed_agreement(expected, got),
            self._latency_ratio(made),
            full_integer(model),
            high_precision_share(model),
        )

    def _latency_ratio(self, made: Made) -> float:
        """Return what a file takes, times the plain one; files that differ in their constants alone take the same."""
        form = made.recipe.form
        if form not in self._latency_ratios:
            self._latency_ratios[form] = latency_ratio(self.plain, made.content, self.probe.images[0])
        return self._latency_ratios[form]

    def expected_of(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Return the float network's logits [classes] for raw pixels [side, side, 3]."""
        return list(all_logits(self.network.content, images))

    def _on_probe(self, content: bytes) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """Return the logits [classes] of the float network and of a file for the probe's images."""
        images = self.probe.images
        if not self._expected:
            self._expected = self.expected_of(images)
        return self._expected, list(all_logits(content, tracked(images, "judging", len(images), self.report)))


def _compared(expected: Sequence[NDArray[np.float32]], got: Sequence[NDArray[np.float32]]) -> Agreement:
    comparison = Comparison()
    comparison.add(np.stack(expected), np.stack(got))
    return comparison.result()
