"""The TFLite runtime behind one small class: load a file's bytes, run images through it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from converters.loaded import LoadedModel, TensorInfo, decode, encode_pixels, first_line
from converters.onnx_file.document import is_onnx
from converters.onnx_file.runner import OnnxRunner
from edgenet.errors import InputError, MissingError
from edgenet.native_noise import quiet_native_stderr

__all__ = ["LoadedModel", "Runner", "TensorInfo", "decode", "encode_pixels", "interpreter_class", "load_runner"]

# xnnpack: what an app gets; builtin: the optimized kernels without a delegate; reference: those that define the ops.
Kernels = Literal["xnnpack", "builtin", "reference"]
_RESOLVERS = {"builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


def load_runner(content: bytes, threads: int = 1) -> LoadedModel:
    """Return a model loaded by the runtime that its bytes belong to; raise InputError or MissingError."""
    return OnnxRunner(content, threads) if is_onnx(content) else Runner(content, threads)


def interpreter_class() -> Callable[..., Any]:
    """Return the Interpreter of ai-edge-litert, else of tflite-runtime; raise MissingError if neither is installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError as error:
            mend = "pip install ai-edge-litert (tflite-runtime on Python 3.11 or older with NumPy below 2)"
            raise MissingError("no TFLite runtime is installed", mend=mend) from error
    return Interpreter  # type: ignore[no-any-return]  # neither package is typed


class Runner(LoadedModel):
    """One loaded .tflite model of one input and one or more outputs."""

    def __init__(self, content: bytes, threads: int = 1, kernels: Kernels = "xnnpack") -> None:
        interpreter = interpreter_class()
        try:
            with quiet_native_stderr():
                self._interpreter = interpreter(
                    model_content=content, num_threads=threads, **_resolver(interpreter, kernels)
                )
                self._interpreter.allocate_tensors()
                inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:  # among them names that are not UTF-8
            raise InputError(f"the TFLite runtime cannot load the model: {first_line(error)}") from error
        if len(inputs) != 1:
            raise InputError(f"the model has {len(inputs)} inputs", allowed="one image input")
        self.input = _info(inputs[0])
        self._input_index = inputs[0]["index"]
        self.outputs = tuple(_info(row) for row in outputs)
        self._output_indices = tuple(row["index"] for row in outputs)

    def run(self, values: NDArray[Any]) -> None:
        """Set the input tensor as it is (no scaling) and run the model."""
        self.check(values)
        self._interpreter.set_tensor(self._input_index, values)
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the TFLite runtime cannot run the model: {first_line(error)}") from error

    def view(self, output: int) -> NDArray[Any]:
        """Return an output as the runtime's own memory: valid until the next run, and only while nothing keeps it."""
        return self._interpreter.tensor(self._output_indices[output])()  # type: ignore[no-any-return]  # untyped runtime


def _resolver(interpreter: Callable[..., Any], kernels: Kernels) -> dict[str, Any]:
    """Return the argument that chooses kernels; XNNPACK is what the runtime takes by itself."""
    if kernels == "xnnpack":
        return {}
    kinds = sys.modules[interpreter.__module__].OpResolverType
    return {"experimental_op_resolver_type": getattr(kinds, _RESOLVERS[kernels])}


def _info(row: dict[str, Any]) -> TensorInfo:
    scale, zero_point = row["quantization"]
    shape = tuple(int(size) for size in row["shape"])
    return TensorInfo(str(row["name"]), shape, np.dtype(row["dtype"]), float(scale), int(zero_point))
