"""Turn a list of operations, whatever the format, into nodes: constants are computed, reshaping is passed over."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.foreign.nodes import Affine, Multiply, Node, Other, Sum
from edgenet.errors import InputError


class Shape:
    """A value that is no number of the network: sides, batch sizes, and what is computed from them."""


SHAPE = Shape()
Value = Node | NDArray[Any] | Shape


@dataclass(frozen=True)
class Operation:
    """One operation of a file: its name, its type, the names of its inputs ("" = left out) and outputs."""

    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """An operation with the values of its inputs."""

    operation: Operation
    label: str
    values: tuple[Value, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return those inputs that are computed from the image."""
        return tuple(value for value in self.values if isinstance(value, Node))

    def constant(self, index: int) -> NDArray[Any] | None:
        """Return an input that is a constant; None where it is none, or left out."""
        value = self.values[index] if index < len(self.values) else None
        return value if isinstance(value, np.ndarray) else None

    def other(self) -> Other:
        """Return the operation as one that no EfficientNet has."""
        return Other(self.label, self.nodes)


Handler = Callable[[Call], Value]
Fold = Callable[..., Value]


@dataclass(frozen=True)
class Dialect:
    """What a format calls its operations."""

    handlers: Mapping[str, Handler]
    folds: Mapping[str, Fold]  # what is computed where all inputs are constants
    passed: frozenset[str]  # what gives its first input on, in another shape or none


def evaluate(
    operations: Iterable[Operation], values: dict[str, Value], dialect: Dialect, label: Callable[[Operation], str]
) -> dict[str, Value]:
    """Return the value of every name, beside those that `values` has already; operations come after their inputs."""
    for operation in operations:
        for name in operation.inputs:
            if name and name not in values:
                raise InputError(f"{operation.name} ({operation.type}) takes {name!r}, which nothing makes")
        inputs = tuple(values[name] if name else SHAPE for name in operation.inputs)
        call = Call(operation, label(operation), inputs)
        results = _results(call, dialect)
        values.update(zip(operation.outputs, results, strict=False))
    return values


def _results(call: Call, dialect: Dialect) -> tuple[Value, ...]:
    """Return an operation's outputs; only the first of several is the operation's own (IdentityN: each its input)."""
    outputs = len(call.operation.outputs)
    if call.operation.type == "IdentityN":
        return call.values
    return (_result(call, dialect), *[SHAPE] * (outputs - 1))


def _result(call: Call, dialect: Dialect) -> Value:
    kind = call.operation.type
    if not call.nodes:
        return _folded(call, dialect)
    if kind in dialect.passed:
        return call.values[0]
    handler = dialect.handlers.get(kind)
    return handler(call) if handler else call.other()


def _folded(call: Call, dialect: Dialect) -> Value:
    constants = [value for value in call.values if isinstance(value, np.ndarray)]
    fold = dialect.folds.get(call.operation.type)
    if not fold or len(constants) != len(call.values):
        return SHAPE
    try:
        return fold(*constants, **call.operation.attributes)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(f"{call.label} does not fit its constants: {error}", mend="export the model again") from error


def vector(constant: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return a constant as one number a channel, [C] or [1], whatever the layout; None for one of more dimensions."""
    squeezed = np.atleast_1d(np.squeeze(np.asarray(constant, np.float64)))
    return squeezed if squeezed.ndim == 1 else None


def affine(call: Call, source: Value, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Value:
    """Return scale * x + shift as a node; nothing where it changes nothing, and one with no channels is "other"."""
    if not isinstance(source, Node) or not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return call.other()
    if (scale == 1).all() and (shift == 0).all():
        return source
    return Affine(call.label, (source,), scale, shift)


ONE, ZERO = np.ones(1), np.zeros(1)


def arithmetic(kind: str) -> Handler:
    """Return the handler of +, -, * or / between a result and a constant, or of + and * between two results."""

    def handle(call: Call) -> Value:
        if len(call.values) != 2 or any(isinstance(value, Shape) for value in call.values):
            return call.other()
        if len(call.nodes) == 2:
            joined = {"+": Sum, "*": Multiply}.get(kind)
            return joined(call.label, call.nodes) if joined else call.other()
        constant_first = isinstance(call.values[0], np.ndarray)
        constant = call.constant(0 if constant_first else 1)
        assert constant is not None
        numbers = vector(constant)
        if numbers is None or (kind == "/" and (constant_first or (numbers == 0).any())):
            return call.other()
        scale, shift = {
            "+": (ONE, numbers),
            "-": (-ONE, numbers) if constant_first else (ONE, -numbers),
            "*": (numbers, ZERO),
            "/": (1 / numbers if kind == "/" else ONE, ZERO),
        }[kind]
        return affine(call, call.nodes[0], scale, shift)

    return handle
