"""Watch what flows through a float .tflite model: exact ranges and histograms of every activation.

Each activation is marked as an output of the graph, which then runs with XNNPACK as usual. That is about ten times as
fast as the converter's calibrator, which runs reference kernels and logs each tensor.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.edit import text
from converters.flatbuffer import Model
from converters.histogram import Histogram
from converters.patterns import activation_tensors, find_sigmoids, find_swishes
from converters.runtime import Runner
from edgenet.errors import InputError

SAMPLED = 2048  # values a tensor and image that enter the histogram; minimum and maximum look at every value
AVERAGED = 8192  # values a tensor and image that enter the means of its channels
FIXED_POINT = 2.0**32  # means are summed as whole numbers of 2**-32: the sum is the same in any order
MEMORY_LIMIT_BYTES = 1_500_000_000  # of marked tensors held at a time; more are watched in several passes


class ChannelMean:
    """The mean of each channel [C] over images, the same whatever the order of the images and threads."""

    def __init__(self) -> None:
        self._sum: NDArray[np.int64] | int = 0
        self._images = 0

    def add(self, mean: NDArray[np.float64]) -> None:
        """Take in the channel means [C] of one image."""
        self._sum = self._sum + np.rint(mean * FIXED_POINT).astype(np.int64)
        self._images += 1

    def merge(self, other: ChannelMean) -> None:
        """Take in what another watcher saw."""
        self._sum = self._sum + other._sum
        self._images += other._images

    @property
    def value(self) -> NDArray[np.float64]:
        """Return the means, [C]."""
        return np.asarray(self._sum, dtype=np.float64) / (FIXED_POINT * self._images)


@dataclass
class Statistics:
    """What one tensor held over all images; `swish_mean` is that of x * sigmoid(x), where that is needed."""

    feeds_swish: bool = False
    minimum: float = math.inf
    maximum: float = -math.inf
    histogram: Histogram = field(default_factory=Histogram)
    mean: ChannelMean = field(default_factory=ChannelMean)
    swish_mean: ChannelMean = field(default_factory=ChannelMean)

    def add(self, values: NDArray[np.float32], stride: int) -> None:
        """Take in one image's tensor [..., C]; `stride` is that of the values which enter the histogram."""
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            low, high = -math.inf, math.inf  # NaN would get lost in the comparisons
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        if math.isinf(high):
            return  # the tensor is refused by name when all images are through
        self.histogram.add(values.reshape(-1)[::stride], max(-low, high))
        places = values.reshape(-1, values.shape[-1])
        some = places[:: _coprime(max(1, values.size // AVERAGED), values.shape[-2] if values.ndim > 2 else 1)]
        self.mean.add(some.mean(axis=0, dtype=np.float64))
        if self.feeds_swish:
            self.swish_mean.add(swish(some.astype(np.float64)).mean(axis=0))

    def merge(self, other: Statistics) -> None:
        """Take in what another watcher saw."""
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        self.histogram.merge(other.histogram)
        self.mean.merge(other.mean)
        if self.feeds_swish:
            self.swish_mean.merge(other.swish_mean)


def swish(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x * sigmoid(x); beyond 60 the sigmoid is 0 or 1 in float64."""
    return np.asarray(x / (1 + np.exp(-np.clip(x, -60, 60))))


@dataclass(frozen=True)
class Observation:
    """What was seen: each activation's statistics by name, and the graph's outputs for the first images."""

    statistics: dict[str, Statistics]
    outputs: tuple[NDArray[np.float32], ...]


def observe(content: bytes, images: Iterable[NDArray[np.float32]], kept: int = 0) -> Observation:
    """Run float `images` [1, H, W, 3] through a float model; keep the outputs of the first `kept` of them.

    Sigmoids and swishes are not watched: what they give follows from what goes in, and they are two thirds of a b7's
    activations.
    `images` is gone through once a pass (one, unless the activations exceed the memory limit): no generator will do.
    Raise InputError if an activation is not finite.
    """
    model = flatbuffer.read(content)
    known = find_swishes(model).keys() | find_sigmoids(model).keys()
    watched = [tensor for tensor in activation_tensors(model) if tensor not in known]
    statistics: dict[str, Statistics] = {}
    outputs: dict[int, NDArray[np.float32]] = {}
    for tensors in _split(model, watched):
        _observe_some(model, tensors, images, kept, statistics, outputs)
    _refuse_infinite(statistics)
    return Observation(statistics, tuple(outputs[number] for number in sorted(outputs)))


def channel_means(model: Model, statistics: dict[str, Statistics]) -> dict[str, NDArray[np.float64]]:
    """Return the mean of each channel [C] of every activation that was watched or is the swish of one, by name."""
    names = [text(tensor.name) for tensor in model.subgraphs[0].tensors]
    means = {name: row.mean.value for name, row in statistics.items()}
    for tensor, source in find_swishes(model).items():
        means[names[tensor]] = statistics[names[source]].swish_mean.value
    return means


def _refuse_infinite(statistics: dict[str, Statistics]) -> None:
    for name, row in statistics.items():
        if not (math.isfinite(row.minimum) and math.isfinite(row.maximum)):
            raise InputError(
                f"tensor {name!r} is not finite ({row.minimum} … {row.maximum}): it has no int8 range",
                mend="check the weights and the preprocessing (edgenet verify on the fp32 file)",
            )


def _split(model: Model, tensors: list[int]) -> Iterator[list[int]]:
    """Split the tensors into groups that fit the memory limit."""
    group: list[int] = []
    size_bytes = 0
    for tensor in tensors:
        tensor_bytes = 4 * math.prod(model.subgraphs[0].tensors[tensor].shape)
        if group and size_bytes + tensor_bytes > MEMORY_LIMIT_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(tensor)
        size_bytes += tensor_bytes
    yield group


def _observe_some(
    model: Model,
    tensors: list[int],
    images: Iterable[NDArray[np.float32]],
    kept: int,
    statistics: dict[str, Statistics],
    outputs: dict[int, NDArray[np.float32]],
) -> None:
    """Make one pass; what its interpreters hold, up to the memory limit, is freed before the next."""
    watchers = _watch(model, tensors, images, kept)
    statistics.update(_merged(model, tensors, watchers))
    for watcher in watchers:
        outputs.update(watcher.outputs)


def _watch(model: Model, tensors: list[int], images: Iterable[NDArray[np.float32]], kept: int) -> list[_Watcher]:
    size_bytes = 4 * sum(math.prod(model.subgraphs[0].tensors[tensor].shape) for tensor in tensors)
    cores = os.cpu_count() or 1
    # Two watchers overlap one's arithmetic with the other's; a network too large for that gets the cores as threads.
    workers = cores if size_bytes * cores <= MEMORY_LIMIT_BYTES else 1
    marked = _marked(model, tensors)
    swished = set(find_swishes(model).values())
    feeds_swish = [tensor in swished for tensor in tensors]
    output = int(model.subgraphs[0].outputs[0])
    place = tensors.index(output) if output in tensors else None
    watchers = [_Watcher(marked, feeds_swish, place, threads=max(1, cores // workers)) for _ in range(workers)]
    shared = _Shared(images)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda watcher: watcher.look_at_all(shared, kept), watchers))
    return watchers


def _merged(model: Model, tensors: list[int], watchers: list[_Watcher]) -> dict[str, Statistics]:
    merged = watchers[0].statistics
    for other in watchers[1:]:
        for mine, theirs in zip(merged, other.statistics, strict=True):
            mine.merge(theirs)
    names = [text(model.subgraphs[0].tensors[tensor].name) for tensor in tensors]
    return dict(zip(names, merged, strict=True))


def _marked(model: Model, tensors: list[int]) -> bytes:
    graph = model.subgraphs[0]
    outputs, signatures = graph.outputs, model.signatureDefs
    graph.outputs, model.signatureDefs = list(tensors), None
    try:
        return flatbuffer.write(model)
    finally:
        graph.outputs, model.signatureDefs = outputs, signatures


class _Shared:
    """Numbered images that several threads take from, each when it is ready for the next."""

    def __init__(self, images: Iterable[NDArray[np.float32]]) -> None:
        self._images, self._lock = enumerate(images), Lock()

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        while True:
            with self._lock:
                row = next(self._images, None)
            if row is None:
                return
            yield row


class _Watcher:
    """One interpreter and what it saw."""

    def __init__(self, marked: bytes, feeds_swish: list[bool], output: int | None, threads: int) -> None:
        self._runner = Runner(marked, threads)
        self._output = output  # which of the marked tensors is the graph's own output
        self.statistics = [Statistics(feeds_swish=feeds) for feeds in feeds_swish]
        self.outputs: dict[int, NDArray[np.float32]] = {}
        self._strides = [_sampling_stride(info.shape) for info in self._runner.outputs]

    def look_at_all(self, images: Iterable[tuple[int, NDArray[np.float32]]], kept: int) -> None:
        """Run what is left of `images`; keep the outputs of those with a number below `kept`."""
        for number, image in images:
            self._runner.run(image)
            for index, (row, stride) in enumerate(zip(self.statistics, self._strides, strict=True)):
                row.add(self._runner.view(index), stride)
            if number < kept and self._output is not None:
                self.outputs[number] = self._runner.view(self._output).copy()


def _sampling_stride(shape: tuple[int, ...]) -> int:
    """Return a stride that visits every channel alike."""
    return _coprime(max(1, math.prod(shape) // SAMPLED), shape[-1] if shape else 1)


def _coprime(stride: int, period: int) -> int:
    """Return the next stride without a common divisor with `period`: one with would always meet the same places."""
    while math.gcd(stride, period) > 1:
        stride += 1
    return stride
