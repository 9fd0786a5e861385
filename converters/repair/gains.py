"""Channel gains: bring the channels of an activation to one size, so that one scale fits them all.

All channels of an activation share 256 steps. In the stem of a trained b0 one channel reaches 80 and another 5: the
small one has 16 steps. A gain multiplies a channel by a factor in the weights that make it, and divides it out in the
weights that read it; convolutions, products with a gate and spatial means pass it on (Nagel et al., arXiv 1906.04721,
section 4.1, do this for ReLU, which passes a factor on as well).

x * sigmoid(x) does not pass it on, as sigmoid(g x) is another curve. But only the sigmoid's side has to know: it reads
g x times 1 / g, one product by a constant more, and the product g x * sigmoid(x) carries the gain on. Of that side only
what lies between -8 and 8 matters, so it gets a range of its own, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import flatbuffer
from converters.edit import add_constant, add_tensor, make_operator, text
from converters.flatbuffer import Model
from converters.patterns import Op, consumers, op_code
from converters.quantized_layers import WEIGHTED
from edgenet.errors import InputError

Gains = dict[str, NDArray[np.float64]]  # the name of a weighted op's output -> the factor of each channel [C]
METADATA = "edgenet.gains"  # the file's own record of them, as JSON
Fused = schema.ActivationFunctionType
_MEND = "give the float network that it was made from, or convert again"
_PASSING = (Fused.NONE, Fused.RELU, Fused.RELU6)


@dataclass
class Spread:
    """Where the gain of a tensor goes: what reads it divided, what passes it on, which sigmoids must not see it."""

    producer: Any
    tensor: int
    gained: list[int] = field(default_factory=list)
    divided: list[Any] = field(default_factory=list)
    sigmoids: list[Any] = field(default_factory=list)

    @property
    def has_swish(self) -> bool:
        """Return whether a sigmoid reads the tensor: then a product by a constant is to be added."""
        return bool(self.sigmoids)

    @property
    def has_relu6(self) -> bool:
        """Return whether the tensor comes out of a ReLU6, which clips it at 6."""
        return bool(self.producer.builtinOptions.fusedActivationFunction == Fused.RELU6)


def spreads(model: Model) -> dict[str, Spread]:
    """Return the weighted ops of a float graph whose channels can have gains, by the name of their output."""
    readers = consumers(model)
    tensors = model.subgraphs[0].tensors
    found = {}
    for operator in model.subgraphs[0].operators:
        if op_code(model, operator) in WEIGHTED and operator.builtinOptions.fusedActivationFunction in _PASSING:
            spread = Spread(operator, int(operator.outputs[0]))
            # What nothing divides is a gate: its sigmoid alone reads it, and of that -8 to 8 is all that matters.
            if _follow(model, readers, spread) and spread.divided and _owns_weights(readers, operator):
                found[text(tensors[spread.tensor].name)] = spread
    return found


def _follow(model: Model, readers: Mapping[int, list[Any]], spread: Spread) -> bool:
    """Fill `spread` from its tensor on; False where a gain could not be divided out again."""
    outputs = {int(tensor) for tensor in model.subgraphs[0].outputs}
    open_tensors = [spread.tensor]
    while open_tensors:
        tensor = open_tensors.pop()
        if tensor in outputs or tensor not in readers:
            return False
        spread.gained.append(tensor)
        for operator in _unique(readers[tensor]):
            if not _pass_through(model, readers, spread, tensor, operator, open_tensors):
                return False
    products = [row for tensor in spread.gained for row in readers[tensor] if op_code(model, row) == Op.MUL]
    # A product of two gained tensors would carry the gain twice.
    return all(sum(int(tensor) in spread.gained for tensor in row.inputs) == 1 for row in products)


def _pass_through(
    model: Model,
    readers: Mapping[int, list[Any]],
    spread: Spread,
    tensor: int,
    operator: Any,
    open_tensors: list[int],
) -> bool:
    code, output = op_code(model, operator), int(operator.outputs[0])
    if code in WEIGHTED:
        if int(operator.inputs[0]) != tensor or not _divisible(model, code, tensor, operator):
            return False
        spread.divided.append(operator)
        return _owns_weights(readers, operator)
    if code == Op.LOGISTIC and tensor == spread.tensor:
        spread.sigmoids.append(operator)
        return True
    passes = code == Op.MUL or (code == Op.MEAN and operator.builtinOptions.keepDims)
    if not passes or channels(model, output) != channels(model, spread.tensor):
        return False
    if output not in open_tensors and output not in spread.gained:
        open_tensors.append(output)
    return True


def _divisible(model: Model, code: int, tensor: int, operator: Any) -> bool:
    weight = model.subgraphs[0].tensors[operator.inputs[1]]
    return int(weight.shape[-1]) == channels(model, tensor) and not (
        code == Op.DEPTHWISE_CONV_2D and operator.builtinOptions.depthMultiplier > 1
    )


def _owns_weights(readers: Mapping[int, list[Any]], operator: Any) -> bool:
    return all(len(readers[int(tensor)]) == 1 for tensor in operator.inputs[1:] if tensor >= 0)


def _unique(operators: list[Any]) -> Iterator[Any]:
    seen: set[int] = set()
    for operator in operators:
        if id(operator) not in seen:
            seen.add(id(operator))
            yield operator


def channels(model: Model, tensor: int) -> int:
    """Return the size of a tensor's last axis."""
    return int(model.subgraphs[0].tensors[tensor].shape[-1])


