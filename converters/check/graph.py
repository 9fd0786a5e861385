"""The graph of a .tflite file as plain records: what the rules of every target are held against."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import prod

from ai_edge_litert import schema_py_generated as schema

from converters.check.bounded import Buffer, Table
from converters.check.options import read_options
from converters.flatbuffer import FILE_IDENTIFIER
from converters.patterns import op_name
from edgenet.errors import InputError

CUSTOM = int(schema.BuiltinOperator.CUSTOM)
LIMIT_RANK = 8  # more than any kernel of TFLite takes
LIMIT_VALUES = 2**40  # of one tensor
LIMIT_SETTINGS = 64  # values of a constant that tells axes, paddings or sizes
LIMIT_OPERATORS = 20_000
TYPE_SIZES_BYTES = {"int4": 1, "int8": 1, "uint8": 1, "bool": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2,
                    "int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor; `scales` counts its quantization steps (1 = per tensor), `data` is empty unless it is constant."""

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    dynamic: bool = False  # a size is known at run time only
    scales: int = 0
    data: memoryview = field(default=memoryview(b""), repr=False)
    behind: bool = False  # the constant lies behind the flatbuffer
    unpacked: bool = False  # a DEQUANTIZE makes it of a constant: weights that are stored smaller

    @property
    def constant(self) -> bool:
        """Return whether the values are the same in every run."""
        return len(self.data) > 0 or self.behind or self.unpacked

    @property
    def values(self) -> int:
        """Return how many values the tensor has."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Return the memory that the tensor takes; an unknown type counts four bytes a value."""
        return self.values * TYPE_SIZES_BYTES.get(self.type, 4)

    @cached_property
    def zeros(self) -> bool:
        """Return whether the file holds the tensor's values and all are zero."""
        return len(self.data) > 0 and not bytes(self.data).strip(b"\0")

    def wholes(self) -> tuple[int, ...]:
        """Return the values of a constant of 32-bit whole numbers: axes, paddings, sizes."""
        if self.type != "int32" or len(self.data) % 4 or len(self.data) > 4 * LIMIT_SETTINGS:
            return ()
        return tuple(memoryview(bytes(self.data)).cast("i"))


