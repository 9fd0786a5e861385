"""A moving average of every weight, batch norm statistics included: what is validated, kept and shipped."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


class WeightAverage:
    """Shadow variables of a network's weights, to be made under its strategy's scope.

    No tf.Module: Keras would count the shadows among the weights of the network that holds this.
    """

    def __init__(self, weights: list[Any], decay: float) -> None:
        self._weights, self._decay = weights, decay
        # Each replica keeps a copy of its own, since all see the same weights: nothing has to be sent.
        self.shadows = [
            tf.Variable(
                weight,
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for weight in weights
        ]

    def update(self, step: Tensor) -> None:
        """Move towards the weights; early on in bigger steps, or the start would weigh on a short training."""
        steps = tf.cast(step, tf.float32)
        rest = 1 - tf.minimum(self._decay, (1 + steps) / (10 + steps))
        for weight, shadow in zip(self._weights, self.shadows, strict=True):
            shadow.assign_add(rest * (tf.convert_to_tensor(weight) - tf.convert_to_tensor(shadow)))
