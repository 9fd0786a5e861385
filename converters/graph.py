"""Build a .tflite graph op by op: tensors, constants, operators and one named signature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.flatbuffer import Model

SIGNATURE_KEY = "serving_default"
_TYPES = {np.dtype(np.float32): schema.TensorType.FLOAT32, np.dtype(np.int32): schema.TensorType.INT32}


class GraphBuilder:
    """Collect one subgraph; tensors are spoken of by their index."""

    def __init__(self, description: str) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version, self._model.description = 3, description
        self._model.subgraphs, self._model.operatorCodes = [self._graph], []
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention
        self._codes: dict[int, int] = {}

    def tensor(self, name: str, shape: Sequence[int]) -> int:
        """Add a float32 tensor that an op fills."""
        return self._add_tensor(name, shape, schema.TensorType.FLOAT32, 0)

    def constant(self, name: str, values: NDArray[Any]) -> int:
        """Add a float32 or int32 constant."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
        self._model.buffers.append(buffer)
        return self._add_tensor(name, values.shape, _TYPES[values.dtype], len(self._model.buffers) - 1)

    def _add_tensor(self, name: str, shape: Sequence[int], kind: int, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        tensor.hasRank = True
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def op(self, code: int, inputs: Sequence[int], output: int, options: Any = None) -> int:
        """Add an operator with one output and return that output; `options` is the schema's options object."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code_index(code)
        operator.inputs, operator.outputs = list(inputs), [output]
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self._graph.operators.append(operator)
        return output

    def _code_index(self, code: int) -> int:
        if code not in self._codes:
            row = schema.OperatorCodeT()
            # Readers older than schema 3a look at the 8-bit field only; 127 there means "see builtinCode".
            row.builtinCode, row.deprecatedBuiltinCode, row.version = code, min(code, 127), 1
            self._codes[code] = len(self._codes)
            self._model.operatorCodes.append(row)
        return self._codes[code]

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> Model:
        """Close the graph with named inputs and outputs and return the model."""
        self._graph.name = "main"
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