def apply_gains(model: Model, gains: Gains) -> None:
    """Give the channels of a float graph their gains, in place; its answers stay as they are."""
    known = spreads(model)
    for name, gain in gains.items():
        spread = known[name]
        _scale(model, spread.producer, gain)
        for operator in spread.divided:
            _divide(model, operator, gain)
        if spread.has_swish:
            _insert_inverse(model, spread, name, gain)
    _remember(model, gains)


def _scale(model: Model, operator: Any, gain: NDArray[np.float64]) -> None:
    depthwise = op_code(model, operator) == Op.DEPTHWISE_CONV_2D
    weight = constant(model, operator.inputs[1])
    along = gain if depthwise else gain.reshape(-1, *[1] * (weight.ndim - 1))
    _store(model, operator.inputs[1], weight * along)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        _store(model, operator.inputs[2], constant(model, operator.inputs[2]) * gain)


def _divide(model: Model, operator: Any, gain: NDArray[np.float64]) -> None:
    # Both kinds of kernel, [O, kH, kW, I] and [1, kH, kW, C], have the channels that they read last.
    _store(model, operator.inputs[1], constant(model, operator.inputs[1]) / gain)


def _insert_inverse(model: Model, spread: Spread, name: str, gain: NDArray[np.float64]) -> None:
    graph = model.subgraphs[0]
    inverse = add_constant(model, f"{name}/inverse_gains", (1 / gain).astype(np.float32).reshape(1, 1, 1, -1))
    plain = add_tensor(model, f"{name}/without_gains", graph.tensors[spread.tensor].shape)
    product = make_operator(model, Op.MUL, [spread.tensor, inverse], plain, schema.MulOptionsT())
    for operator in spread.sigmoids:
        operator.inputs = [plain]
    first = min(index for index, row in enumerate(graph.operators) if any(row is other for other in spread.sigmoids))
    graph.operators.insert(first, product)


def constant(model: Model, tensor: int) -> NDArray[np.float32]:
    """Return a float constant of a graph."""
    row = model.subgraphs[0].tensors[tensor]
    return np.frombuffer(bytes(model.buffers[row.buffer].data), dtype=np.float32).reshape(row.shape)


def _store(model: Model, tensor: int, values: NDArray[Any]) -> None:
    row = model.subgraphs[0].tensors[tensor]
    content = np.ascontiguousarray(values, dtype=np.float32).tobytes()
    model.buffers[row.buffer].data = np.frombuffer(content, dtype=np.uint8)


def _remember(model: Model, gains: Gains) -> None:
    """Write the gains into the file's metadata: what looks at its tensors must know by what they are multiplied."""
    if not gains:
        return
    buffer, row = schema.BufferT(), schema.MetadataT()
    record = {name: [float(value) for value in gain] for name, gain in gains.items()}
    buffer.data = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    model.buffers.append(buffer)
    row.name, row.buffer = METADATA, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), row]


def read_gains(model: Model) -> Gains:
    """Return the gains that a file was written with, none for a file without; raise InputError for a damaged record."""
    for row in model.metadata or ():
        if text(row.name or b"") == METADATA:
            return parse_gains(bytes(model.buffers[row.buffer].data))
    return {}


def parse_gains(record: bytes | str) -> Gains:
    """Return gains from their record in a file; raise InputError for a damaged one."""
    try:
        document = json.loads(record)
        gains = {str(name): np.asarray(values, dtype=np.float64) for name, values in document.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the file's record of channel gains cannot be read: {error}", mend=_MEND) from error
    for name, gain in gains.items():
        if gain.ndim != 1 or not np.all(np.isfinite(gain)) or not np.all(gain > 0):
            raise InputError(f"the file's channel gains of {name!r} are no positive numbers", mend=_MEND)
    return gains


def gained_reference(reference: bytes, gains: Gains) -> bytes:
    """Return a float file with the channel gains of another file, so that their tensors can be held against each other.

    Raise InputError for gains that do not fit the float file.
    """
    if not gains:
        return reference
    model = flatbuffer.read(reference)
    known = spreads(model)
    for name, gain in gains.items():
        if name not in known or channels(model, known[name].tensor) != len(gain):
            raise InputError(f"the float network has no layer {name!r} of {len(gain)} channels", mend=_MEND)
    apply_gains(model, gains)
    return flatbuffer.write(model)
