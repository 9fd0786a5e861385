"""Take out of a graph the tensors that nothing refers to any more, and their constants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from converters.flatbuffer import Model


def drop_unused(model: Model) -> None:
    """Drop the tensors that no op and no end refers to, in place; the indices of those behind them change.

    A constant that no tensor holds any more leaves an empty buffer.
    """
    graph = model.subgraphs[0]
    rows = [*graph.operators, graph]
    used = {int(tensor) for row in rows for tensor in (*row.inputs, *row.outputs)}
    kept = [index for index in range(len(graph.tensors)) if index in used]
    places = {old: new for new, old in enumerate(kept)} | {-1: -1}  # -1: an input that is left out
    graph.tensors = [graph.tensors[index] for index in kept]
    for row in rows:
        row.inputs, row.outputs = _moved(row.inputs, places), _moved(row.outputs, places)
    for signature in model.signatureDefs or ():
        for end in (*(signature.inputs or ()), *(signature.outputs or ())):
            end.tensorIndex = places[int(end.tensorIndex)]
    _empty_buffers(model, graph.tensors)


def _moved(tensors: Iterable[int], places: dict[int, int]) -> list[int]:
    return [places[int(tensor)] for tensor in tensors]


def _empty_buffers(model: Model, tensors: Iterable[Any]) -> None:
    held = {int(tensor.buffer) for tensor in tensors} | {int(row.buffer) for row in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in held:
            buffer.data = None
