"""What the child of `screen.py` does with a file: parse it, check what it points at, load it, run it once."""

import numpy as np

from converters import flatbuffer
from converters.flatbuffer import Model
from converters.onnx_file.runner import OnnxRunner
from converters.runtime import Runner
from edgenet.errors import InputError, MissingError


def examine(content: bytes, is_onnx: bool) -> dict[str, str]:
    """Return what is wrong with a file ("" = nothing) and which package is missing to tell."""
    try:
        if not is_onnx:
            _check_indices(flatbuffer.read(content))
        runner = OnnxRunner(content) if is_onnx else Runner(content)
        runner.run(np.zeros(runner.input.shape, dtype=runner.input.dtype))
    except InputError as error:
        return {"wrong": str(error), "missing": ""}
    except MissingError as error:
        return {"wrong": "", "missing": str(error)}
    return {"wrong": "", "missing": ""}


def _check_indices(model: Model) -> None:
    """Raise InputError if a tensor, buffer or operator code is spoken of that is not there."""
    if not model.subgraphs:
        raise InputError("the model has no subgraph")
    buffers, codes = len(model.buffers or ()), len(model.operatorCodes or ())
    for graph in model.subgraphs:
        tensors = len(graph.tensors or ())
        _check("buffer", [tensor.buffer for tensor in graph.tensors or ()], buffers)
        _check("input", graph.inputs, tensors)
        _check("output", graph.outputs, tensors)
        for operator in graph.operators or ():
            _check("operator code", [operator.opcodeIndex], codes)
            # -1 stands for an optional input that is not given.
            _check(
                "operand",
                [row for row in (operator.inputs if operator.inputs is not None else ()) if row != -1],
                tensors,
            )
            _check("result", operator.outputs, tensors)
    for signature in model.signatureDefs or ():
        _check("a signature's subgraph", [signature.subgraphIndex], len(model.subgraphs))
        ends = [row.tensorIndex for row in (*(signature.inputs or ()), *(signature.outputs or ()))]
        _check("a signature's tensor", ends, len(model.subgraphs[signature.subgraphIndex].tensors))


def _check(what: str, indices: object, count: int) -> None:
    for index in np.asarray([] if indices is None else indices).reshape(-1).tolist():
        if not 0 <= index < count:
            raise InputError(f"{what} {index} does not exist (there are {count})")
