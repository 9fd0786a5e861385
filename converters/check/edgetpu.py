"""The Coral Edge TPU: the rules of targets/edgetpu.toml that are more than a list of types and versions."""

from __future__ import annotations

from math import prod

from converters.check.accelerator import Accelerator
from converters.check.compiled import CUSTOM_OP
from converters.check.graph import Graph, Operator, Tensor
from converters.check.judge import (
    QUANTIZE,
    STATIC,
    Rule,
    constant_weights,
    no_fused_activation,
    static_shape,
)
from converters.check.layers import WEIGHTED
from converters.check.partition import first_part
from converters.check.verdict import Finding, cpu, refused, uncertain
from edgenet.errors import InputError

INNER_DIMENSIONS = 3
MEAN_DEPTH_MULTIPLE = 4
SOFTMAX_VALUES = 16_000
# No size is published from which a reshape is "large"; the largest seen mapped has 1 001 values (edgetpu-pairs), and
# SOFTMAX_VALUES is what the chip takes as a row elsewhere.
RESHAPE_VALUES = SOFTMAX_VALUES
EIGHT_BITS = ("int8", "uint8")
DENSE = "a 1x1 convolution computes the same: edgenet convert --target edgetpu"


def rank(operator: Operator) -> Finding | None:
    """At most the three innermost dimensions may be larger than 1."""
    for tensor in operator.activations:
        if prod(tensor.shape[:-INNER_DIMENSIONS]) > 1:
            shape = list(tensor.shape)
            return cpu(f"shape {shape}: only the {INNER_DIMENSIONS} innermost dimensions may exceed 1", STATIC)
    return None


def inline_constants(operator: Operator) -> Finding | None:
    """Constants behind the flatbuffer came in 2023; the compiler is of 2021 and finds nothing there."""
    if not any(tensor.behind for tensor in operator.constants):
        return None
    return refused("its constants lie behind the flatbuffer, where old readers do not look", "repack with edgenet")


def same_dilation(operator: Operator) -> Finding | None:
    """Dilation has to be equal in x and y."""
    wide, high = operator.options["dilation_w"], operator.options["dilation_h"]
    return cpu(f"dilation {wide} x {high}: it has to be the same in x and y") if wide != high else None


def steps_per_channel(operator: Operator) -> Finding | None:
    """Per-channel steps are for int8 weights of convolutions; TFLite of that time has no others."""
    weight = operator.input(1)
    if weight is None or weight.scales <= 1:
        return None
    if operator.name == "FULLY_CONNECTED":
        return uncertain("a dense op with a step for each channel, newer than the compiler's TFLite", DENSE)
    return cpu("uint8 weights with a step for each channel", QUANTIZE) if weight.type != "int8" else None


def default_weights_format(operator: Operator) -> Finding | None:
    """A dense op's weights may not be shuffled."""
    return cpu("weights in a shuffled format") if operator.options["weights_format"] else None


def one_dimensional_output(operator: Operator) -> Finding | None:
    """A dense op gives one row."""
    shape = operator.outputs[0].shape
    return cpu(f"output {list(shape)}: it has to be one row") if prod(shape[:-1]) > 1 else None


def reduction(operator: Operator) -> Finding | None:
    """A reduction may not go over the batch, and a mean over the depth wants a depth divisible by 4."""
    axes = _axes(operator)
    if axes is None:
        return cpu("the axes are not constant", "freeze the model before converting it")
    shape = _first(operator).shape
    if 0 in axes and len(shape) == 4:
        return cpu("it reduces the batch")
    if operator.name == "MEAN" and len(shape) - 1 in axes and shape[-1] % MEAN_DEPTH_MULTIPLE:
        return cpu(f"a mean over a depth of {shape[-1]}, which is no multiple of {MEAN_DEPTH_MULTIPLE}")
    return None


def softmax_row(operator: Operator) -> Finding | None:
    """A softmax goes over one row of at most 16 000 values."""
    shape = _first(operator).shape
    if prod(shape[:-1]) > 1:
        return cpu(f"input {list(shape)}: it has to be one row")
    if shape[-1:] and shape[-1] > SOFTMAX_VALUES:
        return cpu(
            f"{shape[-1]} values; at most {SOFTMAX_VALUES}", "leave the softmax to the app: edgenet convert does"
        )
    return None


