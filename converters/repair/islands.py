"""Let single layers of a w8a8 graph run in another precision, between conversions of what they take and give.

A layer is a convolution or dense op with all that follows it until the next one (`diagnosis_graph.py`). What one
restored layer hands to another of its type stays as it is. Where the type changes, one QUANTIZE or DEQUANTIZE serves
all that read the tensor. The tensor that an op fills keeps its name; a copy is named for its type: `x/int8`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from ai_edge_litert import schema_py_generated as schema

from converters.diagnosis_graph import filled, multiply_accumulates, operator_macs, owners
from converters.edit import add_tensor, make_operator, text
from converters.ends import round_output
from converters.flatbuffer import Model
from converters.op_versions import set_op_versions
from converters.patterns import is_constant, op_code, op_name
from converters.quantized_layers import WEIGHTED
from converters.ranges import Range
from converters.repair.island_constants import restore_constants
from converters.repair.steps_16 import Steps16
from converters.unused import drop_unused
from edgenet.errors import InputError

# fp32: float weights and arithmetic; w8: float arithmetic on the int8 weights; w8a16: 16-bit activations.
Kind = Literal["fp32", "w8", "w8a16"]
Op, Type = schema.BuiltinOperator, schema.TensorType
_TYPES: dict[Kind, int] = {"fp32": Type.FLOAT32, "w8": Type.FLOAT32, "w8a16": Type.INT16}
_WIDE = (Type.FLOAT32, Type.FLOAT16, Type.INT16)
_SUFFIXES = {Type.INT8: "int8", Type.INT16: "int16", Type.FLOAT32: "real"}


def restore_layers(model: Model, original: Model, layers: Mapping[str, Kind], ranges: Mapping[str, Range]) -> None:
    """Let the named layers of a w8a8 `model` run in the precisions given, in place.

    `model` is what `quantize_model` made of `original`, before `set_ends`: its ends are int8 and stay so. `ranges` are
    those of 16-bit tensors by name (`calibration.wide`); fp32 and w8 need none. Raise InputError for a layer that the
    graph does not have, a precision that is none, or a 16-bit tensor without a range.
    """
    if not layers:
        return
    kinds = _kinds_by_name(original, layers)
    tensors = {tensor: kinds[name] for name, tensor in filled(model).items() if name in kinds}
    _Islands(model, original, ranges, tensors).restore()
    drop_unused(model)
    set_op_versions(model)


def _kinds_by_name(original: Model, layers: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return the precision of each tensor that an op of the named layers fills, by the tensor's name."""
    names = [text(tensor.name) for tensor in original.subgraphs[0].tensors]
    owned = owners(original)
    _refuse_unknown("layer", layers, dict.fromkeys(owned.values()))
    _refuse_unknown("precision", layers.values(), get_args(Kind))
    return {names[tensor]: layers[layer] for tensor, layer in owned.items() if layer in layers}


