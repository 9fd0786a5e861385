"""The bytes that weights take on the chip, which are more than in the file.

Read out of three real compiled files (../shared/data/edgetpu-pairs): where the bias of each layer stands in the
package tells the size of every layer, and all 103 of them follow the rules below to the byte. The matrix unit takes
inputs in fours and fills 64 output channels at once; a narrow layer fills 16, 32 or 48. A depthwise weight is stored
with three zeros beside it. Nothing of it is published, and files with a step for each channel were not among the
three: for those it is likely, not known.
"""

from __future__ import annotations

from math import prod

from converters.check.graph import Operator
from converters.check.layers import WEIGHTED

INPUTS, OUTPUTS, NARROW_OUTPUTS = 4, 64, 16
BIAS_BYTES = 4
# Compilers 15 and 16 keep three tables for a softmax, 16 bytes a class each, and 64 bytes; older ones keep none.
SOFTMAX_BYTES_A_VALUE, SOFTMAX_BYTES = 48, 64


def round_up(value: int, step: int) -> int:
    """Return the multiple of `step` that is not less.

    >>> round_up(65, 64), round_up(64, 64)
    (128, 64)
    """
    return -(-value // step) * step


def parameter_bytes(operator: Operator) -> int:
    """Return the bytes of an op's constants on the chip."""
    weight = operator.input(1)
    if operator.name == "SOFTMAX":
        values = round_up(operator.outputs[0].shape[-1] if operator.outputs[0].shape else 1, INPUTS)
        return SOFTMAX_BYTES_A_VALUE * values + SOFTMAX_BYTES
    if operator.name not in WEIGHTED or weight is None or not weight.shape:
        return 0
    if operator.name == "DEPTHWISE_CONV_2D":  # [1, kH, kW, O]
        return weight.shape[-1] * (prod(weight.shape[1:-1]) * INPUTS + BIAS_BYTES)
    outputs = weight.shape[0]  # [O, kH, kW, I]
    filled = round_up(outputs, NARROW_OUTPUTS if outputs <= OUTPUTS else OUTPUTS)
    window = prod(weight.shape[1:-1]) * round_up(weight.shape[-1], INPUTS)
    return filled * (window + BIAS_BYTES)
