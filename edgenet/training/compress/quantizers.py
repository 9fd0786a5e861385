"""What a compressed layer does to its kernel and its output, as quantizers of tensorflow-model-optimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgenet.trained_steps import LARGEST_STEP
from edgenet.training.compress.library import tfmot
from edgenet.training.draws import Draws

Tensor = Any
RANGE_MEMORY = 0.99  # of a range's moving average; it begins with the extremes of the first batch
TINY = 1e-6  # a tensor that is always 0 needs some scale
SIGMOID_HIGH = 255 / 256  # TFLite's 8-bit specification: LOGISTIC has scale 1/256, zero point -128


def local_variable(value: Tensor, name: str) -> Any:
    """Return a variable of which each replica has a copy: all compute the same values for it, so nothing is sent."""
    return tf.Variable(
        value,
        trainable=False,
        name=name,
        dtype=tf.float32,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


class SortedClustering(tfmot.clustering.keras.ClusteringAlgorithm):  # type: ignore[misc]  # the library has no types
    """The library's clusters with their gradients; it compares each weight with each centroid, this one searches."""

    def get_pulling_indices(self, weight: Tensor, centroids: Tensor = None) -> Tensor:
        """Return the index of the nearest centroid of each weight, in the weight's shape."""
        centroids = tf.convert_to_tensor(self.cluster_centroids if centroids is None else centroids)
        order = tf.argsort(centroids, stable=True)
        rising = tf.gather(centroids, order)
        places = tf.searchsorted((rising[1:] + rising[:-1]) / 2, tf.reshape(weight, [-1]))
        return tf.reshape(tf.gather(order, places), tf.shape(weight))


@dataclass
class KernelRules:
    """What is done to the kernel of one layer; variables are None where that is not done."""

    layer: str
    attribute: str  # of the Keras layer
    kernel: Any = None  # the trained variable, known when the layer is built
    mask: Any = None
    clusters: Any = None  # SortedClustering
    rounded: bool = False
    one_scale: bool = False
    input_std: tuple[float, ...] = ()  # of a stem that divides its input channels in the file

    @property
    def does_something(self) -> bool:
        """Tell whether the kernel is not used as it is."""
        return self.rounded or self.mask is not None or self.clusters is not None


class KernelQuantizer(tfmot.quantization.keras.quantizers.Quantizer):  # type: ignore[misc]  # the library has no types
    """Mask, cluster and round a kernel, gradients passing through the last two."""

    def __init__(self, rules: KernelRules) -> None:
        self._rules = rules

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Add no variable to the layer: those of the rules belong to the training."""
        return {}

    def __call__(self, inputs: Tensor, training: bool, weights: dict[str, Any], **kwargs: Any) -> Tensor:
        """Return the kernel that the layer computes with."""
        rules, kernel = self._rules, tf.convert_to_tensor(inputs)
        mask = None if rules.mask is None else tf.convert_to_tensor(rules.mask)
        kernel = kernel if mask is None else kernel * mask
        if rules.clusters is not None:
            kernel = rules.clusters.get_clustered_weight(rules.clusters.get_pulling_indices(kernel), kernel)
            kernel = kernel if mask is None else kernel * mask
        return _rounded(kernel, rules) if rules.rounded else kernel

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a run keeps its recipe, from which the layer is built again."""
        return {}


def _rounded(kernel: Tensor, rules: KernelRules) -> Tensor:
    """Round a Keras kernel [kH, kW, I, O], depthwise [kH, kW, C, 1] or [I, O] to steps of its channels' scales."""
    divisor = tf.reshape(tf.constant(rules.input_std), (1, 1, -1, 1)) if rules.input_std else 1.0
    channel = len(kernel.shape) - (2 if rules.attribute == "depthwise_kernel" else 1)
    others = [axis for axis in range(len(kernel.shape)) if rules.one_scale or axis != channel]
    kernel = kernel / divisor
    scale = tf.reduce_max(tf.abs(tf.stop_gradient(kernel)), others, keepdims=True) / LARGEST_STEP
    scale = tf.where(scale > 0, scale, 1.0)
    return tf.grad_pass_through(lambda values: tf.round(values / scale) * scale)(kernel) * divisor


class ActivationQuantizer(tfmot.quantization.keras.quantizers.Quantizer):  # type: ignore[misc]  # the library has no types
    """Round a tensor to the 256 steps of a range that follows the extremes of the batches, within limits."""

    def __init__(self, tensor: str, low: float, high: float, first_step: int, draws: Draws | None) -> None:
        self.tensor, self._low, self._high, self._first_step, self._draws = tensor, low, high, first_step, draws
        self.range = local_variable([-1.0, 1.0], f"{tensor}/range")  # (low, high)

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Add no variable to the layer: the range belongs to the training."""
        return {}

    def __call__(self, inputs: Tensor, training: bool, weights: dict[str, Any], **kwargs: Any) -> Tensor:
        """Return the rounded tensor; in training its range takes in this batch first."""
        ends = tf.convert_to_tensor(self.range)
        if training and self._draws is not None:
            ends = self._followed(ends, inputs, self._draws)
            self.range.assign(ends)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, ends[0], ends[1])

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a run keeps its recipe, from which the layer is built again."""
        return {}

    def _followed(self, ends: Tensor, inputs: Tensor, draws: Draws) -> Tensor:
        extremes = tf.stack([-tf.reduce_min(inputs), tf.reduce_max(inputs)])
        context = tf.distribute.get_replica_context()
        if draws.replicas > 1 and context is not None:  # those of the global batch, or more devices would differ
            extremes = tf.reduce_max(context.all_gather(extremes[tf.newaxis], axis=0), axis=0)
        # 0 is among the steps: padding needs it.
        low = tf.maximum(tf.minimum(-extremes[0], -TINY), self._low)
        high = tf.minimum(tf.maximum(extremes[1], TINY), self._high)
        steps = tf.cast(draws.step - self._first_step if draws.step is not None else 0, tf.float32)
        memory = tf.minimum(RANGE_MEMORY, steps / (steps + 9))
        return memory * ends + (1 - memory) * tf.stop_gradient(tf.stack([low, high]))


def rounded_sigmoid(values: Tensor) -> Tensor:
    """Return sigmoid(x) in the steps that the 8-bit op has."""
    return tf.quantization.fake_quant_with_min_max_args(tf.sigmoid(values), 0.0, SIGMOID_HIGH)


def rounded_swish(values: Tensor) -> Tensor:
    """Return x * sigmoid(x) with the sigmoid in steps: two ops of the file."""
    return values * rounded_sigmoid(values)


def clustering(count: int, name: str) -> SortedClustering:
    """Return clusters around `count` centroids that are trained, to be made under the training's strategy."""
    return SortedClustering(tf.Variable(tf.zeros(count), trainable=True, name=name, dtype=tf.float32))
