"""What a .tflite file holds, for people: its ends, its ops, how much of it one delegate takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer
from converters.edit import text
from converters.patterns import op_code, op_name
from edgenet.artifact import sha256

_TYPE_NAMES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


@dataclass(frozen=True)
class End:
    """An input or output; scale 0 means that it is not quantized."""

    name: str
    type: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class OpCount:
    """How often an operator stands in the graph, and in which version."""

    name: str
    version: int
    count: int


@dataclass(frozen=True)
class Summary:
    """A .tflite file at a glance."""

    sha256: str
    size_bytes: int
    description: str
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    ops: tuple[OpCount, ...]
    signatures: tuple[str, ...]


def summarize(content: bytes) -> Summary:
    """Return what the first subgraph of a .tflite file holds."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    counts = Counter(int(operator.opcodeIndex) for operator in graph.operators)
    first_of = {int(operator.opcodeIndex): operator for operator in reversed(graph.operators)}
    ops = [
        OpCount(op_name(op_code(model, first_of[index])), int(model.operatorCodes[index].version), count)
        for index, count in counts.most_common()
    ]
    return Summary(
        sha256=sha256(content),
        size_bytes=len(content),
        description=text(model.description or ""),
        inputs=tuple(_end(graph.tensors[tensor]) for tensor in graph.inputs),
        outputs=tuple(_end(graph.tensors[tensor]) for tensor in graph.outputs),
        ops=tuple(ops),
        signatures=tuple(text(row.signatureKey) for row in model.signatureDefs or ()),
    )


def _end(tensor: schema.TensorT) -> End:
    quantization = tensor.quantization
    scaled = quantization is not None and quantization.scale is not None and len(quantization.scale) > 0
    return End(
        name=text(tensor.name),
        type=_TYPE_NAMES.get(tensor.type, f"type {tensor.type}"),
        shape=tuple(int(size) for size in tensor.shape),
        scale=float(quantization.scale[0]) if scaled else 0.0,
        zero_point=int(quantization.zeroPoint[0]) if scaled else 0,
    )