def _refuse_unknown(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise InputError(f"there is no {what} {unknown[0]!r}", allowed=", ".join(known))


class _Islands:
    """One graph while its layers change; tensors are spoken of by their index."""

    def __init__(self, model: Model, original: Model, ranges: Mapping[str, Range], kinds: Mapping[int, Kind]) -> None:
        self._model, self._original, self._kinds = model, original, kinds
        self._graph = model.subgraphs[0]
        self._tensors = self._graph.tensors
        self._steps_16 = Steps16(model, ranges)
        filled_ones = [int(row.outputs[0]) for row in self._graph.operators]
        # What steps each activation has as int8: those of its copy for the readers that stay int8.
        self._steps_8 = {
            tensor: self._tensors[tensor].quantization
            for tensor in (*map(int, self._graph.inputs), *filled_ones)
            if self._tensors[tensor].type == Type.INT8 and not is_constant(model, tensor)
        }
        self._copies: dict[tuple[int, int], int] = {}
        self._operators: list[Any] = []

    def restore(self) -> None:
        """Change the ops that fill the tensors of `kinds`, and put conversions where types meet."""
        for tensor, kind in self._kinds.items():
            if tensor in self._steps_8:
                self._set_type(tensor, tensor, _TYPES[kind])
        sources = _fillers(self._original)
        for operator in self._graph.operators:
            wanted = self._kinds.get(int(operator.outputs[0]))
            kept = _TYPES[wanted] if wanted else Type.INT8
            operator.inputs = [self._as_type(int(tensor), kept) for tensor in operator.inputs]
            if wanted:
                source = sources[text(self._tensors[operator.outputs[0]].name)]
                self._operators += restore_constants(self._model, operator, self._original, source, wanted)
            self._operators.append(operator)
        for output in self._graph.outputs:
            end = self._as_type(int(output), Type.INT8)
            if end != output:
                round_output(self._model, int(output), end)
        self._graph.operators = self._operators

    def _set_type(self, tensor: int, source: int, kind: int) -> None:
        """Let a tensor hold the activation `source` as another type."""
        row = self._tensors[tensor]
        row.type, row.quantization = kind, None
        if kind == Type.INT8:
            row.quantization = self._steps_8[source]
        elif kind == Type.INT16:
            row.quantization = self._steps_16.of(source)

    def _as_type(self, tensor: int, kind: int) -> int:
        """Return an activation as another type: a copy, converted where it is first asked for."""
        if tensor not in self._steps_8 or self._tensors[tensor].type == kind:
            return tensor
        if (tensor, kind) not in self._copies:
            row = self._tensors[tensor]
            # tflite-runtime 2.14 has no QUANTIZE from 8 to 16 bits, so float lies between them.
            direct = (row.type, kind) != (Type.INT8, Type.INT16)
            source = tensor if direct else self._as_type(tensor, Type.FLOAT32)
            copy = add_tensor(self._model, f"{text(row.name)}/{_SUFFIXES[kind]}", row.shape)
            self._set_type(copy, tensor, kind)
            self._operators.append(_conversion(self._model, source, copy, kind))
            self._copies[tensor, kind] = copy
        return self._copies[tensor, kind]


def _fillers(model: Model) -> dict[str, Any]:
    """Return the op that fills each tensor, by the tensor's name."""
    graph = model.subgraphs[0]
    return {text(graph.tensors[row.outputs[0]].name): row for row in graph.operators}


def _conversion(model: Model, tensor: int, copy: int, kind: int) -> Any:
    if kind == Type.FLOAT32:
        return make_operator(model, Op.DEQUANTIZE, [tensor], copy, schema.DequantizeOptionsT())
    return make_operator(model, Op.QUANTIZE, [tensor], copy, schema.QuantizeOptionsT())


def high_precision_share(model: Model) -> float:
    """Return the share of the multiply-accumulates of a written model that take more than 8 bits."""
    graph = model.subgraphs[0]
    # Float activations beside int8 weights are rounded by the kernel itself (w8d): only their weights tell.
    wide = (row for row in graph.operators if op_code(model, row) in WEIGHTED and not _in_8_bits(graph.tensors, row))
    return sum(operator_macs(model, row) for row in wide) / max(1, multiply_accumulates(model))


def _in_8_bits(tensors: Sequence[Any], operator: Any) -> bool:
    data, weight = (tensors[tensor].type for tensor in operator.inputs[:2])
    return bool(weight == Type.INT8 and data != Type.INT16)


def full_integer(model: Model) -> bool:
    """Return whether a model computes on 8-bit integers alone between its ends: what an Edge TPU asks first."""
    return not ops_beyond_8_bits(model)


def ops_beyond_8_bits(model: Model) -> list[str]:
    """Return the ops that no Edge TPU takes because of their types, as `CONV_2D conv_stem`; those at the ends are none.

    Which of the others a compiler takes depends on more than types.
    """
    graph = model.subgraphs[0]
    ends = {int(tensor) for tensor in (*graph.inputs, *graph.outputs)}
    found = []
    for operator in graph.operators:
        code, rows = op_code(model, operator), (*operator.inputs, *operator.outputs)
        at_end = code in (Op.QUANTIZE, Op.DEQUANTIZE) and not ends.isdisjoint(int(row) for row in rows)
        if not at_end and any(graph.tensors[row].type in _WIDE for row in rows if row >= 0):
            found.append(f"{op_name(code)} {text(graph.tensors[operator.outputs[0]].name)}")
    return found
