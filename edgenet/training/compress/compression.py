"""The compression of one stage: its variables beside the network's, what changes them, and what is deployed of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet.training.average import WeightAverage
from edgenet.training.compress.clusters import first_centroids, nearest
from edgenet.training.compress.quantizers import KernelRules
from edgenet.training.compress.ramp import Ramp, make_ramp
from edgenet.training.compress.rules import make_rules
from edgenet.training.compress.sparsity import grouped_mask, magnitude_mask, zero_share
from edgenet.training.compress.tensors import compressible
from edgenet.training.compress.wrap import own_weights, with_rounded_sigmoid, wrapped
from edgenet.training.draws import Draws
from edgenet.training.plan import Stage, compression_begins
from edgenet.training.session import Session
from edgenet.training.state import Arrays, assign
from edgenet.weights.learned_ranges import Ranges

Tensor = Any
Floats = NDArray[np.float32]


class Compression:
    """What a stage does beside training, to be made under its strategy's scope before its network.

    No tf.Module: Keras would count the variables among the weights of the network that holds this.
    """

    def __init__(self, session: Session, stage: Stage, draws: Draws, epoch_steps: int) -> None:
        self._session, self._stage = session, stage
        warmup = session.recipe.schedule.warmup_epochs
        begins = compression_begins(session.recipe)
        self._first_steps = {name: (epoch - warmup) * epoch_steps for name, epoch in begins.items()}
        self._rules = make_rules(
            session.architecture(stage.side_px), session.weights.preprocessing, session.recipe.compress,
            stage.compress, self._first_steps.get("qat", 0), draws,
        )  # fmt: skip
        self.ramp = self._ramp(epoch_steps) if "prune" in stage.compress else None

    def _ramp(self, epoch_steps: int) -> Ramp | None:
        recipe, schedule = self._session.recipe.compress, self._session.recipe.schedule
        if recipe.prune == "2:4":
            return None
        epochs = schedule.epochs // len(recipe.techniques) or 1
        tensors = self._session.weights.tensors
        zeros = zero_share([tensors[f"{layer.name}.weight"] for layer in compressible(self._session.architecture())])
        return make_ramp(zeros, float(recipe.prune), round(epochs * recipe.ramp_share * epoch_steps))

    def replaced(self, layer: Any) -> Any:
        """Return a fresh layer as this stage needs it."""
        if self._rules.outputs:
            layer = with_rounded_sigmoid(layer)
        return wrapped(layer, self._rules.kernels.get(layer.name), self._rules.outputs.get(layer.name))

    def own_weights(self, model: Any) -> list[Any]:
        """Return the weights of a network of this compression that the plain network has as well, in its order."""
        return own_weights(model)

    def begin_averages(self, decay: float) -> None:
        """Begin the averages of what is trained, once the network is built."""
        self._averages = {
            "centroids": WeightAverage(self.centroids, decay),
            "range": WeightAverage(self._ranges, decay),
        }

    def update_averages(self, step: Tensor) -> None:
        """Move the averages; `step` steps of fine-tuning are done."""
        for name, technique in (("centroids", "cluster"), ("range", "qat")):
            if technique in self._stage.compress:
                self._averages[name].update(step - self._first_steps[technique])

    @property
    def centroids(self) -> list[Any]:
        """Return the variables that the optimizer changes beside the network's."""
        return [rules.clusters.cluster_centroids for rules in self._rules.clustered]

    @property
    def centroid_layers(self) -> list[str]:
        """Return the names of the layers that the centroids belong to."""
        return [rules.layer for rules in self._rules.clustered]

    @property
    def _ranges(self) -> list[Any]:
        return [quantizer.range for quantizer in self._rules.outputs.values()]

    @property
    def groups(self) -> dict[str, list[Any]]:
        """Return the variables that are part of a training's state."""
        averages = {f"{name}_average": average.shadows for name, average in self._averages.items()}
        masks = [rules.mask for rules in self._rules.masked]
        return {"mask": masks, "centroids": self.centroids, "range": self._ranges, **averages}

    def restore(self, arrays: Arrays) -> None:
        """Take up what an earlier stage or an interrupted training has left; begin what is new in this stage."""
        known = {name: rows for name, rows in self.groups.items() if f"{name}/0" in arrays}
        assign(known, arrays)
        if "mask" not in known:
            for rules in self._rules.masked:
                self._begin_mask(rules)
        if "centroids" not in known:
            for rules, shadow in zip(self._rules.clustered, self._averages["centroids"].shadows, strict=True):
                centroids = self._first_centroids(rules)
                rules.clusters.cluster_centroids.assign(centroids)
                shadow.assign(centroids)

    def _begin_mask(self, rules: KernelRules) -> None:
        kernel = rules.kernel.numpy()
        mask = (kernel != 0).astype(np.float32)  # what an earlier run pruned stays so
        rules.mask.assign(mask * grouped_mask(kernel) if self._session.recipe.compress.prune == "2:4" else mask)

    def _first_centroids(self, rules: KernelRules) -> Floats:
        kernel = _masked_kernel(rules)
        count = self._session.recipe.compress.cluster
        return first_centroids(kernel, count) if rules.mask is None else first_centroids(kernel[kernel != 0], count - 1)

    def after_step(self, step: int) -> None:
        """Let zeros grow in number where it is time to; `step` steps of fine-tuning are done."""
        if self.ramp is not None and self.ramp.is_due(step):
            for rules in self._rules.masked:
                rules.mask.assign(magnitude_mask(_masked_kernel(rules), self.ramp.sparsity(step)))

    def is_complete(self, step: int) -> bool:
        """Tell whether all that was asked for is reached after `step` steps of fine-tuning."""
        begun = self._stage.compress == self._session.recipe.compress.techniques
        return begun and (self.ramp is None or step >= self.ramp.steps)

    def deployed(self, weights: Sequence[Floats], model: Any) -> list[Floats]:
        """Return a network's own weights as they are deployed: masked, and moved to the averages of their clusters."""
        places = {id(variable): index for index, variable in enumerate(own_weights(model))}
        result = list(weights)
        for rules in self._rules.masked:
            result[places[id(rules.kernel)]] = weights[places[id(rules.kernel)]] * rules.mask.numpy()
        for rules, shadow in zip(self._rules.clustered, self._averages["centroids"].shadows, strict=True):
            place = places[id(rules.kernel)]
            clustered = nearest(result[place], shadow.numpy())
            result[place] = clustered if rules.mask is None else clustered * rules.mask.numpy()
        return result

    @property
    def learned_ranges(self) -> Ranges:
        """Return the range (low, high) of each tensor, averaged as the weights are."""
        names = [quantizer.tensor for quantizer in self._rules.outputs.values()]
        values = [shadow.numpy() for shadow in self._averages["range"].shadows]
        return {name: (float(ends[0]), float(ends[1])) for name, ends in zip(names, values, strict=True)}


def _masked_kernel(rules: KernelRules) -> Floats:
    kernel = rules.kernel.numpy()
    return np.asarray(kernel if rules.mask is None else kernel * rules.mask.numpy(), np.float32)
