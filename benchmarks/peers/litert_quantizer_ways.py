"""litert-quantizer's own ways from a float .tflite file to a full-integer one, to hold edgenet's against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = Sequence[NDArray[np.float32]]
"""Calibration images [1, side, side, 3] as the network takes them."""


def full_integer(content: bytes, images: Images) -> bytes:
    """Calibrate in the default mode and quantize: int8 weights, activations and ends."""
    return _full_integer(content, images)


def full_integer_by_profiler(content: bytes, images: Images) -> bytes:
    """Calibrate in the mode that its README recommends, which reads minima and maxima off in C++, and quantize."""
    from litert_quantizer import calibrator

    return _full_integer(content, images, mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED)


def _full_integer(content: bytes, images: Images, **options: Any) -> bytes:
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import quantizer, recipe

    ((key, ends),) = Interpreter(model_content=content).get_signature_list().items()
    (image,) = ends["inputs"]
    work = quantizer.Quantizer(bytearray(content))
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = work.calibrate({key: [{image: row} for row in images]}, **options)
    return bytes(work.quantize(ranges).quantized_model)
