"""A graph in pieces: all images are run up to a cut and held there, so that a layer costs its own block only."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import flatbuffer
from converters.entry import Entry
from converters.flatbuffer import Model
from converters.repair.cuts import Cut, cut_points
from converters.runtime import Runner

HELD_BYTES = 400_000_000  # of all images' values at a cut; a cut that takes more is passed over
_BYTES = {schema.TensorType.INT8: 1, schema.TensorType.INT16: 2}  # of one value; all others are reckoned as 4

Seen = TypeVar("Seen")
Look = Callable[[int, list[NDArray[Any]]], Seen]
"""(number of the image, values of the targets): what is kept of them must be copied."""


def segment(model: Model, source: int, targets: Sequence[int]) -> bytes:
    """Return the file of the ops alone that lead from the tensor `source` to the tensors `targets`."""
    graph = model.subgraphs[0]
    needed, chosen = set(targets), []
    for operator in reversed(graph.operators):
        if needed.intersection(map(int, operator.outputs)):
            chosen.append(operator)
            needed |= {int(tensor) for tensor in operator.inputs if tensor != source}
    kept = sorted({source, *needed, *(int(row) for operator in chosen for row in operator.outputs)} - {-1})
    return flatbuffer.write(_smaller(model, kept, chosen[::-1], source, targets))


def _smaller(model: Model, kept: list[int], operators: list[Any], source: int, targets: Sequence[int]) -> Model:
    """Return a model of some tensors and ops, renumbered; the constants are shared with `model`, not copied."""
    place = {-1: -1} | {tensor: number for number, tensor in enumerate(kept)}
    small, graph = copy.copy(model), copy.copy(model.subgraphs[0])
    graph.tensors = [copy.copy(graph.tensors[tensor]) for tensor in kept]
    graph.operators = [copy.copy(operator) for operator in operators]
    for operator in graph.operators:
        operator.inputs = [place[int(tensor)] for tensor in operator.inputs]
        operator.outputs = [place[int(tensor)] for tensor in operator.outputs]
    graph.inputs, graph.outputs = [place[source]], [place[tensor] for tensor in targets]
    small.buffers = [model.buffers[0]]
    for tensor in graph.tensors:
        if tensor.buffer:
            small.buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = len(small.buffers) - 1
    small.subgraphs, small.signatureDefs, small.metadata = [graph], None, None
    return small


class Stream:
    """The images on their way through a model of one input: at its input, or held at a cut further on."""

    def __init__(self, model: Model, images: Iterable[NDArray[np.uint8]], count: int, entry: Entry) -> None:
        """Start at the input; `images` [side, side, 3] are gone through each time until a cut can be held."""
        self._model, self._images, self._count, self._entry = model, images, count, entry
        self._cuts = [cut for cut in cut_points(model) if self._size_bytes(cut) <= HELD_BYTES]
        self._source = int(model.subgraphs[0].inputs[0])
        self._held: list[NDArray[Any]] | None = None

    def _size_bytes(self, cut: Cut) -> int:
        tensor = self._model.subgraphs[0].tensors[cut.tensor]
        values = self._count * math.prod(map(int, tensor.shape))
        return values * _BYTES.get(tensor.type, 4)

    def advance(self, operator: int) -> None:
        """Hold the images at the last cut before the op of this index, which and whose followers are looked at next.

        The weights before the cut are what they are now: what is changed there later is not seen.
        """
        cuts = [cut for cut in self._cuts if cut.operator <= operator]
        if not cuts or cuts[-1].tensor in (self._source, int(self._model.subgraphs[0].inputs[0])):
            return
        values = self.look([cuts[-1].tensor], lambda _, seen: np.array(seen[0]))
        if self._held is None:
            self._held = list(values)
        else:  # in place: what was held is given back image by image
            for number, value in enumerate(values):
                self._held[number] = value
        self._source = cuts[-1].tensor

    def look(self, targets: Sequence[int], look: Look[Seen]) -> Iterator[Seen]:
        """Yield what `look` returns for the tensors `targets` of each image, in order; it is called in threads."""
        if list(targets) == [self._source]:
            yield from (look(number, [values]) for number, values in enumerate(self._values()))
            return
        content = segment(self._model, self._source, targets)
        runners = [Runner(content) for _ in range(os.cpu_count() or 1)]

        def run(runner: Runner, row: tuple[int, NDArray[Any]]) -> Seen:
            number, values = row
            runner.run(values)
            return look(number, [runner.view(place) for place in range(len(targets))])

        rows = enumerate(self._values())
        with ThreadPoolExecutor(len(runners)) as pool:
            while batch := list(islice(rows, len(runners))):
                yield from pool.map(run, runners, batch)

    def _values(self) -> Iterator[NDArray[Any]]:
        if self._held is not None:
            return iter(self._held)
        end = self._model.subgraphs[0].tensors[self._model.subgraphs[0].inputs[0]]
        return (_encode(self._entry.feed(pixels), end) for pixels in self._images)


def _encode(values: NDArray[np.float32], end: Any) -> NDArray[Any]:
    """Return real numbers in the int8 steps of the tensor `end`, or as they are where it is float."""
    if end.type != schema.TensorType.INT8:
        return values
    steps = np.round(values / np.float32(end.quantization.scale[0])) + end.quantization.zeroPoint[0]
    return np.asarray(np.clip(steps, -128, 127), dtype=np.int8)
