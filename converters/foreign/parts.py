"""The parts of a network that count for its recognition: what comes before, the convolutions, the head."""

from dataclasses import dataclass

import numpy as np

from converters.foreign.nodes import (
    Affine,
    Array,
    BatchNorm,
    Clamp,
    Conv,
    Dense,
    Graph,
    Input,
    Multiply,
    Node,
    Other,
    Pad,
    Pool,
    Sigmoid,
    Softmax,
    as_affine,
    then,
)
from edgenet.errors import InputError
from edgenet.variants import Activation

HEAD_ALLOWED = "global average pooling, dropout, one dense layer, and softmax or nothing"
HEAD_MEND = "take that layer out, fine-tune the head again, and save the model anew"


@dataclass(frozen=True, eq=False)
class Found:
    """A convolution with what follows it up to its activation; `end` is where the next layer begins."""

    conv: Conv
    pad: Pad | None
    steps: tuple[Affine | BatchNorm, ...]
    activation: Activation | str
    end: Node


@dataclass(frozen=True, eq=False)
class Head:
    """The dense layer, what is added to its result, and whether a softmax ends the network."""

    dense: Dense
    steps: tuple[Affine, ...]
    softmax: bool


def convolutions(graph: Graph) -> tuple[Found, ...]:
    """Return the convolutions in the order in which they run."""
    return tuple(_found(graph, node) for node in graph.nodes if isinstance(node, Conv))


def _found(graph: Graph, conv: Conv) -> Found:
    source = conv.inputs[0]
    steps, end = _steps(graph, conv)
    activation, last = _activation(graph, end)
    return Found(conv, source if isinstance(source, Pad) else None, steps, activation, last)


def _steps(graph: Graph, node: Node) -> tuple[tuple[Affine | BatchNorm, ...], Node]:
    steps: list[Affine | BatchNorm] = []
    while isinstance(user := graph.only_user(node), Affine | BatchNorm):
        steps.append(user)
        node = user
    return tuple(steps), node


def _activation(graph: Graph, node: Node) -> tuple[str, Node]:
    low, high, end = -np.inf, np.inf, node
    while isinstance(user := graph.only_user(end), Clamp):  # relu6 may be written as a maximum and a minimum
        low, high, end = max(low, user.low), min(high, user.high), user
    if end is not node:
        return {(0.0, 6.0): "relu6", (0.0, np.inf): "relu"}.get((low, high), f"clip to {low:g} … {high:g}"), end
    users = graph.users(node)
    gate = next((user for user in users if isinstance(user, Sigmoid)), None)
    product = next((user for user in users if isinstance(user, Multiply)), None)
    if gate and product and set(map(id, product.inputs)) == {id(node), id(gate)} and len(users) == 2:
        return "swish", product
    return ("sigmoid", gate) if gate and len(users) == 1 else ("none", node)


def front(graph: Graph, first: Found) -> tuple[Input, tuple[Array, Array]]:
    """Return the image and what is done to its pixels before the first convolution, as scale and shift."""
    node, steps = (first.pad or first.conv).inputs[0], []
    while isinstance(node, Affine | BatchNorm):
        steps.append(as_affine(node))
        node = node.inputs[0]
    if not isinstance(node, Input):
        raise InputError(
            f"{node.label} stands between the image and the first convolution",
            allowed="rescaling and normalization",
            mend="save the model without it, and do that before",
        )
    combined = np.ones(1), np.zeros(1)
    for step in reversed(steps):
        combined = then(combined, step)
    return node, combined


def head(graph: Graph, last: Found) -> Head:
    """Return the head behind the last convolution; raise InputError that names the first thing that is not accepted."""
    rest = _behind(graph, last.end)
    if not rest or not isinstance(rest[0], Pool):
        raise _refused(rest[0] if rest else graph.output, "global average pooling was expected")
    dense = [node for node in rest if isinstance(node, Dense)]
    if len(dense) > 1:
        raise _refused(dense[0], f"{len(dense)} dense layers")
    if len(rest) < 2 or not isinstance(rest[1], Dense):
        raise _refused(rest[1] if len(rest) > 1 else rest[0], "the dense layer was expected next")
    softmax = isinstance(rest[-1], Softmax)
    steps = tuple(node for node in rest[2:] if isinstance(node, Affine))
    odd = [node for node in rest[2 : len(rest) - softmax] if not isinstance(node, Affine)]
    if odd:
        raise _refused(odd[0], f"{type(odd[0]).__name__.lower()} behind the dense layer")
    return Head(dense[0], steps, softmax)


def _behind(graph: Graph, node: Node) -> list[Node]:
    """Return the chain of nodes behind `node` up to the output."""
    found = []
    while node is not graph.output:
        user = graph.only_user(node)
        if user is None:
            raise InputError(
                f"the network branches behind {node.label}", allowed=f"a head of {HEAD_ALLOWED}", mend=HEAD_MEND
            )
        found.append(user)
        node = user
    return found


def _refused(node: Node, why: str) -> InputError:
    return InputError(f"the head holds {node.label}: {why}", allowed=f"a head of {HEAD_ALLOWED}", mend=HEAD_MEND)


def others(graph: Graph) -> tuple[Other, ...]:
    """Return the operations that no EfficientNet has."""
    return tuple(node for node in graph.nodes if isinstance(node, Other))


def refuse_others(graph: Graph) -> None:
    """Raise InputError for an operation that no EfficientNet has, by name."""
    for odd in others(graph):
        raise InputError(f"{odd.label} is no part of an EfficientNet", mend="save the model without it")
