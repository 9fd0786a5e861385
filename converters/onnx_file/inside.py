"""Look inside an .onnx file: any of its values as an output, in TFLite's order of axes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from converters.loaded import LoadedModel, TensorInfo
from converters.onnx_file.document import parse
from converters.onnx_file.runner import OnnxRunner
from edgenet.errors import InputError

TO_NHWC = (0, 2, 3, 1)


class OnnxInside:
    """An .onnx file whose values can be looked at by name."""

    def __init__(self, content: bytes) -> None:
        import onnx

        model = parse(content)
        try:
            self._model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        except onnx.shape_inference.InferenceError as error:
            raise InputError("the shapes inside the file contradict each other") from error
        graph = self._model.graph
        self._infos = {row.name: row for row in (*graph.value_info, *graph.output)}
        self.shapes = {name: _shape(info) for name, info in self._infos.items()}

    def kind(self, name: str) -> int:
        """Return the type of a value, as ONNX numbers types."""
        return int(self._infos[name].type.tensor_type.elem_type) if name in self._infos else 0

    def runner(self, names: Sequence[str]) -> LoadedModel:
        """Return the file loaded on all cores with these values as its outputs, [N, H, W, C] where they have rank 4."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.output[:]
        model.graph.output.extend(self._infos[name] for name in names)
        return _TurnedBack(model.SerializeToString(), os.cpu_count() or 1)


def _shape(info: Any) -> tuple[int, ...]:
    """Return a value's shape in TFLite's order of axes."""
    shape = tuple(int(row.dim_value) for row in info.type.tensor_type.shape.dim)
    return tuple(shape[axis] for axis in TO_NHWC) if len(shape) == 4 else shape


class _TurnedBack(OnnxRunner):
    """A runner whose outputs of rank 4 are given in TFLite's order of axes."""

    def __init__(self, content: bytes, threads: int) -> None:
        super().__init__(content, threads)
        self.outputs = tuple(_turned(end) for end in self.outputs)

    def view(self, output: int) -> NDArray[Any]:
        """Return an output of the last run."""
        values = super().view(output)
        return values.transpose(TO_NHWC) if values.ndim == 4 else values


def _turned(end: TensorInfo) -> TensorInfo:
    if len(end.shape) != 4:
        return end
    return TensorInfo(end.name, tuple(end.shape[axis] for axis in TO_NHWC), end.dtype, end.scale, end.zero_point)
