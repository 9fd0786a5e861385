"""Hold each op of a graph against a target's rules: the data of the target names them, a module gives them.

A rule is a function of an op that returns what it finds, or None. The rules here are those that targets share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converters.check.graph import Graph, Operator
from converters.check.options import NO_ACTIVATION
from converters.check.target import OperatorRule, Target
from converters.check.verdict import Finding, cpu, refused, uncertain

Rule = Callable[[Operator], Finding | None]

RECONVERT = "convert with edgenet, which writes the lowest right version"
STATIC = "convert with edgenet (a static batch of 1)"
QUANTIZE = "quantize all of it: edgenet convert --int8, or edgenet quantize FILE --int8"


def judge(graph: Graph, target: Target, rules: Mapping[str, Rule]) -> list[Finding | None]:
    """Return the worst finding of each op; None for one that the target takes, were it alone."""
    return [_judge_one(operator, target, rules) for operator in graph.operators]


def _judge_one(operator: Operator, target: Target, rules: Mapping[str, Rule]) -> Finding | None:
    row = target.operators.get(operator.name)
    if row is None:
        return _unknown(operator, target)
    # The most telling first: among findings of one weight the first is kept.
    found = [rules[name](operator) for name in row.rules]
    found += [_wrong_type(operator, target), _version(operator, row, target)]
    found += [rules[name](operator) for name in target.rules]
    if row.uncertain:
        found.append(uncertain(row.uncertain))
    return max((row for row in found if row), key=lambda row: (row.whole_file, row.place), default=None)


def _unknown(operator: Operator, target: Target) -> Finding:
    kind = "custom op" if operator.custom is not None else "op"
    mend = target.mends.get(operator.name, target.mends["*"])
    return cpu(f"{kind} {operator.name} is not in the published list", mend)


def _wrong_type(operator: Operator, target: Target) -> Finding | None:
    wrong = sorted({tensor.type for tensor in operator.activations} - set(target.types))
    if not wrong:
        return None
    weight = operator.input(1)
    if wrong == ["float32"] and weight and weight.constant and weight.type in ("int8", "uint8"):
        return cpu("float32 activations around 8-bit weights (dynamic range)", QUANTIZE)
    mend = QUANTIZE if target.types == ["int8", "uint8"] else ""
    return cpu(f"works on {', '.join(wrong)}", mend)


def _version(operator: Operator, row: OperatorRule, target: Target) -> Finding | None:
    if operator.version <= row.versions:
        return None
    what = f"{operator.name} is of version {operator.version}"
    if operator.version <= (row.uncertain_versions or 0):
        return uncertain(f"{what}; up to {row.versions} is known for certain", RECONVERT)
    kind = refused if target.unknown_version == "file" else cpu
    return kind(f"{what}, and {row.uncertain_versions or row.versions} is the newest known", RECONVERT)


def static_shape(operator: Operator) -> Finding | None:
    """Every size has to be known before the network runs; the tools refuse a file in which one is not."""
    dynamic = [tensor for tensor in operator.activations if tensor.dynamic]
    return refused(f"{dynamic[0].name or 'a tensor'} has no fixed size (dynamic batch)", STATIC) if dynamic else None


def no_fused_activation(operator: Operator) -> Finding | None:
    """The op must not have an activation within it."""
    if operator.options.get("fused_activation", NO_ACTIVATION) == NO_ACTIVATION:
        return None
    return cpu("a fused activation, which this op must not have", "write the activation as an op of its own")


def constant_weights(operator: Operator) -> Finding | None:
    """Weights and bias have to be in the file."""
    if all(tensor is None or tensor.constant for tensor in operator.inputs[1:3]):
        return None
    return cpu("its weights are not constant", "freeze the model before converting it")
