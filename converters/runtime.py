"""The TFLite runtime behind one small class: load a file's bytes, run images through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError, MissingError
from edgenet.native_noise import quiet_native_stderr


@dataclass(frozen=True)
class TensorInfo:
    """One end of a model; scale 0 means that it is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int


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


class Runner:
    """One loaded model of one input and one or more outputs."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        try:
            with quiet_native_stderr():
                self._interpreter = interpreter_class()(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
                inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:  # among them names that are not UTF-8
            raise InputError(f"the TFLite runtime cannot load the model: {_first_line(error)}") from error
        if len(inputs) != 1:
            raise InputError(f"the model has {len(inputs)} inputs", allowed="one image input")
        self.input = _info(inputs[0])
        self._input_index = inputs[0]["index"]
        self.outputs = tuple(_info(row) for row in outputs)
        self._output_indices = tuple(row["index"] for row in outputs)

    def run(self, values: NDArray[Any]) -> None:
        """Set the input tensor as it is (no scaling) and run the model."""
        if values.shape != self.input.shape or values.dtype != self.input.dtype:
            expected = f"{self.input.dtype} {list(self.input.shape)}"
            raise InputError(f"the model takes {expected}, not {values.dtype} {list(values.shape)}")
        self._interpreter.set_tensor(self._input_index, values)
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the TFLite runtime cannot run the model: {_first_line(error)}") from error

    def view(self, output: int) -> NDArray[Any]:
        """Return an output as the runtime's own memory: valid until the next run, and only while nothing keeps it."""
        return self._interpreter.tensor(self._output_indices[output])()  # type: ignore[no-any-return]  # untyped runtime

    def real_output(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the first output as real numbers for a real input, rounded to the input's own steps if it has any."""
        if self.input.scale:
            low, high = np.iinfo(self.input.dtype).min, np.iinfo(self.input.dtype).max
            steps = np.round(values / self.input.scale) + self.input.zero_point
            self.run(np.clip(steps, low, high).astype(self.input.dtype))
        else:
            self.run(values)
        return decode(self.view(0), self.outputs[0])

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the first output as real numbers [classes] for raw pixels [side, side, 3], whatever the ends."""
        self.run(encode_pixels(pixels, self.input))
        return decode(self.view(0), self.outputs[0]).reshape(-1)


def encode_pixels(pixels: NDArray[np.uint8], end: TensorInfo) -> NDArray[Any]:
    """Return raw pixels [side, side, 3] as the model's input: uint8 as they are, int8 less 128, float32 0–255."""
    batch = pixels[np.newaxis]
    if end.dtype == np.int8:
        return (batch.astype(np.int16) - 128).astype(np.int8)
    return batch.astype(end.dtype)


def decode(values: NDArray[Any], end: TensorInfo) -> NDArray[np.float32]:
    """Return real numbers: (q - zero_point) * scale for a quantized output, a copy for a float one."""
    if end.scale:
        return ((values.astype(np.float32) - end.zero_point) * np.float32(end.scale)).astype(np.float32)
    return np.array(values, dtype=np.float32)


def _info(row: dict[str, Any]) -> TensorInfo:
    scale, zero_point = row["quantization"]
    shape = tuple(int(size) for size in row["shape"])
    return TensorInfo(str(row["name"]), shape, np.dtype(row["dtype"]), float(scale), int(zero_point))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
