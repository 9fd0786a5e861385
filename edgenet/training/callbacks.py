"""What happens beside the training steps: progress, numbers that blow up, interrupts, and the end of each epoch."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import tf_keras

from edgenet.errors import GateFailed
from edgenet.progress import Report
from edgenet.training.interrupt import Interrupt

Logs = dict[str, float]


class Watch(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
    """Report each step, stop where the loss is no number, and stop between steps when an interrupt came."""

    def __init__(
        self, interrupt: Interrupt, report: Report, steps: int, epochs: int, first_step: int, pending: list[Any]
    ) -> None:
        super().__init__()
        self._interrupt, self._report, self._steps, self._epochs = interrupt, report, steps, epochs
        self._pending = pending  # (metric variable, value) of an epoch that goes on in its middle
        self._first_step = self.step = first_step  # steps of this epoch that are done
        self._began_s = 0.0
        self._epoch = 0

    @property
    def stopped(self) -> bool:
        """Tell whether the epoch was left in its middle."""
        return self.step < self._steps

    @property
    def duration_s(self) -> float:
        """Return the time since the epoch, or what is left of it, began."""
        return time.monotonic() - self._began_s

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin an epoch; Keras has just reset the metrics."""
        self._epoch, self._began_s, self.step = epoch, time.monotonic(), self._first_step
        for variable, value in self._pending:
            variable.assign(value)
        self._tell()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at one step; `batch` counts within the call to fit."""
        self.step += 1
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            kept = f"the checkpoint of epoch {self._epoch} is kept" if self._epoch else "nothing was saved yet"
            raise GateFailed(
                f"the loss is {loss} at step {self.step} of {self._steps} in epoch {self._epoch + 1}; {kept}",
                mend="train again with a smaller schedule.peak_rate or head_rate in the recipe",
            )
        self._tell()
        if self._interrupt.wanted and self.stopped:  # after the last step the epoch is finished first
            self.model.stop_training = True

    def _tell(self) -> None:
        self._report("training", self._epoch * self._steps + self.step, self._epochs * self._steps)


def _is_no_warning_of_slow_callbacks(record: logging.LogRecord) -> bool:
    return "is slow compared to the batch time" not in record.getMessage()


class AfterStep(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
    """Hand the number of steps that the optimizer has done to `act` after each."""

    def __init__(self, act: Callable[[int], None]) -> None:
        super().__init__()
        self._act = act

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Silence Keras' warning of callbacks that are slower than a step: what is done here belongs to the step."""
        logging.getLogger("tensorflow").addFilter(_is_no_warning_of_slow_callbacks)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Act after one step; `batch` counts within the call to fit."""
        self._act(int(self.model.optimizer.iterations.numpy()))


class EpochEnd(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
    """Hand each whole epoch to `finish`, which tells whether to stop."""

    def __init__(self, watch: Watch, finish: Callable[[int, Logs, float], bool]) -> None:
        super().__init__()
        self._watch, self._finish = watch, finish

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Finish an epoch that was not left in its middle."""
        if not self._watch.stopped and self._finish(epoch, logs or {}, self._watch.duration_s):
            self.model.stop_training = True
