"""One stage, ready to run: network, average and optimizer with their values, and the batches from any step on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tf_keras
from numpy.typing import NDArray

from edgenet.training.augment import Augmentation
from edgenet.training.average import WeightAverage
from edgenet.training.callbacks import AfterStep, EpochEnd, Logs, Watch
from edgenet.training.draws import Draws
from edgenet.training.interrupt import Interrupt
from edgenet.training.network import class_weights, make_network, stage_mixing
from edgenet.training.optimizer import make_optimizer, optimizer_variables
from edgenet.training.pipeline import TrainingData
from edgenet.training.plan import Stage, stage_of
from edgenet.training.session import Session
from edgenet.training.state import Arrays, ProgressRecord, assign, variables_of
from edgenet.weights.learned_ranges import Ranges

if TYPE_CHECKING:
    from edgenet.training.compress.compression import Compression


class StageRun:
    """The stage of a session that the next step belongs to."""

    def __init__(self, session: Session, data: TrainingData, progress: ProgressRecord, arrays: Arrays) -> None:
        self._session, self._data, self._progress = session, data, progress
        self.stage = stage_of(session.stages, progress.epoch)
        with session.devices.strategy.scope():
            self._build()
        self._restore(arrays)
        self._pending = [
            (variable, arrays[f"metrics/{index}"])
            for index, variable in enumerate(self._metric_variables)
            if progress.step
        ]

    def _build(self) -> None:
        session, recipe = self._session, self._session.recipe
        architecture = session.architecture(self.stage.side_px)
        rows = recipe.schedule.batch_size // session.devices.replicas
        draws = Draws(session.seed, session.devices.replicas, rows)
        self.compression = make_compression(session, self.stage, draws, self._data.steps)
        self.model = make_network(architecture, session.weights.convention, recipe, self.stage, draws, self.compression)
        self.average = WeightAverage(self._weights, recipe.schedule.average_decay)
        weights = class_weights(session.split.counts, recipe.schedule.class_weights)
        mixing = stage_mixing(recipe, self.stage)
        self.model.prepare(session.weights.preprocessing, weights, mixing, draws, self.average, self.compression)
        centroid_layers: list[str] = []
        if self.compression:
            self.compression.begin_averages(recipe.schedule.average_decay)
            centroid_layers = self.compression.centroid_layers
        optimizer = make_optimizer(
            self.model, architecture, recipe.schedule, self.stage, self._data.steps, centroid_layers
        )
        optimizer.build(self.model.trainable_variables)
        loss = tf_keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.schedule.label_smoothing
        )
        self.model.compile(optimizer, loss, metrics=[tf_keras.metrics.CategoricalAccuracy(name="accuracy")])
        # Keras makes a metric's variables with its first batch: too late to restore them.
        self._build_metrics()

    def _build_metrics(self) -> None:
        import tensorflow as tf

        classes = tf.zeros((2, self._session.weights.num_classes))
        self.model.compiled_loss.build(classes)
        self.model.compiled_metrics.build(classes, classes)

    @property
    def _metric_variables(self) -> list[Any]:
        return [variable for metric in self.model.metrics for variable in metric.variables]

    def _restore(self, arrays: Arrays) -> None:
        assign({"model": self._weights, "average": self.average.shadows}, arrays)
        if self.compression:
            self.compression.restore(arrays)
        if "optimizer/0" not in arrays:
            return
        # Fine-tuning is one schedule over all its stages; the frozen backbone's had another.
        made_by = stage_of(self._session.stages, self._progress.epoch - (0 if self._progress.step else 1))
        if made_by.frozen == self.stage.frozen:
            variables = optimizer_variables(self.model.optimizer)
            if made_by.compress != self.stage.compress:  # what is new in this stage comes last, and has no history
                variables = [row for index, row in enumerate(variables) if f"optimizer/{index}" in arrays]
            assign({"optimizer": variables}, arrays)

    def state(self, *, in_epoch: bool) -> Arrays:
        """Return every value that the next step depends on."""
        groups = {
            "model": self._weights,
            "average": self.average.shadows,
            "optimizer": optimizer_variables(self.model.optimizer),
            **(self.compression.groups if self.compression else {}),
        }
        return variables_of({**groups, "metrics": self._metric_variables} if in_epoch else groups)

    @property
    def _weights(self) -> list[Any]:
        """Return the variables that the deployed network has as well, in its order."""
        return self.model.weights if self.compression is None else self.compression.own_weights(self.model)

    @property
    def deployed(self) -> list[NDArray[Any]]:
        """Return the weights that are validated and kept, in the deployed network's order."""
        values = [shadow.numpy() for shadow in self.average.shadows]
        return values if self.compression is None else self.compression.deployed(values, self.model)

    @property
    def learned_ranges(self) -> Ranges:
        """Return the range of each activation by the name of its tensor; none where activations are not rounded."""
        return {} if self.compression is None else self.compression.learned_ranges

    @property
    def is_complete(self) -> bool:
        """Tell whether the network is compressed as far as the recipe says."""
        if self.compression is None:
            return not self._session.recipe.compress.techniques
        return self.compression.is_complete(int(self.model.optimizer.iterations.numpy()))

    def fit(self, interrupt: Interrupt, finish: Callable[[int, Logs, float], bool]) -> int:
        """Train to the stage's end or until told to stop; return the steps that an interrupted epoch has done, or 0."""
        epoch, step = self._progress.epoch, self._progress.step
        if step:
            watch = self._fit(epoch, epoch + 1, step, interrupt, finish)
            if watch.stopped or self.model.stop_training:
                return watch.step if watch.stopped else 0
            epoch += 1
        if epoch == self.stage.end_epoch:
            return 0
        watch = self._fit(epoch, self.stage.end_epoch, 0, interrupt, finish)
        return watch.step if watch.stopped else 0

    def _fit(
        self, epoch: int, end_epoch: int, step: int, interrupt: Interrupt, finish: Callable[[int, Logs, float], bool]
    ) -> Watch:
        session, steps = self._session, self._data.steps
        watch = Watch(interrupt, session.report, steps, session.epochs, step, self._pending if step else [])
        settings = stage_augmentation(session, self.stage)
        rows = session.devices.rows(session.recipe.schedule.batch_size)
        batches = session.devices.strategy.distribute_datasets_from_function(
            lambda context: self._data.batches(epoch * steps + step, end_epoch * steps, rows, settings)
        )
        self.model.fit(
            batches,
            epochs=end_epoch,
            initial_epoch=epoch,
            steps_per_epoch=steps - step,
            verbose=0,
            callbacks=[*self._after_step, watch, EpochEnd(watch, finish)],
        )
        return watch

    @property
    def _after_step(self) -> list[AfterStep]:
        return [] if self.compression is None else [AfterStep(self.compression.after_step)]


def make_compression(session: Session, stage: Stage, draws: Draws, epoch_steps: int) -> Compression | None:
    """Return the compression of a stage, if it compresses: only then is its library loaded."""
    if not stage.compress:
        return None
    from edgenet.training.compress.compression import Compression

    return Compression(session, stage, draws, epoch_steps)


def stage_augmentation(session: Session, stage: Stage) -> Augmentation:
    """Return what a stage does to its images."""
    augment = session.recipe.augment
    return Augmentation(
        side_px=stage.side_px,
        interpolation=session.weights.preprocessing.interpolation,
        smallest_area=augment.smallest_area,
        flip=augment.flip,
        policy=augment.policy,
        operations=augment.operations,
        magnitude=augment.magnitude * stage.strength,
    )
