"""Validate on the images as a deployed file will see them, with the network that will be deployed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from edgenet.labelled.example import Example
from edgenet.preprocessing import Preprocessing, normalize
from edgenet.training.pipeline import validation_batches
from edgenet.training.strategy import Devices, total


@dataclass(frozen=True)
class Evaluation:
    """The mean cross entropy, and how often each class [row] was taken for each class [column]."""

    loss: float
    confusion: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Return the share of images whose class was found."""
        return float(np.trace(self.confusion) / self.confusion.sum())


class Evaluator:
    """Validation of a plain network of the full side; each worker takes its share of the images."""

    def __init__(
        self,
        model: tf_keras.Model,
        examples: Sequence[Example],
        record: Preprocessing,
        batch_size: int,
        devices: Devices,
    ) -> None:
        self._model, self._record, self._devices, self._batch_size = model, record, devices, batch_size
        self._examples = examples[devices.worker :: devices.workers]
        shape = (None, record.side_px, record.side_px, 3)
        self._answer = tf.function(
            lambda images: tf.cast(model(images, training=False), tf.float32),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )

    def __call__(self, weights: list[NDArray[Any]]) -> Evaluation:
        """Return how the network does with these weights."""
        self._model.set_weights(weights)
        classes = self._model.output_shape[-1]
        confusion, loss = np.zeros((classes, classes)), 0.0
        labels = np.array([example.class_index for example in self._examples])
        done = 0
        for pixels in validation_batches(self._examples, self._record, self._batch_size).as_numpy_iterator():
            logits = self._answer(normalize(pixels, self._record)).numpy().astype(np.float64)
            expected = labels[done : done + len(pixels)]
            np.add.at(confusion, (expected, logits.argmax(axis=1)), 1)
            loss += float(_cross_entropy(logits, expected).sum())
            done += len(pixels)
        sums = total(self._devices, np.append(confusion.ravel(), loss))
        confusion = np.rint(sums[:-1]).astype(np.int64).reshape(classes, classes)
        return Evaluation(float(sums[-1] / confusion.sum()), confusion)


@contextmanager
def float32_layers() -> Iterator[None]:
    """Make the layers that are built meanwhile compute in float32."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("float32")
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return losses
