"""Ops and graphs made by hand: a rule is tested on one op that keeps it, changed in one place to break it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.check.graph import Graph, Operator, Tensor

_NUMBERS = iter(range(1_000_000))


def tensor(shape: Sequence[int], kind: str = "int8", **more: Any) -> Tensor:
    """Return an activation."""
    number = next(_NUMBERS)
    return Tensor(number, f"t{number}", kind, tuple(shape), **more)


def constant(shape: Sequence[int], kind: str = "int8", values: Sequence[int] = (1,), **more: Any) -> Tensor:
    """Return a constant; `values` are its 32-bit numbers where a rule reads them."""
    return tensor(shape, kind, data=memoryview(np.asarray(values, dtype=np.int32).tobytes()), **more)


def op(name: str, inputs: Sequence[Tensor | None], output: Tensor, version: int = 1, **options: int) -> Operator:
    """Return an op that stands alone."""
    return Operator(0, name, version, tuple(inputs), (output,), dict(options))


def chain(*operators: Operator, inputs: Sequence[Tensor] = ()) -> Graph:
    """Return a graph of ops in their order; its inputs are the first op's unless given."""
    numbered = tuple(
        Operator(index, row.name, row.version, row.inputs, row.outputs, row.options, row.custom)
        for index, row in enumerate(operators)
    )
    ends = tuple(inputs) or tuple(row for row in numbered[0].inputs if row and not row.constant)
    return Graph(numbered, ends, numbered[-1].outputs)
