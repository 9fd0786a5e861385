"""From stage to stage: train, validate, save, and go on exactly where a training was left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from edgenet.atomic import write_files
from edgenet.network import build_network, load_weights_into, weights_from
from edgenet.training.callbacks import Logs
from edgenet.training.compress.tensors import compressible
from edgenet.training.evaluate import Evaluation, Evaluator, float32_layers
from edgenet.training.interrupt import Interrupt
from edgenet.training.pipeline import TrainingData
from edgenet.training.session import Session
from edgenet.training.stage_run import StageRun
from edgenet.training.state import (
    BEST_NAME,
    CHECKPOINT_NAME,
    CONFUSION,
    Arrays,
    EpochRecord,
    ProgressRecord,
    pack_state,
)
from edgenet.training.tensorboard import EpochLog
from edgenet.weights.learned_ranges import RANGES_NAME, Ranges, pack_ranges


class Loop:
    """A session's training from `progress` on."""

    def __init__(self, session: Session, progress: ProgressRecord | None, arrays: Arrays) -> None:
        self._session = session
        recipe = session.recipe
        examples = [row.example for row in session.split.train]
        self._data = TrainingData(examples, session.seed, recipe.schedule.batch_size)
        with float32_layers():  # as deployed, whatever is trained in
            self._network = build_network(session.architecture(), convention=session.weights.convention)
        load_weights_into(self._network, session.architecture(), session.weights)
        self._evaluate = self._evaluator(self._network)
        self._evaluate_rounded = self._evaluator(_rounded(session)) if recipe.compress.qat else None
        self.progress = progress or ProgressRecord(epoch=0, step=0, history=())
        self._arrays = arrays if progress else first_values(self._network.get_weights())
        self.confusion = self._arrays.get(CONFUSION, np.zeros(0, np.int64))  # of the best epoch
        self._log = EpochLog(session.out)
        self._interrupt = Interrupt()

    def _evaluator(self, network: tf_keras.Model) -> Evaluator:
        session = self._session
        examples = [row.example for row in session.split.val]
        batch_size = session.recipe.schedule.batch_size
        return Evaluator(network, examples, session.weights.preprocessing, batch_size, session.devices)

    def run(self) -> None:
        """Train to the end; raise KeyboardInterrupt after an interrupt, with the state saved."""
        # One worker alone cannot stop: the others would wait for it for ever. Their epochs are saved all the same.
        alone = self._session.devices.workers == 1
        with self._interrupt.watched() if alone else nullcontext():
            while self.progress.epoch < self._session.epochs and not self._is_enough():
                self._run_stage()

    def _run_stage(self) -> None:
        stage = StageRun(self._session, self._data, self.progress, self._arrays)

        def finish(epoch: int, logs: Logs, duration_s: float) -> bool:
            self._finish_epoch(stage, epoch, logs, duration_s)
            return self._interrupt.wanted or self._is_enough()

        try:
            step = stage.fit(self._interrupt, finish)
        except tf.errors.OpError as error:
            raise self._data.failure or error from None
        if self._interrupt.wanted:
            if step:
                self.progress = self.progress.model_copy(update={"step": step})
                self._save({**stage.state(in_epoch=True), CONFUSION: self.confusion}, best=False)
            raise KeyboardInterrupt

    def _finish_epoch(self, stage: StageRun, epoch: int, logs: Logs, duration_s: float) -> None:
        weights, ranges = stage.deployed, stage.learned_ranges
        result = self._judged(weights, ranges)
        row = EpochRecord(
            epoch=epoch + 1,
            stage=stage.stage.name,
            side_px=stage.stage.side_px,
            learning_rate=float(stage.model.optimizer.learning_rate.numpy()),
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=result.loss,
            val_accuracy=result.accuracy,
            duration_s=round(duration_s, 3),
            complete=stage.is_complete,
        )
        self.progress = ProgressRecord(epoch=epoch + 1, step=0, history=(*self.progress.history, row))
        is_best = self.progress.best == row
        if is_best:
            self.confusion = result.confusion
        self._arrays = {**stage.state(in_epoch=False), CONFUSION: self.confusion}
        self._network.set_weights(weights)
        self._save(self._arrays, best=is_best, ranges=ranges)
        if self._session.devices.is_chief:
            self._log.write(row)
            self._session.say(_told(row, self._session.epochs))

    def _judged(self, weights: list[NDArray[Any]], ranges: Ranges) -> Evaluation:
        """Validate as deployed: rounded to 8-bit steps once that is what is trained."""
        if not ranges or self._evaluate_rounded is None:
            return self._evaluate(weights)
        return self._evaluate_rounded([*weights, *(np.asarray(ends, np.float32) for ends in ranges.values())])

    def _save(self, arrays: Arrays, *, best: bool, ranges: Ranges | None = None) -> None:
        """Write the state, behind the best weights: whoever is killed in between repeats the epoch and both again."""
        from safetensors.numpy import save

        if not self._session.devices.is_chief:
            return
        out = self._session.out
        weights = weights_from(self._network, self._session.architecture()) if best else {}
        files = {out / BEST_NAME: bytes(save(weights))} if best else {}
        if best and ranges:
            files[out / RANGES_NAME] = pack_ranges(ranges, one_scale_layers(self._session))
        write_files({**files, out / CHECKPOINT_NAME: pack_state(self.progress, arrays)})

    def _is_enough(self) -> bool:
        """Tell whether the last stage has gone on for long enough without a better validation."""
        best = self.progress.best
        if best is None:
            return False
        last = self._session.stages[-1]
        waited = self.progress.epoch - max(best.epoch, last.first_epoch)
        return waited >= self._session.recipe.schedule.patience_epochs


def _rounded(session: Session) -> tf_keras.Model:
    """Return the network in 8-bit steps; its library is loaded for those who train it alone."""
    from edgenet.training.compress.rounded_network import rounded_network

    weights, clustered = session.weights, session.recipe.compress.cluster > 0
    with float32_layers():
        return rounded_network(session.architecture(), weights.preprocessing, weights.convention, clustered=clustered)


def one_scale_layers(session: Session) -> list[str]:
    """Return the layers whose channels share the scale of their weights, so that clusters stay clusters."""
    return [layer.name for layer in compressible(session.architecture())] if session.recipe.compress.cluster else []


def first_values(weights: Sequence[NDArray[np.float32]]) -> Arrays:
    """Return the state of a training that begins with these weights."""
    return {f"{group}/{index}": value for group in ("model", "average") for index, value in enumerate(weights)}


def _told(row: EpochRecord, epochs: int) -> str:
    return (
        f"epoch {row.epoch}/{epochs}, {row.stage} at {row.side_px} px: loss {row.loss:.4f}, "
        f"validation loss {row.val_loss:.4f}, top-1 {100 * row.val_accuracy:.1f} %, {row.duration_s:.1f} s"
    )
