"""The layers that a recipe can name: the convolutions and dense layers of a float graph, in its order."""

from dataclasses import dataclass

from converters.diagnosis_graph import layer_name
from converters.edit import text
from converters.flatbuffer import Model
from converters.patterns import op_code, op_name
from converters.quantized_layers import WEIGHTED


@dataclass(frozen=True)
class WeightedLayer:
    """A layer by its name, its op, and the name of the tensor that this op fills."""

    name: str
    op: str
    output_name: str


def weighted_layers(model: Model) -> tuple[WeightedLayer, ...]:
    """Return the layers of a float graph."""
    graph = model.subgraphs[0]
    return tuple(
        WeightedLayer(
            layer_name(model, row), op_name(op_code(model, row)), text(graph.tensors[row.outputs[0]].name)
        )
        for row in graph.operators
        if op_code(model, row) in WEIGHTED
    )  # fmt: skip
