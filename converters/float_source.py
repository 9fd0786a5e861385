"""Take a float .tflite file of any origin as the network to quantize."""

from collections import Counter
from typing import Any, Literal

from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer
from converters.edit import text
from converters.entry import FLOAT_ENTRY, Entry
from converters.flatbuffer import Model
from converters.input_ops import prepend_normalization, strip_subtraction
from converters.job import FloatNetwork
from converters.patterns import op_code, op_name
from converters.ranges import Range
from edgenet.artifact import sha256
from edgenet.errors import InputError
from edgenet.manifest import WeightsRecord
from edgenet.preprocessing import Preprocessing

Type = schema.TensorType
QUANTIZED = {Type.INT8: "int8", Type.UINT8: "uint8", Type.FLOAT16: "float16", Type.INT4: "int4"}


def side_of(content: bytes, name: str) -> int:
    """Return the input side of a float file; raise InputError unless it has one square RGB input and one output.

    `name` is what messages call the file.
    """
    try:
        return _side(flatbuffer.read(content))
    except InputError as error:
        raise InputError(f"{name}: {error.what}", allowed=error.allowed, mend=error.mend) from error


def _side(model: Model) -> int:
    graph = model.subgraphs[0]
    if len(model.subgraphs) > 1 or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        ends = f"{len(model.subgraphs)} subgraphs, {_named(graph, 'inputs')}, {_named(graph, 'outputs')}"
        raise InputError(f"the model has {ends}", allowed="one of each")
    _refuse_quantized(model)
    if not graph.operators:
        raise InputError("the model has no operator", allowed="a network")
    image = graph.tensors[graph.inputs[0]]
    shape = [int(size) for size in image.shape]
    if image.type != Type.FLOAT32 or len(shape) != 4 or shape[0] != 1 or shape[1] != shape[2] or shape[3] != 3:
        raise InputError(f"the model's input is {shape}", allowed="one square RGB image, float32 [1, side, side, 3]")
    return shape[1]


def _named(graph: Any, ends: Literal["inputs", "outputs"]) -> str:
    names = [repr(text(graph.tensors[index].name)) for index in getattr(graph, ends)]
    return f"{len(names)} {ends}" + (f" ({', '.join(names)})" if names else "")


def _refuse_quantized(model: Model) -> None:
    """Raise InputError for the first op that has to do with a quantized tensor, by the names of both."""
    graph = model.subgraphs[0]
    for operator in graph.operators or ():
        for index in (*operator.inputs, *operator.outputs):
            tensor = graph.tensors[index]
            if index >= 0 and tensor.type in QUANTIZED:
                op, name = op_name(op_code(model, operator)), text(tensor.name)
                raise InputError(
                    f"the model is quantized already: {op} has the {QUANTIZED[tensor.type]} tensor {name!r}",
                    allowed="a float32 file",
                    mend="give the file it came from",
                )


def float_source(
    content: bytes, variant: str, weights: WeightsRecord | None, preprocessing: Preprocessing, *, raw_pixels: bool
) -> FloatNetwork:
    """Return a float file as a network; without `raw_pixels` it wants (pixels - mean) / std, which it is then given.

    `weights` is what is known of their origin from a manifest; None: the file itself is all there is.
    """
    record = weights or _unknown_weights(content, variant)
    content = written_anew(content, None if raw_pixels else preprocessing)
    integer, zero_point = _integer_form(content)
    shift = zero_point or 0
    image = text(integer.subgraphs[0].tensors[integer.subgraphs[0].inputs[0]].name)
    return FloatNetwork(
        variant=variant,
        content=content,
        integer_content=flatbuffer.write(integer),
        entry=FLOAT_ENTRY if zero_point is None else Entry("zero_point", zero_point, 1.0),
        exact={image: Range(0.0 - shift, 255.0 - shift)},
        weights=record,
        preprocessing=preprocessing,
        network_error=None,
    )


def written_anew(content: bytes, preprocessing: Preprocessing | None) -> bytes:
    """Return a file as edgenet writes it: constants inline, a name a tensor, the pixels normalized if so asked."""
    model = flatbuffer.read(content)
    _name_apart(model)
    if preprocessing:
        prepend_normalization(model, preprocessing.mean, preprocessing.std)
    return flatbuffer.write(model)


def _name_apart(model: Model) -> None:
    """Give tensors without a name, or with one that another has, a name of their own: ranges are kept by name."""
    tensors = model.subgraphs[0].tensors
    counts = Counter(text(tensor.name) for tensor in tensors)
    for index, tensor in enumerate(tensors):
        name = text(tensor.name)
        if not name or counts[name] > 1:
            tensor.name = f"{name or 'tensor'}#{index}".encode()


def _integer_form(content: bytes) -> tuple[Model, int | None]:
    model = flatbuffer.read(content)
    return model, strip_subtraction(model)


def _unknown_weights(content: bytes, name: str) -> WeightsRecord:
    model = flatbuffer.read(content)
    output = model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]
    return WeightsRecord(
        source="model",
        origin=name,
        sha256=sha256(content),
        num_classes=int(output.shape[-1]),
        padding=None,
        batch_norm_epsilon=None,
    )
