"""The layers of an .onnx file that was translated from a TFLite graph, found by the names of that graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.ends import INNER_SUFFIXES
from converters.loaded import LoadedModel
from converters.onnx_file.document import parse
from converters.onnx_file.ends import output_steps
from converters.onnx_file.inside import OnnxInside

# An end that was added behind a tensor has its name; then the tensor itself has one of these behind its own.
_INNER = (*INNER_SUFFIXES, ":uint8", ":int8")
_PASSED_ON = ("DequantizeLinear", "QuantizeLinear", "Transpose")


@dataclass(frozen=True)
class OnnxLayer:
    """A Conv or Gemm of the file with int8 weights, as real numbers; `reads` is the value that it takes in."""

    reads: str
    weight: NDArray[np.float32]  # [O, I, kH, kW], [C, 1, kH, kW] of a depthwise one, [O, I] of a dense one
    bias: NDArray[np.float32] | None


class OnnxLayers:
    """The values of an .onnx file under the names of the TFLite graph that it comes from."""

    def __init__(self, content: bytes) -> None:
        from onnx import numpy_helper

        self._graph = parse(content).graph
        self._inside = OnnxInside(content)
        self._makers = {name: node for node in self._graph.node for name in node.output}
        self._constants = {row.name: numpy_helper.to_array(row) for row in self._graph.initializer}

    def value(self, name: str) -> str | None:
        """Return the value that is the tensor `name`, without an end behind it; None if there is none."""
        found = [name + suffix for suffix in (*_INNER, "") if name + suffix in self._makers]
        return found[0] if found else None

    def steps(self, value: str) -> tuple[float, int] | None:
        """Return scale and zero point of a value, of the type int8; of a float one those that its readers round to."""
        rounded = [node.output[0] for node in self._graph.node if _rounds(node, value)]
        for name in (value, *rounded):
            scale, zero_point = output_steps(self._graph, name)
            if scale:
                return scale, zero_point - (128 if self._is_unsigned(name) else 0)
        return None

    def layer(self, name: str) -> OnnxLayer | None:
        """Return the layer that fills the tensor `name`; None for one without int8 weights."""
        value = self.value(name)
        node = self._makers.get(f"{value}:sum") or self._makers.get(str(value))
        if node is None or node.op_type not in ("Conv", "Gemm"):
            return None
        weight = self._int8(node.input[1])
        if weight is None:
            return None
        bias = self._real(node.input[2]) if len(node.input) > 2 else None
        return OnnxLayer(node.input[0], weight, bias)

    def is_image(self, value: str) -> bool:
        """Return whether a value is the image itself, turned or rounded at most."""
        while (maker := self._makers.get(value)) is not None and maker.op_type in _PASSED_ON:
            value = maker.input[0]
        return bool(value == self._graph.input[0].name)

    def runner(self, values: Iterable[str]) -> LoadedModel:
        """Return the file loaded with these values as its outputs, [N, H, W, C] where they have rank 4."""
        return self._inside.runner(list(values))

    def _is_unsigned(self, value: str) -> bool:
        from onnx import TensorProto

        return self._inside.kind(value) == TensorProto.UINT8

    def _int8(self, value: str) -> NDArray[np.float32] | None:
        """Return int8 weights as real numbers, by whichever ops the file widens them; None for other weights."""
        node = self._makers.get(value)
        if node is None:
            return None
        source = self._makers.get(node.input[0], node)  # behind a Mul stands a Cast
        steps = self._constants.get(source.input[0])
        return self._real(value) if steps is not None and steps.dtype == np.int8 else None

    def _real(self, value: str) -> NDArray[np.float32]:
        """Return a constant as real numbers."""
        node = self._makers.get(value)
        if node is None:
            return np.asarray(self._constants[value], dtype=np.float32)
        if node.op_type == "Cast":
            return self._real(node.input[0])
        left, right = self._real(node.input[0]), self._real(node.input[1])
        if node.op_type == "DequantizeLinear":  # its zero point is 0
            shape = [1] * left.ndim
            axis = next((int(row.i) for row in node.attribute if row.name == "axis"), 0)
            shape[axis] = -1
            right = right.reshape(shape if right.ndim else ())
        return np.asarray(left * right, dtype=np.float32)


def _rounds(node: Any, value: str) -> bool:
    return bool(node.op_type == "QuantizeLinear" and node.input[0] == value)
