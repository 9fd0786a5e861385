"""Where a graph can be cut in two: the places in its list of ops that one activation alone crosses."""

from dataclasses import dataclass

from converters.flatbuffer import Model
from converters.patterns import is_constant


@dataclass(frozen=True)
class Cut:
    """All that the ops from `operator` on need of those before it is `tensor`."""

    operator: int  # index in the list of ops
    tensor: int


def cut_points(model: Model) -> list[Cut]:
    """Return the cuts of the first subgraph in order, the first of them its input; none for a graph without ops.

    In an EfficientNet they are the borders of its blocks, and what lies between two layers without a shortcut.
    """
    graph = model.subgraphs[0]
    last_reader = {
        int(tensor): number
        for number, operator in enumerate(graph.operators)
        for tensor in operator.inputs
        if tensor >= 0 and not is_constant(model, int(tensor))
    }
    alive = {int(tensor) for tensor in graph.inputs if int(tensor) in last_reader}
    cuts = []
    for number, operator in enumerate(graph.operators):
        if len(alive) == 1:
            cuts.append(Cut(number, next(iter(alive))))
        alive |= {int(tensor) for tensor in operator.outputs if last_reader.get(int(tensor), -1) > number}
        alive -= {tensor for tensor in alive if last_reader[tensor] == number}
    return cuts
