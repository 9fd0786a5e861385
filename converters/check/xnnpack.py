"""XNNPACK, TFLite's delegate for the CPU: which ops it takes depends on their types; it takes every part."""

from __future__ import annotations

from converters.check.accelerator import Accelerator, refuse_nothing
from converters.check.graph import Operator
from converters.check.judge import STATIC, Rule, constant_weights
from converters.check.partition import every_part
from converters.check.verdict import Finding, cpu

QUANTIZED = ("int8", "uint8")


def fixed_size(operator: Operator) -> Finding | None:
    """A size that is known at run time only breaks a partition where a shape is computed from it."""
    shape = operator.input(1)
    if shape is None or shape.constant or operator.name != "RESHAPE":
        return None
    return cpu("its shape is computed while the network runs", STATIC)


def float_only(operator: Operator) -> Finding | None:
    """There is no kernel of this op for integers."""
    kinds = [tensor.type for tensor in operator.activations if tensor.type in QUANTIZED]
    return cpu(f"it works on {kinds[0]}, and XNNPACK has it in float only") if kinds else None


def one_integer_type(operator: Operator) -> Finding | None:
    """An op goes from float to integers, back, or stays within one integer type."""
    kinds = sorted({tensor.type for tensor in operator.activations if tensor.type in QUANTIZED})
    if len(kinds) < len(QUANTIZED):
        return None
    return cpu("it converts between int8 and uint8", "int8 ends have no such op: edgenet convert --io int8")


def no_dynamic_range(operator: Operator) -> Finding | None:
    """Activations are rounded in the kernel for dense ops and convolutions, not for depthwise ones."""
    data, weight = operator.input(0), operator.input(1)
    if data is None or weight is None or data.type != "float32" or weight.type not in QUANTIZED:
        return None
    return cpu("float32 activations around 8-bit weights (dynamic range)", "--int8, or --fp16")


RULES: dict[str, Rule] = {
    rule.__name__: rule for rule in (fixed_size, float_only, one_integer_type, no_dynamic_range, constant_weights)
}
ACCELERATOR = Accelerator(RULES, every_part, refuse_nothing)
