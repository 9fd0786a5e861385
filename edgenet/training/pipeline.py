"""Training batches with tf.data: which images a step sees, and how, depends on seed and step alone.

So a training can begin at any step as if it had run until there, and workers each make their rows of a common batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.labelled.example import Example
from edgenet.photos import Skipped, decode_photo
from edgenet.preprocessing import Preprocessing, crop_photo
from edgenet.training.augment import Augmentation, augmented
from edgenet.training.strategy import Rows

PIXELS, LABEL = np.uint8, np.int32


@dataclass
class TrainingData:
    """Training examples in an order of their own each epoch; what is left over by whole batches sits that epoch out."""

    examples: Sequence[Example]
    seed: int
    batch_size: int
    failure: InputError | None = None  # why an image could not be read any more: tf.data would bury it
    _order: tuple[int, NDArray[np.int64]] = field(default=(-1, np.zeros(0, np.int64)))

    @property
    def steps(self) -> int:
        """Return the number of steps in an epoch."""
        return len(self.examples) // self.batch_size

    def batches(self, first_step: int, end_step: int, rows: Rows, settings: Augmentation) -> Any:
        """Return the tf.data.Dataset of (pixels [B, side, side, 3] uint8, labels [B]) of a range of steps."""
        side = settings.side_px

        def load(index: NDArray[np.int64]) -> tuple[NDArray[np.uint8], np.int32]:
            step, row = divmod(int(index), rows.count)
            return self._load((first_step + step) * self.batch_size + rows.first + row, settings)

        def row(index: Any) -> tuple[Any, Any]:
            # A pure function of the index: declared so, tf.data runs it in parallel even when it has to be repeatable.
            pixels, label = tf.numpy_function(load, [index], (PIXELS, LABEL), stateful=False)
            return tf.ensure_shape(pixels, (side, side, 3)), tf.ensure_shape(label, ())

        indices = tf.data.Dataset.range((end_step - first_step) * rows.count)
        images = indices.map(row, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return images.batch(rows.batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def _load(self, position: int, settings: Augmentation) -> tuple[NDArray[np.uint8], np.int32]:
        epoch, place = divmod(position, self.steps * self.batch_size)
        index = int(self._epoch_order(epoch)[place])
        example = self.examples[index]
        try:
            photo = read_image(example)
        except InputError as error:
            self.failure = error
            raise
        random = np.random.default_rng((self.seed, epoch, index))
        return augmented(photo, settings, random), np.int32(example.class_index)

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        known, order = self._order
        if known != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.examples))
            self._order = epoch, order
        return order


def read_image(example: Example) -> Any:
    """Return the RGB image of an example that could be read before; raise InputError if it no longer can."""
    try:
        photo = decode_photo(example.name, example.read())
    except OSError as error:
        photo = Skipped(example.name, str(error.strerror))
    if isinstance(photo, Skipped):
        raise InputError(
            f"{photo.name} can no longer be read: {photo.reason}", mend="bring it back; --resume goes on from there"
        )
    return photo.image


def validation_batches(examples: Sequence[Example], record: Preprocessing, batch_size: int) -> Any:
    """Return the tf.data.Dataset of the deployed crops, pixels [B, side, side, 3] uint8, in the examples' order."""

    def row(index: Any) -> Any:
        pixels = tf.numpy_function(
            lambda place: crop_photo(read_image(examples[int(place)]), record), [index], PIXELS, stateful=False
        )
        return tf.ensure_shape(pixels, (record.side_px, record.side_px, 3))

    indices = tf.data.Dataset.range(len(examples))
    images = indices.map(row, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)
