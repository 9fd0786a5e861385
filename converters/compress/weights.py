"""Make most weights of a float graph zero, or all of a layer's weights a few different values; shapes stay.

Neither needs data: what a layer reads is known from the batch norms before it (`edgenet/moments.py`).

- Pruning takes the share of each output's weights that count least, by their magnitude times the deviation of what
  they read (Sun et al., arXiv 2306.11695, section 3, there with measured norms).
- Clustering is k-means over a layer's weights (Han et al., arXiv 1510.00149, section 3.2), from centres that begin
  with as many weights each. Even distances, which that paper prefers, leave large weights less error but need
  training afterwards: without any, 16 clusters keep 82 % of lite0's answers from there, and 87.5 % from here.
- What either does to the mean of an output is taken off its bias (arXiv 1906.04721, section 4.2). Without that, half
  of lite0's weights gone leave nothing of its answers; with it, about six in ten are kept.

Both work on what the file holds, batch norms folded: a value that many weights share is one value in the file. The
first convolution and depthwise ones are left alone: few weights, and each depthwise one is one of nine or twenty-five
that all of a channel goes through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import flatbuffer
from converters.edit import text
from converters.flatbuffer import Model
from converters.patterns import is_constant, op_code
from converters.quantized_layers import WEIGHTED
from edgenet.compression import PATTERN_GROUP, PATTERN_KEPT, Compression, Pruning
from edgenet.moments import Array, Moments

Op, Type = schema.BuiltinOperator, schema.TensorType
Weights = NDArray[np.float32]

LEFT_ALONE = "the first convolution and depthwise ones are left alone: few weights, each of which a whole channel needs"
MOST_ROUNDS = 300  # of k-means
# By these a float layer shows that it was compressed; of different values, the first weights are enough.
SHOWN_ZEROS, FEW_VALUES, LOOKED_AT = 0.1, 256, 4096
_TYPES = {Type.FLOAT32: np.float32, Type.FLOAT16: np.float16, Type.INT8: np.int8}
_END = "/weight"  # of the tensor's name; what is before is the layer's


@dataclass(frozen=True)
class LayerFacts:
    """What the weights of one layer are, as the file holds them."""

    name: str
    weights: int
    zeros: int
    values: int  # different ones
    is_compressed: bool  # pruning and clustering take this layer

    @property
    def zero_share(self) -> float:
        """Return the share of weights that are zero."""
        return self.zeros / self.weights


def compress(content: bytes, compression: Compression, read_by: Mapping[str, Moments]) -> bytes:
    """Return a float graph with its weights pruned, then clustered; channels are not its business.

    `read_by` holds the moments of what each layer reads, by its name.
    """
    model = flatbuffer.read(content)
    for row in _layers(model):
        if row.is_compressed:
            moments = read_by[row.name]
            values = _compressed(row.values, compression, moments.variances)
            error = (values - row.values).astype(np.float64)
            bias = np.frombuffer(bytes(row.bias.data), dtype=np.float32)
            _store(row.buffer, values)
            _store(row.bias, bias - error.reshape(len(bias), -1, error.shape[-1]).sum(axis=1) @ moments.means)
    return flatbuffer.write(model)


def _store(buffer: Any, values: NDArray[Any]) -> None:
    buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), dtype=np.uint8)


def layer_facts(content: bytes) -> tuple[LayerFacts, ...]:
    """Return the facts of each weighted layer of a .tflite file of any precision, in the order in which they run."""
    return tuple(
        LayerFacts(
            row.name,
            row.values.size,
            int(np.count_nonzero(row.values == 0)),
            len(np.unique(row.values)),
            row.is_compressed,
        )
        for row in _layers(flatbuffer.read(content))
    )


def shows_compression(content: bytes) -> bool:
    """Tell whether a float graph was pruned or clustered, by its weights: training alone leaves no such layer."""
    return any(row.is_compressed and _is_unusual(row.values) for row in _layers(flatbuffer.read(content)))


def _is_unusual(values: NDArray[Any]) -> bool:
    seen = values.ravel()[:LOOKED_AT]
    return bool(np.mean(values == 0) >= SHOWN_ZEROS or len(np.unique(seen)) <= min(FEW_VALUES, seen.size // 8))


@dataclass(frozen=True)
class _Layer:
    """One layer; of weights that are stored sparse the values come first and the zeros behind, wherever they belong."""

    name: str
    buffer: Any
    bias: Any  # its buffer
    values: NDArray[Any]  # [O, kH, kW, I], depthwise [1, kH, kW, C], dense [O, I]
    is_compressed: bool


def _layers(model: Model) -> Iterator[_Layer]:
    graph = model.subgraphs[0]
    makers = {int(row.outputs[0]): row for row in graph.operators}
    is_first = True
    for operator in graph.operators:
        code = op_code(model, operator)
        if code not in WEIGHTED:
            continue
        tensor = int(operator.inputs[1])
        if not is_constant(model, tensor) and tensor in makers:  # behind the DEQUANTIZE of a file of few bits
            tensor = int(makers[tensor].inputs[0])
        row = graph.tensors[tensor]
        if row.type in _TYPES and is_constant(model, tensor):
            buffer = model.buffers[row.buffer]
            values = np.frombuffer(bytes(buffer.data), dtype=_TYPES[row.type])
            values = np.pad(values, (0, math.prod(row.shape) - values.size)).reshape(row.shape)
            name = text(graph.tensors[int(operator.inputs[1])].name).partition(_END)[0]
            bias = model.buffers[graph.tensors[int(operator.inputs[2])].buffer]
            yield _Layer(name, buffer, bias, values, not is_first and code != Op.DEPTHWISE_CONV_2D)
        is_first = False


def _compressed(values: Weights, compression: Compression, variances: Array) -> Weights:
    pruning = compression.pruning
    if pruning and pruning.kind != "channels":
        values = prune(values, pruning, variances)
    return cluster(values, compression.clusters) if compression.clusters else values


def prune(values: Weights, pruning: Pruning, variances: Array) -> Weights:
    """Return weights [O, ..., I] of which those that count least are zero: a share of each output's, or two of four.

    `variances` [I] are those of what the weights read. The fours of 2:4 are neighbours along the last axis; what is
    behind the last whole four is left.
    """
    worth = np.square(values.astype(np.float64)) * variances
    if pruning.kind == "2:4":
        whole = values.shape[-1] // PATTERN_GROUP * PATTERN_GROUP
        kept = values.copy()
        kept[..., :whole] = _without_least(
            values[..., :whole].reshape(-1, PATTERN_GROUP),
            worth[..., :whole].reshape(-1, PATTERN_GROUP),
            PATTERN_GROUP - PATTERN_KEPT,
        ).reshape(*values.shape[:-1], whole)
        return kept
    rows = values.reshape(len(values), -1)
    return _without_least(rows, worth.reshape(rows.shape), round(pruning.share * rows.shape[1])).reshape(values.shape)


def _without_least(rows: Weights, worth: Array, count: int) -> Weights:
    """Return rows [N, K] in each of which the `count` weights of least worth are zero."""
    kept = rows.copy()
    np.put_along_axis(kept, np.argsort(worth, axis=1, kind="stable")[:, :count], np.float32(0), axis=1)
    return kept


def cluster(values: Weights, count: int) -> Weights:
    """Return weights that are `count` different values at most; zeros of pruned ones stay, and are one of them."""
    is_kept = values == 0 if np.mean(values == 0) >= SHOWN_ZEROS else np.zeros(values.shape, bool)
    ordered = np.sort(values[~is_kept].astype(np.float64))
    count -= bool(is_kept.any())
    if len(np.unique(ordered)) <= count:
        return values
    centres = _settled(ordered, count).astype(np.float32)
    nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
    return np.where(is_kept, np.float32(0), centres[nearest])


def _settled(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the centres [count], ascending, at which k-means over ascending values comes to rest."""
    centres = np.quantile(ordered, (np.arange(count) + 0.5) / count)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(MOST_ROUNDS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(ordered)]])
        members = np.diff(edges)
        means = np.where(members > 0, (sums[edges[1:]] - sums[edges[:-1]]) / np.maximum(members, 1), centres)
        if np.array_equal(means, centres):
            break
        centres = means
    return centres
