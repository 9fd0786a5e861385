"""A network of any origin as a few kinds of nodes: what an EfficientNet is made of, and "other" for everything else."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Node:
    """One step; `label` is what messages call it. What only moves numbers about (reshape, transpose) has no node."""

    label: str
    inputs: tuple["Node", ...]


@dataclass(frozen=True, eq=False)
class Input(Node):
    """The image; a side of 0 is not fixed."""

    side_px: int


@dataclass(frozen=True, eq=False)
class Conv(Node):
    """A convolution, weight [O, I, kH, kW], depthwise [C, 1, kH, kW]; pads top, left, bottom, right, None = SAME."""

    weight: NDArray[np.float32]
    depthwise: bool
    strides: tuple[int, int]
    pads: tuple[int, int, int, int] | None


@dataclass(frozen=True, eq=False)
class Pad(Node):
    """Zeros around the map: top, left, bottom, right."""

    pads: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Affine(Node):
    """scale * x + shift, each [C] or [1]."""

    scale: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class BatchNorm(Node):
    """A batch norm as it was trained, each array [C]."""

    gamma: NDArray[np.float32]
    beta: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    epsilon: float


@dataclass(frozen=True, eq=False)
class Clamp(Node):
    """min(max(x, low), high): relu and relu6."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """A dense layer without its bias, weight [O, I]."""

    weight: NDArray[np.float32]


class Sigmoid(Node):
    """1 / (1 + exp(-x))."""


class Softmax(Node):
    """Softmax over the classes."""


class Multiply(Node):
    """The product of two results."""


class Sum(Node):
    """The sum of two results."""


class Pool(Node):
    """The mean over the whole map."""


class Other(Node):
    """An operation that no EfficientNet has."""


class Graph:
    """The nodes that an output needs, each after its inputs, and who uses whom."""

    def __init__(self, output: Node) -> None:
        self.output = output
        self.nodes = tuple(_in_order(output))
        self._users: dict[int, list[Node]] = {id(node): [] for node in self.nodes}
        for node in self.nodes:
            for source in {id(source): source for source in node.inputs}.values():
                self._users[id(source)].append(node)

    def users(self, node: Node) -> list[Node]:
        """Return the nodes that take `node` as an input."""
        return self._users[id(node)]

    def only_user(self, node: Node) -> Node | None:
        """Return the one node that takes `node`, None where there are several or none."""
        users = self.users(node)
        return users[0] if len(users) == 1 else None


def _in_order(output: Node) -> Iterator[Node]:
    """Yield every node after its inputs; a loop instead of recursion, for networks have thousands of nodes."""
    done: set[int] = set()
    waiting = [(output, False)]
    while waiting:
        node, ready = waiting.pop()
        if id(node) in done:
            continue
        if ready:
            done.add(id(node))
            yield node
        else:
            waiting.append((node, True))
            waiting.extend((source, False) for source in reversed(node.inputs))


def then(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return scale and shift of two affine steps in a row."""
    return first[0] * second[0], first[1] * second[0] + second[1]


def as_affine(node: Affine | BatchNorm) -> tuple[Array, Array]:
    """Return scale and shift of a step, in float64."""
    if isinstance(node, Affine):
        return node.scale, node.shift
    scale = node.gamma.astype(np.float64) / np.sqrt(node.variance.astype(np.float64) + node.epsilon)
    return scale, node.beta - node.mean * scale
