"""A TensorBoard log of each epoch; tf_keras' callback would need the tensorboard package only to write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from edgenet.training.state import EpochRecord

FOLDER = "tensorboard"
SCALARS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "side_px", "duration_s")


class EpochLog:
    """Writes one point a curve and epoch; the file is made with the first."""

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        self._writer: Any = None

    def write(self, row: EpochRecord) -> None:
        """Add an epoch's points and send them to the disk."""
        self._writer = self._writer or tf.summary.create_file_writer(str(self._folder))
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        )
        with self._writer.as_default():
            for name in SCALARS:
                value = tf.constant(float(getattr(row, name)))
                tf.summary.write(f"epoch_{name}", value, step=row.epoch, metadata=metadata)
        self._writer.flush()
