"""Give a quantized graph the input and output types that its user wants.

The ops are added at the graph's ends, so that the quantized part stays as it is.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.flatbuffer import Model
from converters.op_versions import set_op_versions
from edgenet.precision import IoType

Op, Type = schema.BuiltinOperator, schema.TensorType
UINT8_SHIFT = 128  # uint8 q = int8 q + 128 for the same real number


def set_ends(model: Model, io: IoType, *, mean: float | None = None, std: float = 1.0) -> None:
    """Change the ends of a model with integer ends to `io`, in place.

    `mean` is given where the graph takes (pixels - mean) / std and pixels reach it only as a zero point: float32 ends
    then need the subtraction and the division as ops of their own, while integer ends need none.
    """
    _Ends(model).set(io, mean, std)
    set_op_versions(model)


class _Ends:
    def __init__(self, model: Model) -> None:
        self.model, self.graph = model, model.subgraphs[0]

    def set(self, io: IoType, mean: float | None, std: float) -> None:
        inner_in, inner_out = int(self.graph.inputs[0]), int(self.graph.outputs[0])
        kind = self.graph.tensors[inner_in].type
        if io == "float32":
            self._replace_input(inner_in, *self._float_input(inner_in, mean, std))
            self._replace_output(inner_out, self._like(inner_out, Type.FLOAT32), Op.DEQUANTIZE)
        elif io == "uint8" and kind == Type.INT8:
            outer = self._like(inner_in, Type.UINT8)
            self._replace_input(inner_in, outer, [self._operator(Op.QUANTIZE, [outer], inner_in)])
            self._replace_output(inner_out, self._like(inner_out, Type.UINT8), Op.QUANTIZE)

    def _float_input(self, inner: int, mean: float | None, std: float) -> tuple[int, list[Any]]:
        outer = self._like(inner, Type.FLOAT32)
        if mean is None:
            return outer, [self._operator(Op.QUANTIZE, [outer], inner)]
        centered, scaled = self._like(inner, Type.FLOAT32), self._like(inner, Type.FLOAT32)
        self.graph.tensors[centered].name, self.graph.tensors[scaled].name = "image/centered", "image/normalized"
        return outer, [
            self._operator(Op.SUB, [outer, self._scalar("image/mean", mean)], centered, schema.SubOptionsT()),
            self._operator(Op.MUL, [centered, self._scalar("image/factor", 1 / std)], scaled, schema.MulOptionsT()),
            self._operator(Op.QUANTIZE, [scaled], inner),
        ]

    def _replace_input(self, inner: int, outer: int, operators: list[Any]) -> None:
        self.graph.operators = [*operators, *self.graph.operators]
        self.graph.inputs = [outer]
        self._rename(inner, outer)

    def _replace_output(self, inner: int, outer: int, code: int) -> None:
        self.graph.operators.append(self._operator(code, [inner], outer))
        self.graph.outputs = [outer]
        self._rename(inner, outer)

    def _rename(self, inner: int, outer: int) -> None:
        """Let the new end carry the name that users and the signature know."""
        tensors = self.graph.tensors
        tensors[outer].name = tensors[inner].name
        tensors[inner].name = _text(tensors[inner].name) + "/quantized"
        for signature in self.model.signatureDefs or ():
            for row in (*signature.inputs, *signature.outputs):
                row.tensorIndex = outer if row.tensorIndex == inner else row.tensorIndex

    def _like(self, tensor: int, kind: int) -> int:
        """Add a tensor of the same shape and another type; uint8 keeps the scale with its zero point shifted."""
        source, copy = self.graph.tensors[tensor], schema.TensorT()
        copy.name, copy.shape, copy.type, copy.buffer, copy.hasRank = source.name, source.shape, kind, 0, True
        if kind == Type.UINT8:
            copy.quantization = schema.QuantizationParametersT()
            copy.quantization.scale = list(source.quantization.scale)
            copy.quantization.zeroPoint = [int(point) + UINT8_SHIFT for point in source.quantization.zeroPoint]
        self.graph.tensors.append(copy)
        return len(self.graph.tensors) - 1

    def _scalar(self, name: str, value: float) -> int:
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(np.float32(value).tobytes(), dtype=np.uint8)
        self.model.buffers.append(buffer)
        tensor.name, tensor.shape, tensor.type, tensor.hasRank = name, [], Type.FLOAT32, True
        tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _operator(self, code: int, inputs: list[int], output: int, options: Any = None) -> Any:
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = inputs, [output]
        operator.opcodeIndex = self._code_index(code)
        name = {Op.QUANTIZE: "QuantizeOptions", Op.DEQUANTIZE: "DequantizeOptions"}.get(code)
        options = options if name is None else getattr(schema, f"{name}T")()
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator.builtinOptions = options
        return operator

    def _code_index(self, code: int) -> int:
        for index, row in enumerate(self.model.operatorCodes):
            if row.builtinCode == code:
                return index
        row = schema.OperatorCodeT()
        row.builtinCode, row.deprecatedBuiltinCode, row.version = code, min(code, 127), 1
        self.model.operatorCodes.append(row)
        return len(self.model.operatorCodes) - 1


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
