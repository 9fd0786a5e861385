"""What an op asks of a chip with a square matrix unit, in its steps, and of a CPU, in multiply-accumulates.

The Edge TPU multiplies 64 inputs by 64 outputs in one step (64 * 64 * 2 operations * 500 MHz = 4.1 TOPS, published as
4). A convolution brings its window and its inputs to the 64 rows, so a first layer of 3 channels fills 36 of them with
its 3x3 window. A depthwise convolution, a pooling or a sum has one input for each output and fills one row. That gives
476 927 steps for MobileNet v2; the compiler itself wrote 458 040 into its file (../shared/data/edgetpu-pairs).
"""

from __future__ import annotations

from math import prod

from converters.check.graph import Operator
from converters.check.parameters import INPUTS, round_up

ROWS = COLUMNS = 64


def array_steps(operator: Operator) -> int:
    """Return the steps in which an op uses the matrix unit as what it is; 0 for one that does not."""
    weight = operator.input(1)
    if operator.name not in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV") or weight is None or not weight.shape:
        return 0
    rows = prod(weight.shape[1:-1]) * round_up(weight.shape[-1], INPUTS)
    places = prod(_spread(operator)[:-1])
    return places * -(-rows // ROWS) * -(-weight.shape[0] // COLUMNS)


def lane_steps(operator: Operator) -> int:
    """Return the steps of an op that has one input for each output: 64 of its values come out of each."""
    return 0 if array_steps(operator) else -(-operator.outputs[0].values * _window(operator) // COLUMNS)


def cpu_work(operator: Operator) -> int:
    """Return an op's multiply-accumulates; for one without weights, the values that it writes times its window."""
    weight = operator.input(1)
    if array_steps(operator) and weight is not None:
        return prod(_spread(operator)[:-1]) * prod(weight.shape)
    return operator.outputs[0].values * _window(operator)


def _spread(operator: Operator) -> tuple[int, ...]:
    """Return the shape over which the weights go: the output, or the input that is spread out."""
    data = operator.input(2)
    return data.shape if operator.name == "TRANSPOSE_CONV" and data is not None else operator.outputs[0].shape


def _window(operator: Operator) -> int:
    weight = operator.input(1)
    if operator.name == "DEPTHWISE_CONV_2D" and weight is not None:
        return prod(weight.shape[1:-1])
    if operator.name in ("MEAN", "SUM"):
        data = operator.input(0)
        return max(1, data.values // max(1, operator.outputs[0].values)) if data else 1
    return int(operator.options.get("window_w", 1) * operator.options.get("window_h", 1))
