"""AdamW whose learning rate falls with a layer's distance from the classifier, on a cosine over the whole run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tf_keras

from edgenet.layers import Architecture
from edgenet.training.plan import Stage
from edgenet.training.recipe import ScheduleRecipe

Tensor = Any


class DepthAdamW(tf_keras.optimizers.Adam):  # type: ignore[misc]  # tf_keras has no types
    """Adam with decoupled weight decay (arXiv 1711.05101) and a share of the learning rate for each variable."""

    def __init__(self, learning_rate: Any, shares: list[float], weight_decay: float) -> None:
        super().__init__(learning_rate, jit_compile=False)
        self._shares, self._share, self._decay = shares, 1.0, weight_decay

    @property
    def learning_rate(self) -> Any:
        """Return the rate for the variable that is being updated."""
        return super().learning_rate * self._share

    def update_step(self, gradient: Tensor, variable: Any) -> None:
        """Decay and update one variable; vectors (biases and batch norms) do not decay."""
        self._share = self._shares[self._index_dict[self._var_key(variable)]]
        if self._decay and len(variable.shape) > 1:
            variable.assign_sub(variable * (self.learning_rate * self._decay))
        super().update_step(gradient, variable)
        self._share = 1.0


def make_optimizer(
    model: tf_keras.Model,
    architecture: Architecture,
    schedule: ScheduleRecipe,
    stage: Stage,
    epoch_steps: int,
    centroid_layers: Sequence[str] = (),
) -> DepthAdamW:
    """Return the optimizer of a stage; all stages of fine-tuning share one, with one cosine over all their steps.

    `centroid_layers` names the layer of each variable that is trained behind the network's own.
    """
    if stage.frozen:
        return DepthAdamW(schedule.head_rate, [1.0] * len(model.trainable_variables), schedule.weight_decay)
    steps = schedule.epochs * epoch_steps
    ramp = min(round(schedule.ramp_epochs * epoch_steps), steps - 1)
    rate: Any = tf_keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if ramp else schedule.peak_rate,
        decay_steps=steps - ramp,
        alpha=schedule.last_rate_share,
        warmup_target=schedule.peak_rate if ramp else None,
        warmup_steps=ramp,
    )
    shares = depth_shares(model, architecture, schedule.depth_decay, centroid_layers)
    return DepthAdamW(rate, shares, schedule.weight_decay)


def optimizer_variables(optimizer: Any) -> list[Any]:
    """Return every variable that an optimizer's next step depends on; under mixed_float16 the loss scale is one."""
    if not isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer):
        return list(optimizer.variables)
    # Its `variables` are the wrapped optimizer's alone, and its `loss_scale` is a value, not the variable.
    return [*optimizer.variables, optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]


def depth_shares(
    model: tf_keras.Model, architecture: Architecture, decay: float, centroid_layers: Sequence[str] = ()
) -> list[float]:
    """Return the share of the rate of each trainable variable: 1 at the classifier, `decay` less with every block."""
    groups = [(architecture.stem,), *(block.layers for block in architecture.blocks), (architecture.head,)]
    depths = {name: index for index, group in enumerate(groups) for row in group for name in (row.name, row.batch_norm)}
    names = [*(layer.name for layer in model.layers for _ in layer.trainable_variables), *centroid_layers]
    return [decay ** (len(groups) - depths.get(name, len(groups))) for name in names]