def resize(operator: Operator) -> Finding | None:
    """The compiler leaves some sizes out to keep precision; which, it never says."""
    before, after = _first(operator).shape, operator.outputs[0].shape
    sizes = f"{list(before[1:3])} to {list(after[1:3])}"
    return uncertain(f"resizing {sizes}: the compiler leaves some sizes to the CPU", "see the compiler's own log")


def small_reshape(operator: Operator) -> Finding | None:
    """A reshape of a large tensor may stay on the CPU."""
    values = _first(operator).values
    return uncertain(f"a reshape of {values:,} values: large ones may be left out") if values > RESHAPE_VALUES else None


def not_the_batch(operator: Operator) -> Finding | None:
    """Padding and packing may not change the batch."""
    if operator.name == "PACK":
        return cpu("it packs along the batch") if operator.options["axis"] == 0 else None
    table = operator.input(1)
    widths = table.wholes() if table else ()
    if table is None or not table.constant:
        return cpu("the padding is not constant", "freeze the model before converting it")
    return cpu("it pads the batch") if len(_first(operator).shape) == 4 and any(widths[:2]) else None


def constant_zeros(operator: Operator) -> Finding | None:
    """A concatenation takes a constant only as zeros beside one other input."""
    constants = operator.constants
    if not constants:
        return None
    zeros = len(operator.inputs) == 2 and constants[0].zeros
    return None if zeros else cpu("it joins a constant that is not zeros beside one other input")


def alpha_row(operator: Operator) -> Finding | None:
    """PReLU's slopes go along the depth only."""
    alpha = operator.input(1)
    shape = alpha.shape if alpha else ()
    return (
        cpu(f"slopes {list(shape)}: one a channel is allowed", "shared_axes=[1, 2]") if prod(shape[:-1]) > 1 else None
    )


def eight_bit_ends(operator: Operator) -> Finding | None:
    """A conversion is taken between 8-bit types only."""
    wrong = [tensor.type for tensor in operator.activations if tensor.type not in EIGHT_BITS]
    return cpu(f"it converts {wrong[0]}", "take integer ends: edgenet convert --io uint8") if wrong else None


def _first(operator: Operator) -> Tensor:
    """Return the first input, or where a file leaves it out, the output."""
    return operator.input(0) or operator.outputs[0]


def _axes(operator: Operator) -> set[int] | None:
    """Return the axes of a reduction, counted from 0; None where they are not constant."""
    axes = operator.input(1)
    if axes is None or not axes.constant:
        return None
    count = max(1, len(_first(operator).shape))
    return {axis % count for axis in axes.wholes()}


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        static_shape, no_fused_activation, constant_weights, rank, inline_constants, same_dilation, steps_per_channel,
        default_weights_format, one_dimensional_output, reduction, softmax_row, resize, small_reshape, not_the_batch,
        constant_zeros, alpha_row, eight_bit_ends,
    )
}  # fmt: skip


def refuse(graph: Graph) -> None:
    """Raise InputError for a file of which no op works on 8 bits: there is nothing to tell about it."""
    working = [row for row in graph.operators if row.name not in ("QUANTIZE", "DEQUANTIZE")]
    types = {tensor.type for row in working for tensor in row.activations}
    if not working:
        raise InputError("the file has no op that computes", mend="give a network")
    if not types.isdisjoint(EIGHT_BITS) or any(row.name == CUSTOM_OP for row in working):
        return
    wide = next((name for name in ("int16", "float32") if name in types), min(types, default="nothing"))
    weights = [row.input(1) for row in working if row.name in WEIGHTED]
    dynamic = wide == "float32" and any(weight and weight.type in EIGHT_BITS for weight in weights)
    what = "float32 around 8-bit weights (dynamic range)" if dynamic else wide
    raise InputError(f"it computes on {what}", allowed="int8 or uint8 (w8a8)", mend=QUANTIZE)


ACCELERATOR = Accelerator(RULES, first_part, refuse)
