"""Learned rounding: each layer's int8 weights are chosen for what the int8 layers before it really hand on.

Layer by layer in the order of the graph, the weights and the bias are fitted to what the float layer gives for the same
images (least squares, held near the float weights), and rounded so that the errors cancel (`gptq.py`). Calibration
images are all it needs; the file keeps its size and its ops.

Built-in images say how a layer's inputs vary together, and so how errors cancel, but not what drifts on photos: there
each layer is held against its own float weights on the same int8 inputs. (On the 200 photos lite0 then gains 0.7 dB of
logit SQNR; made to follow the float layers on built-in images it would lose 0.6 dB.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.calibration_source import CalibrationSet
from converters.compensate import every_layer
from converters.edit import text
from converters.entry import Entry
from converters.flatbuffer import Model
from converters.quantized_layers import Layer, Op, layers
from converters.repair.batched import Batched
from converters.repair.rounding import learn_steps
from converters.repair.second_moments import Moments, MomentSums
from converters.repair.segments import Stream
from converters.repair.unfused import unfused
from converters.repair.windows import Window, window_of
from edgenet.progress import Report, tracked

PLACES = 64  # of a layer's output that are sampled in each image
DEPTHWISE_PLACES = 24  # a depthwise layer has few weights a channel
LARGEST_INPUTS = 6000  # of one output: the covariance of more takes gigabytes
SAMPLE_BYTES = 400_000_000  # of the float layers' outputs held at a time
MARKED_BYTES = 800_000_000  # of the float layers' whole outputs, in all interpreters


@dataclass(frozen=True)
class Task:
    """A layer to be learned, with all that finds its samples."""

    layer: Layer
    number: int  # among the tasks: draws the sampled places
    operator: int  # index in the quantized model
    source: int  # tensor of the quantized model that the layer reads
    scale: float  # of that tensor
    zero_point: int
    expected: int  # tensor of the unfused float model: the layer's sums
    float_operator: int  # index of the op that fills it
    outputs: int  # channels
    output_size: int  # values of one image
    window: Window
    form: Batched

    @property
    def places(self) -> int:
        """Return how many places of an image are sampled."""
        wanted = DEPTHWISE_PLACES if self.layer.code == Op.DEPTHWISE_CONV_2D else PLACES
        return min(wanted, self.window.places[0] * self.window.places[1])

    def draw(self, image: int) -> NDArray[np.intp]:
        """Return the sampled places of an image."""
        return self.window.draw(self.places, self.number, image)

    def seen(self, image: int, values: NDArray[Any]) -> NDArray[Any]:
        """Return the layer's input [B, P, K] for the sampled places of an image."""
        plane = values.reshape(-1, 1, self.form.inputs) if self.layer.code == Op.FULLY_CONNECTED else values[0]
        return self.form.seen(self.window.patches(plane, self.draw(image), self.zero_point))

    def wanted(self, image: int, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the float layer's output [P, channels] for the sampled places of an image."""
        return np.asarray(values.reshape(-1, self.outputs)[self.draw(image)])


def learn_weights(
    model: Model,
    original: Model,
    images: CalibrationSet,
    entry: Entry,
    report: Report,
    chosen: Callable[[str], bool] = every_layer,
) -> None:
    """Edit the int8 weights and the biases of a w8a8 `model` with int8 ends so that it follows its float `original`.

    `images` are raw pixels [side, side, 3] that `entry` feeds to the float model. Layers that cannot be learned (float
    ones, those that share weights, of unknown form) stay as they are, and so do outputs that nothing better is found
    for. `chosen` tells by the name of its output whether a layer learns. An interrupt leaves the layers up to there
    learned.
    """
    shown, sums = unfused(original)
    tasks = [task for task in find_tasks(model, original, shown, sums) if chosen(task.layer.output_name)]
    floats = Stream(shown, images, len(images), entry)
    quantized = Stream(model, images, len(images), entry)
    groups = list(_groups(tasks, len(images)))
    expected = _expected(floats, groups, len(images))
    for task, outputs in tracked(expected, "learning weights", len(tasks), report):
        quantized.advance(task.operator)
        moments = _moments(task, quantized, outputs)
        _learn(task, _with_own_outputs(task, moments) if images.manifest.kind == "builtin" else moments)


def _expected(
    floats: Stream, groups: list[list[Task]], images: int
) -> Iterator[tuple[Task, NDArray[np.float32]]]:  # fmt: skip
    """Yield each task with the float layer's sampled outputs [images, P, channels]."""
    for group in groups:
        floats.advance(group[0].float_operator)
        samples = [np.empty((images, task.places, task.outputs), dtype=np.float32) for task in group]

        def keep(image: int, seen: list[NDArray[Any]], group: list[Task] = group, samples: list[Any] = samples) -> None:
            for task, sample, values in zip(group, samples, seen, strict=True):
                sample[image] = task.wanted(image, values)

        for _ in floats.look([task.expected for task in group], keep):
            pass
        samples.reverse()
        for task in group:
            yield task, samples.pop()


def _groups(tasks: Sequence[Task], images: int) -> Iterator[list[Task]]:
    """Split the tasks, in order, into groups whose float outputs may be held at a time."""
    group: list[Task] = []
    sampled = marked = 0
    for task in tasks:
        sampled += 4 * images * task.places * task.outputs
        marked += 4 * task.output_size
        if group and (sampled > SAMPLE_BYTES or marked > MARKED_BYTES):
            yield group
            group, sampled, marked = [], 4 * images * task.places * task.outputs, 4 * task.output_size
        group.append(task)
    if group:
        yield group


def _moments(task: Task, quantized: Stream, outputs: NDArray[np.float32]) -> Moments:
    batches, channels, inputs = task.form.weights(task.layer.original).shape
    sums = MomentSums(batches, channels, inputs)
    for image, seen in enumerate(quantized.look([task.source], lambda image, seen: task.seen(image, seen[0]))):
        sums.add(seen, task.form.outputs(outputs[image]))
    return sums.moments()


def _with_own_outputs(task: Task, moments: Moments) -> Moments:
    """Return the moments with what the float weights give for the same inputs in place of the float layer's outputs."""
    layer = task.layer
    weights = task.form.weights(layer.original).astype(np.float64) * task.scale  # a step of the input
    real = moments.input_mean - task.zero_point
    mean = (weights @ real[:, :, np.newaxis])[:, :, 0]
    if layer.original_bias is not None:
        mean += layer.original_bias.reshape(mean.shape)
    return replace(moments, cross=weights @ moments.gram, output_mean=mean)


def _learn(task: Task, moments: Moments) -> None:
    layer, form = task.layer, task.form
    steps = form.weights(layer.weight_steps).astype(np.float64)
    scales = form.weights(np.broadcast_to(layer.weight_scales, layer.original.shape))[:, :, :1]
    if layer.code != Op.FULLY_CONNECTED:
        wanted = form.weights(layer.original) / scales
        steps = learn_steps(moments, wanted, steps, scales * task.scale)
        layer.store_weight(form.own(steps))
    real = moments.input_mean - task.zero_point  # [B, K], in steps
    sums = (steps @ real[:, :, np.newaxis])[:, :, 0] * scales[:, :, 0] * task.scale
    layer.store_bias(np.round((moments.output_mean - sums).reshape(-1) / layer.bias_scales))


def find_tasks(model: Model, original: Model, shown: Model, sums: dict[str, int]) -> Iterator[Task]:
    """Yield the layers of `model` that can be learned, in the order of its ops; `shown`, `sums`: see `unfused`."""
    graph = model.subgraphs[0]
    by_name = {text(graph.tensors[row.outputs[0]].name): number for number, row in enumerate(graph.operators)}
    filled = {int(row.outputs[0]): number for number, row in enumerate(shown.subgraphs[0].operators)}
    alone = _read_once(model)
    number = 0
    for layer in layers(model, original):
        operator = graph.operators[by_name[layer.output_name]]
        source = graph.tensors[operator.inputs[0]]
        constants = [int(tensor) for tensor in operator.inputs[1:3]]
        if layer.output_name not in sums or layer.bias is None or not alone.issuperset(constants):
            continue
        expected = shown.subgraphs[0].tensors[sums[layer.output_name]]
        form = Batched(layer.code, layer.original.shape, int(source.shape[-1]))
        if source.type != schema.TensorType.INT8 or not _fits(form, list(source.shape), list(expected.shape)):
            continue
        yield Task(
            layer=layer,
            number=number,
            operator=by_name[layer.output_name],
            source=int(operator.inputs[0]),
            scale=float(source.quantization.scale[0]),
            zero_point=int(source.quantization.zeroPoint[0]),
            expected=sums[layer.output_name],
            float_operator=filled[sums[layer.output_name]],
            outputs=int(expected.shape[-1]),
            output_size=int(np.prod(expected.shape)),
            window=window_of(layer.code, operator, list(source.shape), layer.original.shape, list(expected.shape)),
            form=form,
        )
        number += 1


def _fits(form: Batched, source: list[int], output: list[int]) -> bool:
    """Return whether shapes are those of a layer that is known here: one image, no groups of channels."""
    if form.inputs > LARGEST_INPUTS:
        return False
    if form.code == Op.FULLY_CONNECTED:
        return int(np.prod(source)) % form.shape[1] == 0
    if len(source) != 4 or source[0] != 1:
        return False
    if form.code == Op.DEPTHWISE_CONV_2D:
        return form.shape[3] == output[-1] and form.shape[3] % source[3] == 0
    return form.shape[3] == source[3]


def _read_once(model: Model) -> set[int]:
    """Return the tensors that one op reads and that share their data with no other tensor."""
    graph = model.subgraphs[0]
    readers = Counter(int(tensor) for operator in graph.operators for tensor in operator.inputs)
    buffers = Counter(tensor.buffer for tensor in graph.tensors)
    return {
        tensor
        for tensor, row in enumerate(graph.tensors)
        if readers[tensor] == 1 and buffers[row.buffer] == 1
    }  # fmt: skip
