"""The steps of 16-bit activations: symmetric, as TFLite's 16-bit kernels want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.edit import make_steps, text
from converters.flatbuffer import Model
from converters.patterns import op_code
from converters.ranges import Range
from edgenet.errors import InputError

Op = schema.BuiltinOperator
LARGEST = 32767  # steps on either side of 0
# TFLite's 8-bit and 16-bit quantization specification: the kernels of these give 32768ths.
_FIXED_SCALES = {Op.LOGISTIC: 1 / 32768, Op.TANH: 1 / 32768, Op.SOFTMAX: 1 / 32768}
# Ops that move values or pick some: their kernels do not rescale.
_MOVING = frozenset((Op.PAD, Op.PADV2, Op.RESHAPE, Op.SQUEEZE, Op.TRANSPOSE, Op.AVERAGE_POOL_2D, Op.MAX_POOL_2D))


class Steps16:
    """The 16-bit steps of the activations of a graph, from their ranges by name."""

    def __init__(self, model: Model, ranges: Mapping[str, Range]) -> None:
        graph = model.subgraphs[0]
        self._ranges = ranges
        self._names = [text(tensor.name) for tensor in graph.tensors]
        self._fillers = {int(row.outputs[0]): (op_code(model, row), int(row.inputs[0])) for row in graph.operators}

    def of(self, tensor: int) -> Any:
        """Return the quantization of an activation by its index; raise InputError if it has no range."""
        return make_steps([self._scale(tensor)])

    def _scale(self, tensor: int) -> float:
        code, source = self._fillers.get(tensor, (None, tensor))
        if code in _FIXED_SCALES:
            return _FIXED_SCALES[code]
        if code in _MOVING:
            return self._scale(source)
        row = self._ranges.get(self._names[tensor])
        if row is None:
            raise InputError(f"tensor {self._names[tensor]!r} has no range for 16 bits")
        return float(np.float32(max(-row.low, row.high) / LARGEST))
