"""Build a .tflite graph op by op, from nothing to a model with one named signature."""

from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.edit import add_constant, add_tensor, make_operator
from converters.flatbuffer import Model

SIGNATURE_KEY = "serving_default"


class GraphBuilder:
    """Collect one subgraph; tensors are spoken of by their index."""

    def __init__(self, description: str) -> None:
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version, self._model.description = 3, description
        self._model.subgraphs, self._model.operatorCodes = [self._graph], []
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention

    def tensor(self, name: str, shape: Sequence[int]) -> int:
        """Add a float32 tensor that an op fills."""
        return add_tensor(self._model, name, shape)

    def constant(self, name: str, values: NDArray[Any]) -> int:
        """Add a float32 or int32 constant."""
        return add_constant(self._model, name, values)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def op(self, code: int, inputs: Sequence[int], output: int, options: Any = None) -> int:
        """Add an operator with one output and return that output; `options` is the schema's options object."""
        self._graph.operators.append(make_operator(self._model, code, inputs, output, options))
        return output

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> Model:
        """Close the graph with named inputs and outputs and return the model."""
        self._graph.inputs, self._graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE_KEY, 0
        signature.inputs = [_named(name, tensor) for name, tensor in inputs.items()]
        signature.outputs = [_named(name, tensor) for name, tensor in outputs.items()]
        self._model.signatureDefs = [signature]
        return self._model


def _named(name: str, tensor: int) -> Any:
    row = schema.TensorMapT()
    row.name, row.tensorIndex = name, tensor
    return row
