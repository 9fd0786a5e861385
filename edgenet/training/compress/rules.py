"""What a stage does to each layer: its kernel's rules and its output's quantizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.entry import integer_entry
from edgenet.layers import Architecture, Layer
from edgenet.preprocessing import Preprocessing
from edgenet.training.compress.quantizers import ActivationQuantizer, KernelRules, clustering, local_variable
from edgenet.training.compress.tensors import compressible, rounded_tensors
from edgenet.training.draws import Draws
from edgenet.training.recipe import CompressRecipe, Technique

KERNELS = {"conv": "kernel", "depthwise": "depthwise_kernel", "dense": "kernel"}  # the attributes of Keras' layers


@dataclass(frozen=True)
class Rules:
    """The rules of a network by the names of its layers."""

    kernels: dict[str, KernelRules]
    outputs: dict[str, ActivationQuantizer]

    @property
    def masked(self) -> list[KernelRules]:
        """Return the kernels that have a mask."""
        return [rules for rules in self.kernels.values() if rules.mask is not None]

    @property
    def clustered(self) -> list[KernelRules]:
        """Return the kernels that have clusters."""
        return [rules for rules in self.kernels.values() if rules.clusters is not None]


def make_rules(
    architecture: Architecture,
    preprocessing: Preprocessing,
    recipe: CompressRecipe,
    techniques: tuple[Technique, ...],
    qat_step: int,
    draws: Draws | None,
) -> Rules:
    """Return the rules of a network with fresh variables, to be called under the training's strategy.

    `qat_step` is the step of fine-tuning that ranges begin with; without `draws` they stand still.
    """
    chosen = {layer.name for layer in compressible(architecture)}
    kernels = {
        layer.name: _kernel_rules(layer, recipe, techniques, layer.name in chosen) for layer in architecture.layers
    }
    if integer_entry(preprocessing).folding == "subtracted":  # the file divides the stem's weights by std
        kernels[architecture.stem.name].input_std = preprocessing.std
    tensors = rounded_tensors(architecture) if "qat" in techniques else ()
    return Rules(
        {name: rules for name, rules in kernels.items() if rules.does_something},
        {row.layer: ActivationQuantizer(row.tensor, row.low, row.high, qat_step, draws) for row in tensors},
    )


def _kernel_rules(layer: Layer, recipe: CompressRecipe, techniques: tuple[Technique, ...], chosen: bool) -> KernelRules:
    masked, clustered = (chosen and name in techniques for name in ("prune", "cluster"))
    return KernelRules(
        layer.name,
        KERNELS[layer.kind],
        mask=local_variable(np.ones(_keras_shape(layer)), f"{layer.name}/mask") if masked else None,
        # Zero is the value of the pruned ones: one less is left for the others.
        clusters=clustering(recipe.cluster - masked, f"{layer.name}/centroids") if clustered else None,
        rounded="qat" in techniques,
        one_scale=chosen and recipe.cluster > 0,
    )


def _keras_shape(layer: Layer) -> tuple[int, ...]:
    if layer.kind == "dense":
        return (layer.in_channels, layer.out_channels)
    return (layer.kernel, layer.kernel, layer.in_channels, layer.out_channels)
