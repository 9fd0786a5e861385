"""The network as it is trained: the deployed one with repeatable dropout, mixing, soft targets and a moving average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tf_keras

from edgenet.layers import Architecture
from edgenet.network import build_network
from edgenet.preprocessing import Preprocessing
from edgenet.training.average import WeightAverage
from edgenet.training.draws import Draws, SeededDropout
from edgenet.training.mixing import Mixing
from edgenet.training.plan import Stage
from edgenet.training.recipe import Recipe
from edgenet.weights.record import Convention

if TYPE_CHECKING:
    from edgenet.training.compress.compression import Compression

Tensor = Any


class TrainingNetwork(tf_keras.Model):  # type: ignore[misc]  # tf_keras has no types
    """A network that takes raw pixels and class indices in training; called, it takes normalized images."""

    only_layer = ""  # the one layer that is trained; "": all are
    _compression: Compression | None = None

    @property
    def trainable_variables(self) -> list[Any]:
        """Return the variables that a step changes.

        A layer's own `trainable = False` would also make its batch norm use ImageNet's statistics, so that the
        classifier learned on features that fine-tuning, with those of the batch, does not give.
        """
        if self.only_layer:
            return list(self.get_layer(self.only_layer).trainable_variables)
        return [*super().trainable_variables, *(self._compression.centroids if self._compression else ())]

    def prepare(
        self,
        preprocessing: Preprocessing,
        class_weights: Sequence[float],
        mixing: Mixing,
        draws: Draws,
        average: WeightAverage,
        compression: Compression | None = None,
    ) -> None:
        """Give the network what a training step needs beside the optimizer."""
        self._compression = compression
        self._mean, self._std = (tf.constant(values, tf.float32) for values in (preprocessing.mean, preprocessing.std))
        self._class_weights = tf.constant(class_weights, tf.float32)
        self._mixing, self._draws, self.average = mixing, draws, average

    def train_step(self, data: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Train on one batch of (pixels [B, side, side, 3] uint8, labels [B])."""
        pixels, labels = data
        step = self.optimizer.iterations
        self._draws.step = tf.convert_to_tensor(step)
        images = (tf.cast(pixels, tf.float32) - self._mean) / self._std
        targets = tf.one_hot(labels, len(self._class_weights))
        images, targets = self._mixing(images, targets, self._draws)
        weights = tf.linalg.matvec(targets, self._class_weights)
        logs: dict[str, Tensor] = super().train_step((images, targets, weights))
        self.average.update(self._draws.step)
        if self._compression:
            self._compression.update_averages(self._draws.step)
        return logs


def make_network(
    architecture: Architecture,
    convention: Convention,
    recipe: Recipe,
    stage: Stage,
    draws: Draws,
    compression: Compression | None = None,
) -> TrainingNetwork:
    """Build the network of a stage; a frozen backbone has no stochastic depth, and its statistics adapt."""

    def trained(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if isinstance(layer, tf_keras.layers.Dropout):
            is_branch = layer.name.endswith(".drop")
            rate = 0.0 if is_branch and stage.frozen else layer.rate * (1 if is_branch else stage.strength)
            return SeededDropout(rate, tuple(layer.output.shape[1:]) if not is_branch else (1, 1, 1), draws, layer.name)
        settings = layer.get_config()
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            settings["momentum"] = recipe.schedule.batch_norm_momentum
            # Statistics of the global batch, or more devices would be another training.
            settings["synchronized"] = draws.replicas > 1
        return type(layer).from_config(settings)

    def replaced(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        return compression.replaced(trained(layer)) if compression else trained(layer)

    plain = build_network(architecture, convention=convention)
    clone = tf_keras.models.clone_model(plain, clone_function=replaced)
    # The loss is computed in float32 even where the layers are not.
    logits = tf_keras.layers.Activation("linear", dtype="float32", name="logits")(clone.output)
    model = TrainingNetwork(clone.input, logits)
    if stage.frozen:
        model.only_layer = architecture.classifier.name
    return model


def stage_mixing(recipe: Recipe, stage: Stage) -> Mixing:
    """Return how much a stage mixes."""
    augment = recipe.augment
    return Mixing(augment.mixup_alpha, augment.cutmix_alpha, augment.mix_share * stage.strength)


def class_weights(counts: Sequence[int], kind: str) -> list[float]:
    """Return a weight for each class; balanced: every class weighs the same in sum, and a mean image weighs 1."""
    if kind == "none":
        return [1.0] * len(counts)
    return [sum(counts) / (len(counts) * count) for count in counts]
