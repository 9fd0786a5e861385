"""A quantized file beside its float network: which layer rounds what, and to which steps.

A layer is a weighted op with all that follows it until the next one: its activation, its squeeze-and-excite product,
its skip. So every tensor of the graph belongs to one layer, which has the name of its weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import flatbuffer
from converters.edit import text
from converters.ends import INNER_SUFFIXES
from converters.flatbuffer import Model
from converters.patterns import op_code
from converters.quantized_layers import WEIGHTED, layers
from converters.runtime import LoadedModel, decode, encode_pixels
from converters.verify import with_outputs
from edgenet.errors import InputError

Op, Type = schema.BuiltinOperator, schema.TensorType
STEPS = {Type.INT8: (-128, 127), Type.UINT8: (0, 255), Type.INT16: (-32768, 32767)}
_ENDS = (Op.QUANTIZE, Op.DEQUANTIZE)


@dataclass(frozen=True)
class Steps:
    """The whole numbers that a tensor of the file holds: real = scale * (whole - zero_point)."""

    kind: int  # the schema's tensor type
    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """Return the least real number."""
        return self.scale * (STEPS[self.kind][0] - self.zero_point)

    @property
    def high(self) -> float:
        """Return the greatest real number."""
        return self.scale * (STEPS[self.kind][1] - self.zero_point)

    def rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return real values as these steps give them back."""
        whole = np.clip(np.rint(values / np.float32(self.scale)) + self.zero_point, *STEPS[self.kind])
        return np.asarray((whole - self.zero_point) * np.float32(self.scale), dtype=np.float32)


@dataclass(frozen=True)
class Tensor:
    """An activation that both graphs have; `steps` is None where the file keeps it in float."""

    name: str
    values: int
    float_index: int
    place: int | str  # in the file: the index of a tensor, or the name of a value of an .onnx file
    steps: Steps | None


@dataclass(frozen=True)
class RoundedWeights:
    """A layer's weights [O, kH, kW, I] and bias [O] as the file has them, in the units of the float network."""

    output: str  # the name of the tensor that the layer fills
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None


@dataclass(frozen=True)
class LayerPair:
    """A layer in both graphs; `weights` is None where the file keeps them in float."""

    name: str
    tensors: tuple[Tensor, ...]  # in the order of the graph
    weights: RoundedWeights | None

    @property
    def output(self) -> Tensor:
        """Return what the layer hands on: the last of its largest tensors, not the mean that a gate is made of."""
        return max(reversed(self.tensors), key=lambda row: row.values)

    @property
    def steps(self) -> dict[str, Steps]:
        """Return the steps of the tensors that the file rounds, by name."""
        return {row.name: row.steps for row in self.tensors if row.steps}


def pair_layers(reference: bytes, content: bytes) -> list[LayerPair]:
    """Return the layers of a quantized file in the order of the graph, each with its float counterpart by name.

    Raise InputError for a file that rounds nothing, or that shares no names with the float file.
    """
    original, model = flatbuffer.read(reference), flatbuffer.read(content)
    _undo_end_names(model)
    return paired(original, list(_shared_tensors(original, model)), _rounded_weights(model, original))


def paired(original: Model, tensors: Sequence[Tensor], rounded: Iterable[RoundedWeights]) -> list[LayerPair]:
    """Return the layers that shared tensors and rounded weights belong to; raise InputError if there is none."""
    if not tensors:
        raise InputError("no tensor of the file has the name of one of the float file", mend="give the right one")
    owned, weights = owners(original), {row.output: row for row in rounded}
    grouped: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        grouped.setdefault(owned[tensor.float_index], []).append(tensor)
    pairs = [
        LayerPair(name, tuple(rows), next((weights[row.name] for row in rows if row.name in weights), None))
        for name, rows in grouped.items()
    ]
    found = [row for row in pairs if row.weights or row.steps]
    if not found:
        raise InputError("the file rounds no layer", allowed="w8, w8d, w8a8 or w8a16")
    return found


def multiply_accumulates(model: Model) -> int:
    """Return how many multiply-accumulates the weighted ops of a graph take for one image."""
    return sum(operator_macs(model, operator) for operator in model.subgraphs[0].operators)


def operator_macs(model: Model, operator: Any) -> int:
    """Return how many multiply-accumulates one op takes: 0 for one without weights."""
    code = op_code(model, operator)
    if code not in WEIGHTED:
        return 0
    tensors = model.subgraphs[0].tensors
    weight, output = tensors[operator.inputs[1]].shape, tensors[operator.outputs[0]].shape
    each = weight[:3] if code == Op.DEPTHWISE_CONV_2D else weight[1:]
    return int(math.prod(output) * math.prod(each))


def _shared_tensors(original: Model, model: Model) -> Iterator[Tensor]:
    """Yield the activations that both graphs have by name, in the order of the float one."""
    files, converted = filled(model), _converted(model)
    for name, index in filled(original).items():
        if name in files:
            row = model.subgraphs[0].tensors[files[name]]
            steps = steps_of(row) or steps_of(converted.get(files[name], row))
            yield Tensor(name, math.prod(row.shape), index, files[name], steps)


