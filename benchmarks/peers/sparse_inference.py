"""Does XNNPACK's sparse inference run? Time lite0 with nine of ten weights zero, in a file that meets its conditions.

    python -m benchmarks.peers.sparse_inference [--json] [--rounds N]

`ours` is the pruned file, its 1x1 weights stored sparse behind DENSIFY and every window padded alike on all sides;
`theirs` the same network dense. The side is 225 px, for which TensorFlow's SAME padding is symmetric in every layer of
lite0, so that the network is the same as ever. A ratio near 1 says that the runtime runs it dense; on x86 with AVX
that is what XNNPACK's source says. The first row prunes without any of this. For a quiet run: chrt -r 1 python -m ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from benchmarks.compression import processor_flags
from benchmarks.peers.latency import LEGEND, BlockRatio, Model, timed_blocks
from benchmarks.peers.ratios import arguments, exit_with, machine, show
from converters import flatbuffer
from converters.compress.sparse_inference import sparse_refusals
from converters.compress.weights import compress
from converters.edit import add_constant, add_tensor, make_operator, text
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.patterns import op_code
from edgenet.compression import parse_compression
from edgenet.moments import input_moments
from edgenet.variants import VARIANTS
from edgenet.weights.random import random_weights

SIDE_PX, BLOCKS, SHARE = 225, 8, "0.9"
Op = schema.BuiltinOperator


def dense_and_pruned() -> tuple[bytes, bytes]:
    """Return lite0's float file and the pruned one, windows padded by ops of their own, without a helper op before."""
    weights = random_weights(VARIANTS["lite0"])
    weights = replace(weights, preprocessing=replace(weights.preprocessing, side_px=SIDE_PX))
    architecture = weights.architecture()
    model = build_float(architecture, weights, FLOAT_ENTRY)
    _pad_apart(model)
    content = flatbuffer.write(model)
    return content, compress(content, parse_compression(SHARE), input_moments(architecture, weights))


def _pad_apart(model: Any) -> None:
    """Give each layer with a window larger than 1x1 a PAD before it and VALID padding, in place."""
    graph = model.subgraphs[0]
    operators = []
    for row in graph.operators:
        kernel = int(graph.tensors[row.inputs[1]].shape[1]) if _is_layer(model, row) else 1
        if kernel > 1:
            edge, (_, height, width, channels) = kernel // 2, graph.tensors[row.inputs[0]].shape
            name = text(graph.tensors[row.outputs[0]].name)
            edges = np.asarray([[0, 0], [edge, edge], [edge, edge], [0, 0]], dtype=np.int32)
            padded = add_tensor(model, f"{name}/padded", (1, height + 2 * edge, width + 2 * edge, channels))
            inputs = [int(row.inputs[0]), add_constant(model, f"{name}/edges", edges)]
            operators.append(make_operator(model, Op.PAD, inputs, padded, schema.PadOptionsT()))
            row.inputs = [padded, *row.inputs[1:]]
            row.builtinOptions.padding = schema.Padding.VALID
        operators.append(row)
    graph.operators = operators


def _is_layer(model: Any, operator: Any) -> bool:
    return op_code(model, operator) in (Op.CONV_2D, Op.DEPTHWISE_CONV_2D)


def densified(content: bytes) -> bytes:
    """Return a file with its 1x1 convolutions' weights stored sparse, row by row, behind DENSIFY."""
    model = flatbuffer.read(content)
    model.subgraphs[0].operators = list(_densified(model))
    return flatbuffer.write(model)


def _densified(model: Any) -> Iterator[Any]:
    graph = model.subgraphs[0]
    for row in graph.operators:
        shape = [int(size) for size in graph.tensors[row.inputs[1]].shape] if _is_layer(model, row) else []
        if op_code(model, row) == Op.CONV_2D and shape[1:3] == [1, 1]:
            sparse = int(row.inputs[1])
            _store_sparse(model, graph.tensors[sparse])
            dense = add_tensor(model, f"{text(graph.tensors[sparse].name)}/dense", shape)
            yield make_operator(model, Op.DENSIFY, [sparse], dense, schema.DensifyOptionsT())
            row.inputs = [row.inputs[0], dense, *row.inputs[2:]]
        yield row


def _store_sparse(model: Any, tensor: Any) -> None:
    """Store a weight [O, 1, 1, I] as compressed sparse rows: of each output, which inputs, and their values."""
    buffer = model.buffers[tensor.buffer]
    rows = np.frombuffer(bytes(buffer.data), dtype=np.float32).reshape(tensor.shape[0], -1)
    outputs, inputs = np.nonzero(rows)
    begins = np.concatenate([[0], np.cumsum(np.bincount(outputs, minlength=len(rows)))])
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder, tensor.sparsity.blockMap = [0, 1, 2, 3], []
    tensor.sparsity.dimMetadata = [*(_dense(size) for size in (len(rows), 1, 1)), _compressed(begins, inputs)]
    buffer.data = np.frombuffer(rows[outputs, inputs].tobytes(), dtype=np.uint8)


def _dense(size: int) -> Any:
    row = schema.DimensionMetadataT()
    row.format, row.denseSize = schema.DimensionType.DENSE, size
    return row


def _compressed(begins: NDArray[np.int64], indices: NDArray[np.int64]) -> Any:
    row = schema.DimensionMetadataT()
    row.format = schema.DimensionType.SPARSE_CSR
    row.arraySegments, row.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    row.arraySegments.values, row.arrayIndices.values = begins.tolist(), indices.tolist()
    row.arraySegmentsType = row.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    return row


def main() -> int:
    """Print the ratios; there is no bar: what the runtime does is what is asked."""
    given, host = arguments(str(__doc__), rounds=BLOCKS).parse_args(), machine()
    dense, pruned = dense_and_pruned()
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8).astype(np.float32)
    files = {"nine of ten zero, stored dense": pruned, "the same, stored sparse": densified(pruned)}
    rows = [
        BlockRatio(
            f"{what}, {len(content) / 1e6:.1f} MB",
            *timed_blocks(Model(content, pixels), Model(dense, pixels), given.rounds),
            None,
            "of theirs",
        )
        for what, content in files.items()
    ]
    refused = "; ".join(sparse_refusals(pruned, processor_flags())) or "nothing"
    notes = [f"{given.rounds} blocks; lite0 fp32 at {SIDE_PX} px, one thread, XNNPACK", f"against the first: {refused}"]
    return show("sparse inference", host, rows, notes, given.json, LEGEND)


if __name__ == "__main__":
    exit_with(main)
