"""Find what a graph is made of: its activations, its swishes, its gates."""

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters.flatbuffer import Model

Op = schema.BuiltinOperator


def op_code(model: Model, operator: Any) -> int:
    """Return the builtin operator code of an operator."""
    row = model.operatorCodes[operator.opcodeIndex]
    return max(int(row.builtinCode), int(row.deprecatedBuiltinCode))


def op_name(code: int) -> str:
    """Return the name of a builtin operator code: CONV_2D."""
    return next((name for name, value in vars(Op).items() if value == code), f"UNKNOWN_{code}")


def is_constant(model: Model, tensor: int) -> bool:
    """Return whether a tensor of the first subgraph holds data in the file."""
    data = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return data is not None and len(data) > 0


def activation_tensors(model: Model) -> list[int]:
    """Return the float tensors that ops or the input fill, in the order of the graph."""
    graph = model.subgraphs[0]
    filled = [int(tensor) for operator in graph.operators for tensor in operator.outputs]
    tensors = [int(tensor) for tensor in graph.inputs] + filled
    return [tensor for tensor in tensors if graph.tensors[tensor].type == schema.TensorType.FLOAT32]


def consumers(model: Model) -> dict[int, list[Any]]:
    """Return the operators that read each tensor of the first subgraph."""
    readers: dict[int, list[Any]] = {}
    for operator in model.subgraphs[0].operators:
        for tensor in operator.inputs:
            readers.setdefault(int(tensor), []).append(operator)
    return readers


def find_sigmoids(model: Model) -> dict[int, int]:
    """Return the tensors that are sigmoid(x), each with its x; their range is fixed by the kernels: [0, 1)."""
    return {
        int(operator.outputs[0]): int(operator.inputs[0])
        for operator in model.subgraphs[0].operators
        if op_code(model, operator) == Op.LOGISTIC
    }


def find_swishes(model: Model) -> dict[int, int]:
    """Return the tensors that are x * sigmoid(x), each with its x."""
    sigmoids = find_sigmoids(model)
    swishes = {}
    for operator in model.subgraphs[0].operators:
        if op_code(model, operator) == Op.MUL:
            left, right = (int(tensor) for tensor in operator.inputs)
            if sigmoids.get(right) == left or sigmoids.get(left) == right:
                swishes[int(operator.outputs[0])] = left if sigmoids.get(right) == left else right
    return swishes


def find_swish_inputs(model: Model) -> set[int]:
    """Return the tensors that feed a swish and nothing else: below about -8 nothing of them matters."""
    readers = consumers(model)
    return {x for x in find_swishes(model).values() if len(readers[x]) == 2}


def find_gate_inputs(model: Model) -> set[int]:
    """Return the tensors that feed a sigmoid and nothing else (squeeze-and-excite gates): beyond 8 it is saturated."""
    readers = consumers(model)
    return {
        tensor for tensor, ops in readers.items() if len(ops) == 1 and op_code(model, ops[0]) == Op.LOGISTIC
    }  # fmt: skip
