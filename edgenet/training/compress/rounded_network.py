"""The network in the steps that quantization-aware training gave it, to be asked and not trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from edgenet.compression import FEWEST_CLUSTERS
from edgenet.errors import InputError
from edgenet.layers import Architecture
from edgenet.network import build_network, load_weights_into
from edgenet.preprocessing import Preprocessing
from edgenet.training.compress.rules import make_rules
from edgenet.training.compress.tensors import rounded_tensors
from edgenet.training.compress.wrap import own_weights, with_rounded_sigmoid, wrapped
from edgenet.training.recipe import CompressRecipe
from edgenet.weights.record import Convention, Weights


class RoundedNetwork(tf_keras.Model):  # type: ignore[misc]  # tf_keras has no types
    """Takes normalized images like the plain network, and rounds weights and activations as the 8-bit file does."""

    _ranges: tuple[Any, ...] = ()

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        """Take the plain network's weights, and behind them (low, high) of each activation."""
        variables = [*own_weights(self), *self._ranges]
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)


def rounded_network(
    architecture: Architecture, preprocessing: Preprocessing, convention: Convention, *, clustered: bool
) -> RoundedNetwork:
    """Build the rounded network of weights that come masked and, if so, `clustered`."""
    recipe = CompressRecipe(cluster=FEWEST_CLUSTERS if clustered else 0, qat=True)
    rules = make_rules(architecture, preprocessing, recipe, ("qat",), 0, None)

    def replaced(layer: Any) -> Any:
        fresh = with_rounded_sigmoid(type(layer).from_config(layer.get_config()))
        return wrapped(fresh, rules.kernels.get(layer.name), rules.outputs.get(layer.name))

    plain = build_network(architecture, convention=convention)
    clone = tf_keras.models.clone_model(plain, clone_function=replaced)
    model = RoundedNetwork(clone.input, clone.output)
    model._ranges = tuple(quantizer.range for quantizer in rules.outputs.values())
    return model


def learned_network(weights: Weights) -> RoundedNetwork:
    """Return the rounded network that a run of quantization-aware training left; raise InputError for another run."""
    if weights.learned is None:
        raise InputError(f"{weights.origin} was not trained in 8-bit steps", mend="train it with --qat")
    architecture = weights.architecture()
    plain = build_network(architecture, convention=weights.convention)
    load_weights_into(plain, architecture, weights)
    clustered = bool(weights.learned.one_scale)
    model = rounded_network(architecture, weights.preprocessing, weights.convention, clustered=clustered)
    ranges = [weights.learned.ranges[row.tensor] for row in rounded_tensors(architecture)]
    model.set_weights([*plain.get_weights(), *(np.asarray(ends, np.float32) for ends in ranges)])
    return model
