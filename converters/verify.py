"""Hold a written file against the float network: agreement of the logits, and the layer that suffers most."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.edit import text
from converters.ends import plain_name
from converters.flatbuffer import Model
from converters.onnx_file.document import is_onnx
from converters.onnx_file.gains import onnx_gains
from converters.onnx_file.inside import OnnxInside
from converters.patterns import op_code
from converters.quantized_layers import WEIGHTED
from converters.repair.gains import Gains, gained_reference, read_gains
from converters.runtime import LoadedModel, Runner, decode, encode_pixels, load_runner
from edgenet.agreement import Agreement, Comparison, sqnr_db
from edgenet.progress import Report, silent, tracked

LAYER_IMAGES = 4  # images on which layers are compared; logits are compared on all
MEMORY_LIMIT_BYTES = 500_000_000  # of one file's layer outputs held at a time


@dataclass(frozen=True)
class LayerError:
    """One layer's output against the float network's, all images together."""

    name: str
    sqnr_db: float


def all_logits(content: bytes, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
    """Yield the logits [classes] of a file for raw pixels [side, side, 3], in order, one core an image."""
    return logits_of([load_runner(content) for _ in range(os.cpu_count() or 1)], images)


def logits_of(runners: Sequence[LoadedModel], images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
    """Yield the logits [classes] of one model, loaded once for each core, for raw pixels [side, side, 3], in order."""
    source = iter(images)
    with ThreadPoolExecutor(len(runners)) as pool:
        while batch := list(islice(source, len(runners))):
            yield from pool.map(LoadedModel.logits, runners, batch)


def compare(
    reference: bytes,
    test: bytes,
    images: Sequence[NDArray[np.uint8]],
    step: str = "comparing",
    report: Report = silent,
) -> Agreement:
    """Compare two files that take raw pixels on `images` without labels."""
    comparison = Comparison()
    seen = tracked(images, step, len(images), report)
    for first, second in zip(all_logits(reference, images), all_logits(test, seen), strict=True):
        comparison.add(first[np.newaxis], second[np.newaxis])
    return comparison.result()


def layer_errors(
    reference: bytes,
    test: bytes,
    images: Sequence[NDArray[np.uint8]],
    step: str = "comparing layers",
    report: Report = silent,
) -> list[LayerError]:
    """Return the error of every convolution and dense layer that both files have by name, the worst first.

    Layers from which channels were cut have another shape, and none to be held against.
    """
    first, second = flatbuffer.read(gained_reference(reference, gains_of(test))), _inside(test)
    ours = _layer_tensors(first)
    shared = [name for name in ours if second.shapes.get(name) == _shape(first, ours[name])]
    errors = []
    groups = list(memory_groups(first, ours, shared))
    for names in tracked(groups, step, len(groups), report):
        one = [ours[name] for name in names]
        # The runners stay nameless: one that lived on would add its tensors to those of the next group.
        errors += _compare_layers(names, with_outputs(first, one), second.runner(names), images[:LAYER_IMAGES])
    return sorted(errors, key=lambda row: row.sqnr_db)


def gains_of(content: bytes) -> Gains:
    """Return the channel gains that a file was written with."""
    return onnx_gains(content) if is_onnx(content) else read_gains(flatbuffer.read(content))


class _TfliteInside:
    """A .tflite file whose layers can be looked at by name."""

    def __init__(self, content: bytes) -> None:
        self._model = flatbuffer.read(content)
        self._tensors = _layer_tensors(self._model)
        self.shapes = {name: _shape(self._model, tensor) for name, tensor in self._tensors.items()}

    def runner(self, names: Sequence[str]) -> LoadedModel:
        """Return the file loaded with these layers as its outputs."""
        return with_outputs(self._model, [self._tensors[name] for name in names])


def _inside(content: bytes) -> _TfliteInside | OnnxInside:
    return OnnxInside(content) if is_onnx(content) else _TfliteInside(content)


def _shape(model: Model, tensor: int) -> tuple[int, ...]:
    return tuple(model.subgraphs[0].tensors[tensor].shape)


def _layer_tensors(model: Model) -> dict[str, int]:
    graph = model.subgraphs[0]
    outputs = [int(row.outputs[0]) for row in graph.operators if op_code(model, row) in WEIGHTED]
    return {plain_name(text(graph.tensors[tensor].name)): tensor for tensor in outputs}


def memory_groups(model: Model, tensors: dict[str, int], names: list[str]) -> Iterator[list[str]]:
    """Split names of tensors into groups whose values may be held at a time."""
    group: list[str] = []
    size_bytes = 0
    for name in names:
        size_bytes += 4 * math.prod(model.subgraphs[0].tensors[tensors[name]].shape)
        if group and size_bytes > MEMORY_LIMIT_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(name)
    if group:
        yield group


def with_outputs(model: Model, tensors: list[int]) -> Runner:
    """Return a model, loaded on all cores, with the given tensors as its outputs."""
    graph = model.subgraphs[0]
    outputs, signatures = graph.outputs, model.signatureDefs
    graph.outputs, model.signatureDefs = tensors, None
    try:
        return Runner(flatbuffer.write(model), os.cpu_count() or 1)
    finally:
        graph.outputs, model.signatureDefs = outputs, signatures


def _compare_layers(
    names: list[str], reference: LoadedModel, test: LoadedModel, images: Sequence[NDArray[np.uint8]]
) -> list[LayerError]:
    signal, noise = np.zeros(len(names)), np.zeros(len(names))
    for pixels in images:
        reference.run(encode_pixels(pixels, reference.input))
        test.run(encode_pixels(pixels, test.input))
        for index in range(len(names)):
            wanted = decode(reference.view(index), reference.outputs[index])
            got = decode(test.view(index), test.outputs[index])
            signal[index] += float(np.vdot(wanted, wanted))
            noise[index] += float(np.sum(np.square(wanted - got)))
    return [LayerError(name, sqnr_db(signal[i], noise[i])) for i, name in enumerate(names)]
