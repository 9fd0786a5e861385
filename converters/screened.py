"""What the child of `screen.py` does with a file: parse it, check what it points at, load it, run it once."""

from typing import Any

import numpy as np

from converters import flatbuffer
from converters.check.compiled import CUSTOM_OP
from converters.edit import text
from converters.flatbuffer import Model
from converters.loaded import LoadedModel
from converters.onnx_file.runner import OnnxRunner
from converters.patterns import Op, op_code
from converters.runtime import Runner
from edgenet.errors import InputError, MissingError

COMPILED_MEND = (
    "it is compiled for an Edge TPU: edgenet benchmark FILE --delegate edgetpu holds it to its golden answers"
)


def examine(content: bytes, is_onnx: bool) -> dict[str, str]:
    """Return what is wrong with a file ("" = nothing), what is allowed, the mend, and which package is missing."""
    verdict = {"wrong": "", "allowed": "", "mend": "", "missing": ""}
    try:
        runner = OnnxRunner(content) if is_onnx else _tflite(content)
        runner.run(np.zeros(runner.input.shape, dtype=runner.input.dtype))
    except InputError as error:
        return {**verdict, "wrong": error.what, "allowed": error.allowed, "mend": error.mend}
    except MissingError as error:
        return {**verdict, "missing": str(error)}
    return verdict


def _tflite(content: bytes) -> LoadedModel:
    model = flatbuffer.read(content)
    _check_indices(model)
    _check_input(model.subgraphs[0])
    try:
        return Runner(content)
    except InputError as error:
        for name, tensor in _custom_ops(model):
            if name in error.what:  # the runtime brings a few custom ops: only one that it stumbles over is named
                raise InputError(
                    f"op {name!r} (tensor {tensor!r}) is in no runtime here",
                    allowed="TFLite's builtin ops",
                    mend=COMPILED_MEND if name == CUSTOM_OP else "",
                ) from error
        raise


def _check_input(graph: Any) -> None:
    """Raise InputError for several inputs, or one of open size: the runtime would take an open side for 1."""
    inputs = [graph.tensors[index] for index in (graph.inputs if graph.inputs is not None else ())]
    if len(inputs) != 1:
        names = ", ".join(repr(text(row.name)) for row in inputs) or "none"
        raise InputError(f"the model has {len(inputs)} inputs: {names}", allowed="one image input")
    signature = inputs[0].shapeSignature
    sizes = [] if signature is None else [int(size) for size in signature]
    if any(size < 0 for size in sizes[1:]):
        shown = ", ".join("?" if size < 0 else str(size) for size in sizes)
        raise InputError(
            f"tensor {text(inputs[0].name)!r} has the size [{shown}]",
            allowed="numbers, like [1, 224, 224, 3]",
            mend="export the model for one side",
        )


def _custom_ops(model: Model) -> list[tuple[str, str]]:
    """Return the name of each custom op with the tensor that it makes."""
    graph = model.subgraphs[0]
    return [
        (text(model.operatorCodes[row.opcodeIndex].customCode or b"?"), text(graph.tensors[row.outputs[0]].name))
        for row in graph.operators
        if op_code(model, row) == Op.CUSTOM and len(row.outputs)
    ]


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
