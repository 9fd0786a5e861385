"""The values of an ONNX graph that is being written, each under the name that its tensor has in the TFLite graph.

Rank 4 is [N, C, H, W] here and [N, H, W, C] there. A quantized tensor is up to three values: `name:real`, what the op
gives; `name`, the whole numbers that QuantizeLinear makes of it; `name:rounded`, the real numbers that others read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.edit import text
from converters.flatbuffer import Model
from converters.onnx_file.options import ActivationType
from edgenet.errors import InputError

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

Type = schema.TensorType
UINT8_SHIFT = 128  # uint8 q = int8 q + 128 for the same real number
TO_NCHW = (0, 3, 1, 2)
_NUMPY = {
    Type.FLOAT32: np.float32, Type.FLOAT16: np.float16, Type.INT8: np.int8, Type.UINT8: np.uint8,
    Type.INT32: np.int32, Type.INT64: np.int64, Type.INT16: np.int16,
}  # fmt: skip
_OURS = re.compile(":[a-z_]")  # what is added to a tensor's name; TensorFlow's own ":0" is none
EIGHT_BITS = (Type.INT8, Type.UINT8)


@dataclass(frozen=True)
class Steps:
    """The whole numbers of a quantized activation: real = scale * (whole - zero_point)."""

    scale: float
    zero_point: int
    dtype: np.dtype[Any]

    def whole(self, real: float) -> int:
        """Return the whole number of a real one, not yet cut off at the ends of the type."""
        return round(real / self.scale) + self.zero_point


class Values:
    """Nodes and constants of one graph; tensors are spoken of by their index in the TFLite graph."""

    def __init__(self, model: Model, activations: ActivationType) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.activations = np.dtype(activations)
        self._real: dict[int, str] = {}
        self._whole: dict[int, str] = {}
        self._names = _distinct_names(self.graph)
        self._makers = {int(row.outputs[0]): row for row in self.graph.operators if len(row.outputs)}

    # What the TFLite graph says

    def name(self, tensor: int) -> str:
        """Return the name of a tensor, unlike any other's."""
        return self._names[tensor]

    def rename(self, tensor: int, name: str) -> None:
        """Let a tensor be written under another name."""
        self._names[tensor] = name

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor, [N, H, W, C] as TFLite has it."""
        return tuple(int(size) for size in self.graph.tensors[tensor].shape)

    def nchw(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor as ONNX has it."""
        shape = self.shape(tensor)
        return tuple(shape[axis] for axis in TO_NCHW) if len(shape) == 4 else shape

    def data(self, tensor: int) -> NDArray[Any] | None:
        """Return the data of a constant in its own shape; None for what an op fills."""
        row = self.graph.tensors[tensor]
        data = self.model.buffers[row.buffer].data
        if data is None or len(data) == 0:
            return None
        if row.type not in _NUMPY:
            raise InputError(f"constant {self.name(tensor)!r} has a type that is not known here")
        return np.frombuffer(bytes(data), dtype=_NUMPY[row.type]).reshape(self.shape(tensor))

    def maker(self, tensor: int) -> Any | None:
        """Return the operator that fills a tensor; None for constants and inputs."""
        return self._makers.get(tensor)

    def readers(self, tensor: int) -> list[Any]:
        """Return the operators that read a tensor."""
        return [row for row in self.graph.operators if tensor in [int(one) for one in row.inputs]]

    def scales(self, tensor: int) -> NDArray[np.float32]:
        """Return the scales of a quantized tensor, [1] or one a channel."""
        return np.asarray(self.graph.tensors[tensor].quantization.scale, dtype=np.float32).reshape(-1)

    def steps(self, tensor: int) -> Steps | None:
        """Return the steps of an 8-bit activation; None for float, and for int16, which stays float in ONNX.

        ONNX Runtime has no int16 kernels, and what 16 bits round off is nothing beside the 8 bits around them.
        """
        own = self.own_steps(tensor)
        if own is None:
            return None
        shift = UINT8_SHIFT * (int(own.dtype == np.int8) - int(self.activations == np.int8))
        return Steps(own.scale, own.zero_point + shift, self.activations)

    def own_steps(self, tensor: int) -> Steps | None:
        """Return the steps of an 8-bit activation in the type that TFLite has it in."""
        row = self.graph.tensors[tensor]
        if row.type not in EIGHT_BITS:
            return None
        if row.quantization is None or row.quantization.scale is None or len(row.quantization.scale) != 1:
            raise InputError(f"tensor {self.name(tensor)!r} has 8 bits but not one scale", allowed="one scale")
        dtype = np.dtype(np.int8 if row.type == Type.INT8 else np.uint8)
        return Steps(float(self.scales(tensor)[0]), int(row.quantization.zeroPoint[0]), dtype)

    # What is written

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output and return that output."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant once under its name, and return the name."""
        from onnx import numpy_helper

        if not self.has(name):
            self.constants[name] = numpy_helper.from_array(np.array(values, order="C"), name)
        return name

    def stepped_constant(self, tensor: int, data: NDArray[Any]) -> str:
        """Return a constant operand of 8 bits as real numbers."""
        own, steps = self.own_steps(tensor), self.steps(tensor)
        assert own is not None
        assert steps is not None
        whole = data.astype(np.int16) + (steps.zero_point - own.zero_point)
        return self._stepped(self.name(tensor), whole, steps)

    def negative(self, tensor: int, data: NDArray[Any]) -> str:
        """Return the negative of a constant operand of 8 bits as real numbers: its steps from the other end."""
        own, steps = self.own_steps(tensor), self.steps(tensor)
        assert own is not None
        assert steps is not None
        limits = np.iinfo(steps.dtype)
        ends = int(limits.min) + int(limits.max)
        whole = ends - (data.astype(np.int16) + (steps.zero_point - own.zero_point))
        return self._stepped(f"{self.name(tensor)}:negative", whole, replace(steps, zero_point=ends - steps.zero_point))

    def _stepped(self, name: str, whole: NDArray[np.int16], steps: Steps) -> str:
        if not self.has(name):  # several ops may share it
            self.dequantize(self.constant(name, whole.astype(steps.dtype)), name, steps, f"{name}:rounded")
        return f"{name}:rounded"

    def has(self, constant: str) -> bool:
        """Return whether there is a constant of this name already."""
        return constant in self.constants

    def real(self, tensor: int) -> str:
        """Return the value of an activation as real numbers."""
        if tensor not in self._real:
            if tensor not in self._whole:
                raise InputError(f"tensor {self.name(tensor)!r} is used before an op fills it")
            steps = self.steps(tensor)
            assert steps is not None
            name = self.name(tensor)
            self._real[tensor] = self.dequantize(self._whole[tensor], name, steps, f"{name}:rounded")
        return self._real[tensor]

    def whole(self, tensor: int) -> str | None:
        """Return the value of an activation as whole numbers; None for a float one."""
        return self._whole.get(tensor)

    def set_real(self, tensor: int, value: str) -> None:
        """Say which value a float activation is."""
        self._real[tensor] = value

    def set_whole(self, tensor: int, value: str) -> None:
        """Say which value a quantized activation is."""
        self._whole[tensor] = value

    def quantize(self, value: str, owner: str, steps: Steps, output: str) -> str:
        """Add a QuantizeLinear with the steps of the tensor `owner`."""
        return self.node("QuantizeLinear", [value, *self._steps_constants(owner, steps)], output)

    def dequantize(self, value: str, owner: str, steps: Steps, output: str) -> str:
        """Add a DequantizeLinear with the steps of the tensor `owner`."""
        return self.node("DequantizeLinear", [value, *self._steps_constants(owner, steps)], output)

    def _steps_constants(self, owner: str, steps: Steps) -> list[str]:
        suffix = "" if steps.dtype == self.activations else f"_{steps.dtype}"
        scale = self.constant(f"{owner}:scale", np.asarray(steps.scale, dtype=np.float32))
        zero = self.constant(f"{owner}:zero_point{suffix}", np.asarray(steps.zero_point, dtype=steps.dtype))
        return [scale, zero]


def _distinct_names(graph: Any) -> list[str]:
    """Return a name a tensor; one that is empty, another's too or like one of ours gets its number."""
    names = [text(tensor.name) for tensor in graph.tensors]
    counts = Counter(names)
    counts.update(name for name in counts if _OURS.search(name))
    return [name if name and counts[name] == 1 else f"{name or 'tensor'}#{index}" for index, name in enumerate(names)]
