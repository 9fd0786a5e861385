"""Read and write the .tflite container: a flatbuffer, every constant inline and 16-byte aligned.

Constants stay inside the flatbuffer although newer writers put them behind it (`Buffer.offset`): readers older than
2024, `modify_model_interface` and the Edge TPU compiler know the inline form only.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.model_file import LIMIT_BYTES
from edgenet.errors import InputError

FILE_IDENTIFIER = b"TFL3"
ALIGNMENT_BYTES = 16  # schema.fbs: Buffer.data is force_align: 16, which Python's generated packer ignores

# The object API of the generated schema has no type stubs: a model is Any here and in the files that edit one.
Model = Any


def read(content: bytes) -> Model:
    """Parse the bytes of a .tflite file into an editable model; raise InputError if it is none."""
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER:
        raise InputError("not a .tflite file: the TFL3 mark is missing", mend="give a file that TFLite wrote")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        _bring_inside(buffer, content)
    for graph in model.subgraphs or ():
        _fill_absent(graph)
    return model


def _fill_absent(graph: Any) -> None:
    """Give every vector that a file leaves out its meaning, none of anything; make shapes plain numbers."""
    for row, fields in (
        (graph, ("tensors", "operators", "inputs", "outputs")),
        *((operator, ("inputs", "outputs")) for operator in graph.operators or ()),
    ):
        for field in fields:
            setattr(row, field, [] if getattr(row, field) is None else getattr(row, field))
    for tensor in graph.tensors:
        # NumPy's 32-bit numbers would overflow in products: a large network's activations take more than 2 GiB.
        tensor.shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
        tensor.name = tensor.name or b""


def _bring_inside(buffer: Any, content: bytes) -> None:
    """Copy a constant that lies behind the flatbuffer into it."""
    if not buffer.offset or buffer.offset <= 1:  # 0 and 1 mean "inline" or "no data"
        return
    if buffer.offset + buffer.size > len(content):
        raise InputError(f"a constant reaches to byte {buffer.offset + buffer.size} of {len(content)}: truncated file")
    buffer.data = np.frombuffer(content, dtype=np.uint8, count=buffer.size, offset=buffer.offset)
    buffer.offset = buffer.size = 0


def write(model: Model) -> bytes:
    """Pack a model into bytes: the same model gives the same bytes."""
    size_bytes = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    if size_bytes > LIMIT_BYTES - 2**24:
        raise InputError(f"the constants take {size_bytes} bytes: over the 2 GiB that a .tflite file can hold")
    builder = flatbuffers.Builder(size_bytes + 2**20)
    data_offsets = [_write_data(builder, buffer.data) for buffer in model.buffers]
    packed = [_write_buffer(builder, offset) for offset in data_offsets]
    buffers, model.buffers = model.buffers, None
    try:
        root = _write_root(builder, model, packed)
    finally:
        model.buffers = buffers
    builder.Finish(root, FILE_IDENTIFIER)
    return bytes(builder.Output())


def _write_data(builder: Any, data: NDArray[np.uint8] | None) -> int:
    if data is None or len(data) == 0:
        return 0
    raw = np.ascontiguousarray(data, dtype=np.uint8)
    builder.StartVector(1, raw.size, ALIGNMENT_BYTES)
    builder.head -= raw.size
    builder.Bytes[builder.head : builder.head + raw.size] = raw.data
    return int(builder.EndVector())


def _write_buffer(builder: Any, data: int) -> int:
    schema.BufferStart(builder)
    if data:
        schema.BufferAddData(builder, data)
    return int(schema.BufferEnd(builder))


def _write_root(builder: Any, model: Model, buffers: list[int]) -> int:
    """Pack the model table around buffers that are written already (the generated packer would copy them unaligned)."""
    vectors = {
        "OperatorCodes": _vector(builder, [row.Pack(builder) for row in model.operatorCodes or ()]),
        "Subgraphs": _vector(builder, [row.Pack(builder) for row in model.subgraphs or ()]),
        "Description": builder.CreateString(model.description or ""),
        "Buffers": _vector(builder, buffers),
        "Metadata": _vector(builder, [row.Pack(builder) for row in model.metadata or ()]),
        "SignatureDefs": _vector(builder, [row.Pack(builder) for row in model.signatureDefs or ()]),
    }
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, model.version)
    for field, offset in vectors.items():
        getattr(schema, f"ModelAdd{field}")(builder, offset)
    return int(schema.ModelEnd(builder))


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
