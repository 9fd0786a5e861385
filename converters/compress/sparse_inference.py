"""Why XNNPACK does not skip a file's zeros: every condition of its sparse inference that the file or machine fails.

The conditions are those of XNNPACK's src/subgraph.c (xnn_subgraph_rewrite_for_nchw) and src/xnnpack/config.h
(xnn_is_chw_compatible_config), and of TFLite's delegate, which asks for sparse inference only where a DENSIFY op
holds the weights. There is no option for it in Python's interpreter, nor need there be: the file decides.
benchmarks/peers/sparse_inference.py writes a file that meets them all, and times it.
"""

from __future__ import annotations

import math
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer
from converters.compress.weights import layer_facts
from converters.flatbuffer import Model
from converters.patterns import op_code, op_name

Op = schema.BuiltinOperator
LEAST_ZEROS = 2 / 3  # of the weights of all 1x1 convolutions; it has to be more
AVX = "x86 with AVX, where XNNPACK takes dense kernels to be faster and has no sparse ones"


def sparse_refusals(content: bytes, processor: frozenset[str]) -> tuple[str, ...]:
    """Return each reason for which XNNPACK runs a .tflite file dense here; () where it does not.

    `processor` holds the processor's flags, as Linux spells them.
    """
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    layers = [row for row in graph.operators if op_code(model, row) in (Op.CONV_2D, Op.DEPTHWISE_CONV_2D)]
    read = [graph.tensors[tensor] for row in layers for tensor in row.inputs[:2]]
    if any(tensor.type != schema.TensorType.FLOAT32 for tensor in read):
        return ("sparse kernels are for float32 alone",)
    found = [AVX] if "avx" in processor else []
    share = _pointwise_zeros(content, {_weight_name(model, row) for row in layers if _is_pointwise(model, row)})
    if not share > LEAST_ZEROS:
        found.append(f"{100 * share:.1f} % of the 1x1 weights are zero, over {100 * LEAST_ZEROS:.1f} % are needed")
    same = sum(row.builtinOptions.padding == schema.Padding.SAME for row in layers if not _is_pointwise(model, row))
    if same:
        found.append(f"{same} layers with larger windows pad as SAME: a window's rest on each side alike is needed")
    if all(op_code(model, row) != Op.DENSIFY for row in graph.operators):
        found.append("the weights are stored dense: XNNPACK looks for zeros only behind DENSIFY")
    return tuple(found)


def _is_pointwise(model: Model, operator: Any) -> bool:
    shape = model.subgraphs[0].tensors[operator.inputs[1]].shape
    return op_name(op_code(model, operator)) == "CONV_2D" and math.prod(shape[1:3]) == 1


def _weight_name(model: Model, operator: Any) -> str:
    name = model.subgraphs[0].tensors[operator.inputs[1]].name
    return str(name.decode() if isinstance(name, bytes) else name).partition("/weight")[0]


def _pointwise_zeros(content: bytes, names: set[str]) -> float:
    rows = [row for row in layer_facts(content) if row.name in names]
    return sum(row.zeros for row in rows) / max(1, sum(row.weights for row in rows))
