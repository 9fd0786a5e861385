"""A float graph whose weighted layers show what they give before their activation."""

from __future__ import annotations

import copy
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.edit import add_tensor, make_operator, text
from converters.flatbuffer import Model
from converters.patterns import op_code
from converters.quantized_layers import WEIGHTED, Op

_Fused = schema.ActivationFunctionType
_ACTIVATIONS = {_Fused.RELU: Op.RELU, _Fused.RELU6: Op.RELU6, _Fused.RELU_N1_TO_1: Op.RELU_N1_TO_1}


def unfused(original: Model) -> tuple[Model, dict[str, int]]:
    """Return a copy with activations as ops of their own, and the layers' own outputs by the name of the output.

    Layers with a fused activation that has no op are not among them. The constants are shared with `original`.
    """
    model, graph = copy.copy(original), copy.copy(original.subgraphs[0])
    model.subgraphs, model.operatorCodes = [graph], list(original.operatorCodes)
    graph.tensors, operators = list(graph.tensors), graph.operators
    graph.operators, sums = [], {}
    for operator in operators:
        fused = _fused(model, operator)
        if fused is None or fused not in (_Fused.NONE, *_ACTIVATIONS):
            graph.operators.append(operator)
            continue
        output = int(operator.outputs[0])
        name = text(graph.tensors[output].name)
        if fused == _Fused.NONE:
            graph.operators.append(operator)
            sums[name] = output
        else:
            sums[name] = add_tensor(model, f"{name}/sum", graph.tensors[output].shape)
            graph.operators.append(_without_activation(operator, sums[name]))
            graph.operators.append(make_operator(model, _ACTIVATIONS[fused], [sums[name]], output))
    return model, sums


def _fused(model: Model, operator: Any) -> int | None:
    """Return the fused activation of a weighted op, None for all other ops."""
    if op_code(model, operator) not in WEIGHTED:
        return None
    return int(operator.builtinOptions.fusedActivationFunction)


def _without_activation(operator: Any, output: int) -> Any:
    plain = copy.copy(operator)
    plain.builtinOptions = copy.copy(operator.builtinOptions)
    plain.builtinOptions.fusedActivationFunction = _Fused.NONE
    plain.outputs = [output]
    return plain