def _converted(model: Model) -> dict[int, Any]:
    """Return the rounded copy of each float tensor that has one: what its readers in int8 see of it."""
    graph = model.subgraphs[0]
    return {
        int(row.inputs[0]): graph.tensors[row.outputs[0]]
        for row in graph.operators
        if op_code(model, row) == Op.QUANTIZE and graph.tensors[row.inputs[0]].type == Type.FLOAT32
    }


def _undo_end_names(model: Model) -> None:
    """Give the inner tensors their names back, which the ends that were added took."""
    for suffix in INNER_SUFFIXES:
        named = {text(tensor.name): tensor for tensor in model.subgraphs[0].tensors}
        for name, tensor in named.items():
            end = named.get(name.removesuffix(suffix))
            if end is not None and end is not tensor:
                tensor.name, end.name = end.name, f"{text(end.name)}/end"


def filled(model: Model) -> dict[str, int]:
    """Return the tensors by name that ops fill, in their order; ends and unpacked weights are none."""
    graph = model.subgraphs[0]
    outputs = [int(row.outputs[0]) for row in graph.operators if op_code(model, row) not in _ENDS]
    return {text(graph.tensors[tensor].name): tensor for tensor in outputs}


def owners(model: Model) -> dict[int, str]:
    """Return the name of the layer to which each tensor belongs that an op fills."""
    graph = model.subgraphs[0]
    image = int(graph.inputs[0])
    layer = {image: (-1, text(graph.tensors[image].name))}
    for index, operator in enumerate(graph.operators):
        output = int(operator.outputs[0])
        if op_code(model, operator) in WEIGHTED:
            layer[output] = (index, layer_name(model, operator))
        else:  # what has several inputs belongs to the last layer among them: a skip to what is added to it
            layer[output] = max(layer[int(row)] for row in operator.inputs if int(row) in layer)
    return {tensor: name for tensor, (_, name) in layer.items()}


def layer_name(model: Model, operator: Any) -> str:
    """Return the name of the layer that a weighted op stands for."""
    tensors = model.subgraphs[0].tensors
    weight = text(tensors[operator.inputs[1]].name)
    known = weight.endswith("/weight")
    return weight.removesuffix("/weight") if known else text(tensors[operator.outputs[0]].name)


def steps_of(tensor: Any) -> Steps | None:
    """Return the steps of a tensor of a file; None for one that is not quantized."""
    quantization = tensor.quantization
    if tensor.type not in STEPS or quantization is None or quantization.scale is None:
        return None
    return Steps(int(tensor.type), float(quantization.scale[0]), int(quantization.zeroPoint[0]))


def _rounded_weights(model: Model, original: Model) -> Iterator[RoundedWeights]:
    """Yield the int8 weights as real numbers; the first layer's are put into the units of the float network."""
    entry = _entry_tensors(model)
    fillers = {text(model.subgraphs[0].tensors[row.outputs[0]].name): row for row in model.subgraphs[0].operators}
    names = {text(tensor.name): index for index, tensor in enumerate(original.subgraphs[0].tensors)}
    for layer in layers(model, original):
        weight = layer.weight_steps * layer.weight_scales
        bias = layer.original_bias if layer.real_bias is None else layer.real_bias
        source = int(fillers[layer.output_name].inputs[0])
        if source in entry and bias is not None:
            entries = with_outputs(model, [source]), with_outputs(original, [names[layer.input_name]])
            factor, shift = units(*entries)
            bias = bias - np.sum(weight * (shift / factor), axis=(1, 2, 3))
            weight = weight / factor
        rounded = None if bias is None else np.asarray(bias, dtype=np.float32)
        yield RoundedWeights(layer.output_name, weight.astype(np.float32), rounded)


def _entry_tensors(model: Model) -> set[int]:
    """Return the tensors of a file that hold the image itself."""
    graph = model.subgraphs[0]
    image = {int(graph.inputs[0])}
    for operator in graph.operators:
        if op_code(model, operator) in _ENDS and int(operator.inputs[0]) in image:
            image.add(int(operator.outputs[0]))
    return image


def units(file: LoadedModel, reference: LoadedModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return factor and shift [C] by which what enters the file's first layer becomes what enters the float one's.

    A file may take (pixels - mean) / std as its zero point and scale where the float graph subtracts the mean and
    has 1 / std in its weights. Both are linear in the pixels: a black and a white image tell all.
    """
    ends = []
    for runner in (file, reference):
        for level in (0, 255):
            pixels = np.full(runner.input.shape[1:], level, dtype=np.uint8)
            runner.run(encode_pixels(pixels, runner.input))
            ends.append(decode(runner.view(0), runner.outputs[0])[0, 0, 0].astype(np.float64))
    black, white, float_black, float_white = ends
    factor = (float_white - float_black) / (white - black)
    return factor, float_black - factor * black
