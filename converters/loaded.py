"""What a loaded model is, whichever runtime runs it: its ends, and raw pixels in, real numbers out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError


@dataclass(frozen=True)
class TensorInfo:
    """One end of a model; scale 0 means that it is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int


class LoadedModel(ABC):
    """One loaded model of one input and one or more outputs."""

    input: TensorInfo
    outputs: tuple[TensorInfo, ...]

    @abstractmethod
    def run(self, values: NDArray[Any]) -> None:
        """Set the input tensor as it is (no scaling) and run the model."""

    @abstractmethod
    def view(self, output: int) -> NDArray[Any]:
        """Return an output of the last run; it may be the runtime's own memory, valid until the next one."""

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

    def check(self, values: NDArray[Any]) -> None:
        """Raise InputError unless the values fit the input."""
        if values.shape != self.input.shape or values.dtype != self.input.dtype:
            expected = f"{self.input.dtype} {list(self.input.shape)}"
            raise InputError(f"the model takes {expected}, not {values.dtype} {list(values.shape)}")


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


def first_line(error: Exception) -> str:
    """Return the first line of what a runtime said."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
