"""The name of the network's layer that each op belongs to.

A layer is a convolution or dense op with all that follows it until the next one, as in `diagnosis_graph.py`, and has
the name of its weights where edgenet wrote the file.
"""

from __future__ import annotations

from converters.check.graph import Graph, Operator

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_ENDING = "/weight"


def layer_names(graph: Graph) -> list[str]:
    """Return a name for each op."""
    owners: dict[int, tuple[int, str]] = {}
    names = []
    for operator in graph.operators:
        if operator.name in WEIGHTED:
            owner = (operator.index, _own_name(operator))
        else:  # what has several inputs belongs to the last layer among them: a skip to what is added to it
            before = [owners[tensor.index] for tensor in operator.inputs if tensor and tensor.index in owners]
            owner = max(before, default=(-1, operator.outputs[0].name))
        owners |= {tensor.index: owner for tensor in operator.outputs}
        names.append(owner[1] or f"op {operator.index}")
    return names


def _own_name(operator: Operator) -> str:
    weight = operator.input(1)
    if weight and weight.name.endswith(_ENDING):
        return weight.name.removesuffix(_ENDING)
    return operator.outputs[0].name
