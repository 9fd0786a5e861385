"""Random numbers inside the network that depend on seed, step and place in the global batch, and on nothing else.

tf_keras' layers draw from generators whose state advances; neither a resumed run nor two workers instead of one would
see the same numbers again. Here each step draws for the global batch and every replica takes its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
import tf_keras

Tensor = Any  # TensorFlow exports no name that a type checker could read
STREAMS = 10_000  # drawn from by different parts of the network: seed * STREAMS + stream is the first half of a key


@dataclass
class Draws:
    """Where the step's random numbers come from; `step` is set as each step begins to be traced."""

    seed: int
    replicas: int
    rows: int  # of one replica
    step: Tensor = None
    _streams: dict[str, int] = field(default_factory=dict)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Return numbers from 0 to 1 of shape [rows, *shape] for this replica."""
        return self._own(tf.random.stateless_uniform((self.replicas * self.rows, *shape), self._key(name)))

    def beta(self, name: str, alpha: float) -> Tensor:
        """Return one number a row of the distribution Beta(alpha, alpha)."""
        shape = (self.replicas * self.rows,)
        one, two = (tf.random.stateless_gamma(shape, self._key(f"{name}.{side}"), alpha) for side in (1, 2))
        return self._own(one / tf.maximum(one + two, 1e-20))

    def _key(self, name: str) -> Tensor:
        stream = self._streams.setdefault(name, len(self._streams))
        return tf.stack([tf.constant(self.seed * STREAMS + stream, tf.int64), tf.cast(self.step, tf.int64)])

    def _own(self, numbers: Tensor) -> Tensor:
        if self.replicas == 1:
            return numbers
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        first = tf.cast(replica, tf.int32) * self.rows
        return numbers[first : first + self.rows]


class SeededDropout(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras has no types
    """Dropout from `Draws`; with shape (1, 1, 1) a whole sample's branch is dropped (stochastic depth)."""

    def __init__(self, rate: float, shape: tuple[int, ...], draws: Draws, name: str) -> None:
        super().__init__(name=name)
        self.rate, self.shape, self._draws = rate, shape, draws

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Drop and scale up what is left, in training only."""
        if not training or not self.rate:
            return inputs
        kept = self._draws.uniform(self.name, *self.shape) >= self.rate
        return inputs * tf.cast(kept, inputs.dtype) / tf.cast(1 - self.rate, inputs.dtype)