@dataclass(frozen=True)
class Operator:
    """An op with its tensors; None stands for an input that is left out. A custom op has its own name."""

    index: int
    name: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, int | float] = field(default_factory=dict)
    custom: memoryview | None = field(default=None, repr=False)  # a custom op's own data

    @property
    def activations(self) -> list[Tensor]:
        """Return the tensors that are filled while the network runs: inputs first."""
        return [tensor for tensor in (*self.inputs, *self.outputs) if tensor is not None and not tensor.constant]

    @property
    def constants(self) -> list[Tensor]:
        """Return the inputs that the file holds."""
        return [tensor for tensor in self.inputs if tensor is not None and tensor.constant]

    def input(self, place: int) -> Tensor | None:
        """Return an input; None where there is none."""
        return self.inputs[place] if place < len(self.inputs) else None


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a file."""

    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    description: str = ""
    subgraphs: int = 1


def read_graph(content: bytes) -> Graph:
    """Return the graph of a .tflite file; raise InputError for one that is damaged or none."""
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER:
        raise InputError("not a .tflite file: the TFL3 mark is missing", mend="give a file that TFLite wrote")
    model = Buffer(content, "the file").root()
    subgraphs = model.tables(2)
    if not subgraphs:
        raise InputError("the file has no subgraph", mend="give a file that TFLite wrote")
    count = subgraphs[0].count(3, 4)
    if count > LIMIT_OPERATORS:
        raise InputError(f"the file has {count} ops", allowed=f"at most {LIMIT_OPERATORS}")
    buffers, codes = model.tables(4), [_code(row) for row in model.tables(1)]
    tensors = [_tensor(index, row, buffers, content) for index, row in enumerate(subgraphs[0].tables(0))]
    operators = [_operator(index, row, codes, tensors) for index, row in enumerate(subgraphs[0].tables(3))]
    operators = _unpack(operators)
    inputs, outputs = (_chosen(tensors, subgraphs[0].wholes(field, "i"), "end") for field in (1, 2))
    return Graph(tuple(operators), inputs, outputs, model.text(3), len(subgraphs))


def _code(row: Table) -> tuple[str, int]:
    """Return the name and version of an operator code."""
    code = max(row.whole(0, "b"), row.whole(3, "i"))
    return row.text(1) or "CUSTOM" if code == CUSTOM else _op_name(code), row.whole(2, "i", 1)


_op_name = cache(op_name)


@cache
def _type_name(code: int) -> str:
    names = (name for name, value in vars(schema.TensorType).items() if value == code)
    return next(names, f"type {code}").lower()


def _tensor(index: int, row: Table, buffers: list[Table], content: bytes) -> Tensor:
    shape, signature = row.wholes(0, "i"), row.wholes(7, "i")
    if len(shape) > LIMIT_RANK:
        raise InputError(f"tensor {index} has {len(shape)} dimensions", allowed=f"at most {LIMIT_RANK}")
    sizes = tuple(max(0, size) for size in shape)
    if prod(sizes) > LIMIT_VALUES:
        raise InputError(f"tensor {index} has {prod(sizes)} values", allowed=f"at most {LIMIT_VALUES}")
    quantization = row.table(4)
    number = row.whole(2, "I")
    if number >= max(1, len(buffers)):
        raise InputError(f"tensor {index} names buffer {number} of {len(buffers)}: the file is damaged")
    buffer = buffers[number] if number else None
    return Tensor(
        index=index,
        name=row.text(3),
        type=_type_name(row.whole(1, "b")),
        shape=sizes,
        dynamic=any(size < 0 for size in (*shape, *signature)),
        scales=quantization.count(2, 4) if quantization else 0,
        data=_constant(buffer, content) if buffer else memoryview(b""),
        behind=bool(buffer and buffer.whole(1, "Q") > 1),
    )


def _constant(buffer: Table, content: bytes) -> memoryview:
    """Return the bytes of a buffer, which lie inside the flatbuffer or, as newer writers place them, behind it."""
    offset, size_bytes = buffer.whole(1, "Q"), buffer.whole(2, "Q")
    if offset <= 1:  # 0 and 1 mean "inline" or "no data"
        return buffer.data(0)
    buffer.buffer.check(offset, size_bytes)
    return memoryview(content)[offset : offset + size_bytes]


def _operator(index: int, row: Table, codes: list[tuple[str, int]], tensors: list[Tensor]) -> Operator:
    code = row.whole(0, "I")
    if code >= len(codes):
        raise InputError(f"op {index} names operator code {code} of {len(codes)}: the file is damaged")
    name, version = codes[code]
    # -1 stands for an optional input that is not given.
    places = _checked(row.wholes(1, "i"), -1, len(tensors), f"op {index}")
    inputs = tuple(None if place == -1 else tensors[place] for place in places)
    outputs = _chosen(tensors, row.wholes(2, "i"), f"op {index}")
    if not outputs:
        raise InputError(f"op {index}, {name}, has no output: the file is damaged")
    custom = row.data(5) if row.has(5) else None
    return Operator(index, name, version, inputs, outputs, read_options(name, row.table(4)), custom)


def _unpack(operators: list[Operator]) -> list[Operator]:
    """Return the ops with the tensors marked that a DEQUANTIZE makes of constants."""
    unpacked = {
        row.outputs[0].index
        for row in operators
        if row.name == "DEQUANTIZE" and all(tensor and tensor.constant for tensor in row.inputs)
    }

    def marked(tensor: Tensor) -> Tensor:
        return replace(tensor, unpacked=True) if tensor.index in unpacked else tensor

    return [
        replace(
            row,
            inputs=tuple(tensor and marked(tensor) for tensor in row.inputs),
            outputs=tuple(map(marked, row.outputs)),
        )
        for row in operators
    ]


def _chosen(tensors: list[Tensor], places: tuple[int, ...], what: str) -> tuple[Tensor, ...]:
    return tuple(tensors[place] for place in _checked(places, 0, len(tensors), what))


def _checked(places: tuple[int, ...], least: int, count: int, what: str) -> tuple[int, ...]:
    """Return places that all lie from `least` up to a count; raise InputError for the first that does not."""
    if places and not (least <= min(places) and max(places) < count):
        wrong = next(place for place in places if not least <= place < count)
        raise InputError(f"{what} names tensor {wrong} of {count}: the file is damaged")
    return places
