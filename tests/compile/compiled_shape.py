"""Files in the shape that the Edge TPU compiler gives its own: for doubles. No chip could run what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from converters import flatbuffer
from converters.check.compiled import CUSTOM_OP

RUNTIME = 14
INSTRUCTIONS, TOKEN = b"\0" * 1024, 0x1234
STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY = range(3)


def compiled(content: bytes, taken: int, cached: bytes = b"c" * 4096, streamed: bytes = b"") -> bytes:
    """Return a model whose first `taken` ops are one custom op; the rest stays as it is."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    inside, rest = graph.operators[:taken], graph.operators[taken:]
    if inside:
        made = {index for row in inside for index in row.outputs}
        needed = {index for row in rest for index in row.inputs} | set(graph.outputs)
        code, op = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode, code.version = CUSTOM_OP.encode(), 1
        model.operatorCodes.append(code)
        op.opcodeIndex = len(model.operatorCodes) - 1
        op.inputs, op.outputs = list(graph.inputs), sorted(made & needed)
        op.customOptions = np.frombuffer(custom_data(cached, streamed), dtype=np.uint8)
        graph.operators = [op, *rest]
    model.description = b"Exported from Subgraph."
    return flatbuffer.write(model)


def custom_data(cached: bytes, streamed: bytes) -> bytes:
    """Return a custom op's data: a FlexBuffer map with the package."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(1)
        builder.Key("4")
        builder.Blob(_package([
            _executable(EXECUTION_ONLY if cached else STAND_ALONE, streamed),
            *([_executable(PARAMETER_CACHING, cached)] if cached else []),
        ]))  # fmt: skip
    return bytes(builder.Finish())


def _package(executables: Sequence[bytes]) -> bytes:
    inner = flatbuffers.Builder(1024)
    texts = [inner.CreateString(row) for row in executables]
    inner.StartVector(4, len(texts), 4)
    for text in reversed(texts):
        inner.PrependUOffsetTRelative(text)
    programs = inner.EndVector()
    inner.StartObject(1)
    inner.PrependUOffsetTRelativeSlot(0, programs, 0)
    inner.Finish(inner.EndObject())
    outer = flatbuffers.Builder(1024)
    content = outer.CreateByteVector(bytes(inner.Output()))
    outer.StartObject(2)
    outer.PrependInt32Slot(0, RUNTIME, 0)
    outer.PrependUOffsetTRelativeSlot(1, content, 0)
    outer.Finish(outer.EndObject(), b"DWN1")
    return bytes(outer.Output())


def _executable(kind: int, parameters: bytes) -> bytes:
    builder: Any = flatbuffers.Builder(1024)
    stream = builder.CreateByteVector(INSTRUCTIONS)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, stream, 0)
    streams = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(streams)
    instructions = builder.EndVector()
    data = builder.CreateByteVector(parameters)
    chip = builder.CreateString("beagle")
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(5, instructions, 0)
    builder.PrependUOffsetTRelativeSlot(6, data, 0)
    builder.PrependUOffsetTRelativeSlot(10, chip, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.PrependUint64Slot(14, TOKEN, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())
