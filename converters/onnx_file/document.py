"""Read an .onnx file of any origin: one protobuf message, everything in it, one image in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from converters.model_file import LIMIT_BYTES
from edgenet.errors import InputError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

MOST_NODES = 100_000  # the largest variant has about 5,000; a parser should not be kept busy for hours


def parse(content: bytes) -> ModelProto:
    """Return the message of an .onnx file; raise InputError for bytes that are none or that point outside.

    Weights in files of their own are refused: their paths may lead anywhere.
    """
    import onnx

    model = parse_message(content)
    for tensor in _all_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise InputError(
                f"tensor {tensor.name!r} lies in another file", allowed="one .onnx file with its weights inside"
            )
    return model


def parse_message(content: bytes) -> ModelProto:
    """Return the message of an .onnx file, wherever its weights lie; raise InputError for bytes that are none."""
    import onnx
    from google.protobuf.message import DecodeError

    if len(content) > LIMIT_BYTES:
        raise InputError(f"the file has {len(content)} bytes", allowed=f"at most {LIMIT_BYTES} (2 GiB)")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RuntimeError, MemoryError) as error:
        raise InputError("not an .onnx file: its protobuf cannot be parsed") from error
    if not model.HasField("graph") or not model.opset_import:  # nearly any short text is some empty message
        raise InputError("not an .onnx file: it has no graph", mend="give a file that an ONNX exporter wrote")
    if sum(1 for _ in all_nodes(model.graph)) > MOST_NODES:
        raise InputError(f"the graph has over {MOST_NODES} nodes", allowed="an image classifier")
    return model


def all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield the nodes of a graph and of all graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def _all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    nodes = list(all_nodes(model.graph))
    for function in model.functions:
        nodes += function.node
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from inner.initializer


def is_onnx(content: bytes) -> bool:
    """Return whether a model's bytes are to be taken for ONNX: a .tflite file has its mark, ONNX has none."""
    return content[4:8] != b"TFL3"
