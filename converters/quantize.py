"""Turn a float .tflite graph into one of the smaller precisions.

litert-quantizer rewrites the graph; the ranges it uses, the ends of the file and the container are ours.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import flatbuffer
from converters.compensate import correct_biases, every_layer, keep_kernel_sums
from converters.dead_channels import widen_tiny_scales
from converters.edit import text
from converters.flatbuffer import Model
from converters.learned_weights import set_weights
from converters.op_versions import set_op_versions
from converters.patterns import op_code
from converters.quantized_layers import WEIGHTED
from converters.ranges import Range
from edgenet.errors import InputError
from edgenet.precision import Precision
from edgenet.trained_steps import TrainedWeight

MAX_STEP_RATIO = 256.0  # input scale * weight scale / output scale: the limit of XNNPACK's 8-bit kernels


@dataclass(frozen=True)
class ActivationData:
    """What calibration knows of each activation by name: its range, and the mean of its channels [C]."""

    ranges: dict[str, Range]
    means: dict[str, NDArray[np.float64]]


NO_DATA = ActivationData({}, {})


def quantize_model(
    content: bytes,
    precision: Precision,
    data: ActivationData = NO_DATA,
    original: Model | None = None,
    *,
    keep_sums: Callable[[str], bool] = every_layer,
    bias_correction: bool = True,
    trained: Mapping[str, TrainedWeight] | None = None,
) -> Model:
    """Return the model of a float .tflite file in another precision; `data` serves w8a8 and w8a16 alone.

    A caller who has parsed `content` already gives it as `original` too, which stays as it is. Both remedies of
    `compensate.py` are taken: `keep_sums` tells by the name of its output whether a layer gets the first one,
    `bias_correction` turns the second one off. Neither is taken where weights are `trained` ones, by the names of
    layers' outputs: the network has learned with each weight at its nearest step, and that would be undone.

    The ends of w8a8 are int8, those of w8a16 int16, all others float32. Raise InputError for a graph that cannot be
    quantized.
    """
    if precision == "fp32":
        return _finished(flatbuffer.read(content))
    calibration = _as_calibration(data.ranges) if precision in ("w8a8", "w8a16") else None
    quantizer = _quantizer_class()(bytearray(content), _RECIPES[precision]())
    try:
        # The library prints progress of its own, which is neither --json nor our progress line.
        # Biases beyond 32 bits, which it casts with a warning, are mended below (`dead_channels.py`).
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            np.errstate(invalid="ignore"),
        ):
            result = quantizer.quantize(calibration, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InputError(
            f"cannot quantize the model to {precision}: {error}", mend="edgenet info FILE lists its ops"
        ) from error
    model, original = flatbuffer.read(bytes(result.quantized_model)), original or flatbuffer.read(content)
    if trained is not None:
        set_weights(model, original, trained)
        widen_tiny_scales(model, original)
    elif precision != "fp16":
        widen_tiny_scales(model, original)
        keep_kernel_sums(model, original, keep_sums)
        if bias_correction:
            correct_biases(model, original, data.means)
    if precision == "w8a8":
        _refuse_extremes(model)
    return _finished(model)


def _refuse_extremes(model: Model) -> None:
    """Raise InputError for a layer whose sums are too coarse for its output.

    XNNPACK refuses it when the file is loaded, and the runtime then frees memory twice: that would end this process.
    """
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if op_code(model, operator) in WEIGHTED:
            source, weights = (graph.tensors[tensor].quantization for tensor in operator.inputs[:2])
            output = graph.tensors[operator.outputs[0]]
            if source is None or output.quantization is None or output.quantization.scale is None:
                continue
            ratio = float(source.scale[0] * np.max(weights.scale) / output.quantization.scale[0])
            if not ratio < MAX_STEP_RATIO:
                raise InputError(
                    f"layer {text(output.name)!r}: a step of its sums is {ratio:.3g} steps of its output",
                    allowed=f"less than {MAX_STEP_RATIO:g}",
                    mend="its values are out of all proportion: check the weights, or take --dynamic or --fp16",
                )


def _finished(model: Model) -> Model:
    set_op_versions(model)
    return model


def _as_calibration(ranges: dict[str, Range]) -> dict[str, dict[str, Any]]:
    return {
        name: {"min": np.asarray(row.low, dtype=np.float32), "max": np.asarray(row.high, dtype=np.float32)}
        for name, row in ranges.items()
    }


def _quantizer_class() -> Any:
    from litert_quantizer import quantizer

    class RangesKnown(quantizer.Quantizer):  # type: ignore[misc]  # the library is not typed
        """The library's quantizer without its check that every tensor has a range.

        The check loads the float model with each activation kept in memory (3.5 GB for b7); a missing range shows in
        quantize() as a KeyError all the same.
        """

        def _ensure_model_qsv_sufficient(self, calibration_result: object) -> None:
            del calibration_result

    return RangesKnown


def _static(activation_bits: int) -> Any:
    from litert_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    manager.add_static_config(".*", everything, activation_num_bits=activation_bits, weight_num_bits=8)
    return manager.get_quantization_recipe()


def _weight_only(bits: int) -> Any:
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    names = algorithm_manager.AlgorithmName
    algorithm = names.FLOAT_CASTING if bits == 16 else names.MIN_MAX_UNIFORM_QUANT
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    manager.add_weight_only_config(".*", everything, num_bits=bits, algorithm_key=algorithm)
    return manager.get_quantization_recipe()


def _dynamic() -> Any:
    from litert_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    names = qtyping.TFLOperationName
    manager.add_dynamic_config(".*", names.ALL_SUPPORTED, num_bits=8)
    # With one scale a channel it would be FULLY_CONNECTED version 12, which tflite-runtime 2.14 does not know.
    manager.add_dynamic_config(".*", names.FULLY_CONNECTED, num_bits=8, granularity=qtyping.QuantGranularity.TENSORWISE)
    return manager.get_quantization_recipe()


_RECIPES: dict[Precision, Callable[[], Any]] = {
    "fp16": lambda: _weight_only(16),
    "w8": lambda: _weight_only(8),
    "w8d": _dynamic,
    "w8a8": lambda: _static(8),
    "w8a16": lambda: _static(16),
}
