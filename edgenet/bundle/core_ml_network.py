"""The float network of an artifact as plain steps, which a Python with nothing but coremltools can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.onnx_file.options import OnnxOptions
from converters.onnx_file.translate import translate
from edgenet.errors import InputError

# Ops of an .onnx file that `core_ml_script.py` has a counterpart for.
KNOWN_OPS = ("Add", "Clip", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "Mul", "Relu", "Sigmoid", "Sub")


@dataclass(frozen=True)
class Step:
    """One op: values by their names, layout [N, C, H, W]."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Network:
    """A network from raw pixels [1, 3, side, side] named `image` to logits [1, classes] named `output`."""

    steps: tuple[Step, ...]
    output: str
    constants: dict[str, NDArray[np.float32]]

    def document(self, **more: Any) -> bytes:
        """Return all but the arrays as JSON."""
        return json.dumps({"steps": [asdict(row) for row in self.steps], "output": self.output, **more}).encode()

    def arrays(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return the constants, and pixels [N, side, side, 3], as an .npz file."""
        arrays: dict[str, Any] = {"pixels": pixels, **self.constants}
        stream = BytesIO()
        np.savez(stream, **arrays)
        return stream.getvalue()


def network_of(content: bytes) -> Network:
    """Return the steps of a float .tflite file; raise InputError, which names it, for an op without a counterpart."""
    from onnx import helper, numpy_helper

    graph = translate(flatbuffer.read(content), OnnxOptions()).graph
    constants = {row.name: np.asarray(numpy_helper.to_array(row)) for row in graph.initializer}
    [image] = graph.input
    alias = {image.name: "image"}
    steps = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] == image.name:  # Core ML gives an image as [N, C, H, W]
            alias[node.output[0]] = "image"
            continue
        if node.op_type not in KNOWN_OPS:
            raise InputError(
                f"--core-ml: the float network has a {node.op_type}, {node.output[0]}", allowed=", ".join(KNOWN_OPS)
            )
        inputs = tuple(alias.get(name, name) for name in node.input)
        attributes = {row.name: helper.get_attribute_value(row) for row in node.attribute}
        steps.append(Step(node.op_type, inputs, node.output[0], attributes))
    return Network(tuple(steps), graph.output[0].name, constants)
