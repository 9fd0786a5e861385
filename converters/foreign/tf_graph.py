"""A frozen TensorFlow graph as nodes: what Keras models and SavedModels are once their variables are constants."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.foreign.import_graph import SHAPE, Call, Dialect, Handler, Operation, Value, arithmetic, evaluate
from converters.foreign.nodes import BatchNorm, Clamp, Conv, Dense, Input, Node, Pad, Pool, Sigmoid, Softmax
from edgenet.errors import InputError

SPATIAL = slice(1, 3)  # of NHWC


def read_graph(graph: Any, output: str, classes: Mapping[str, str]) -> Node:
    """Return the node of a GraphDef's `output`; `classes` are the Keras classes of its layers, for messages."""
    definitions = {node.name: node for node in graph.node}
    values: dict[str, Value] = {}

    def label(operation: Operation) -> str:
        return _label(operation, classes)

    found = evaluate(_sorted(definitions, _plain(output)), values, DIALECT, label)[_plain(output)]
    if not isinstance(found, Node):
        raise InputError("the model's output does not depend on its image")
    return found


def _label(operation: Operation, classes: Mapping[str, str]) -> str:
    """Return the name of the layer that an operation belongs to; Keras 3 numbers a layer's name when it is called."""
    for part in reversed(operation.name.split("/")):
        for name in (part, re.sub(r"_\d+$", "", part)):
            if name in classes:
                return f"{name} ({classes[name]})"
    return f"{operation.name} ({operation.type})"


def _plain(name: str) -> str:
    return name.removesuffix(":0")


def _sorted(definitions: Mapping[str, Any], output: str) -> Iterator[Operation]:
    """Yield the operations that an output needs, each after its inputs."""
    done: set[str] = set()
    waiting = [(output, False)]
    while waiting:
        name, ready = waiting.pop()
        node = definitions.get(name.split(":")[0])
        if node is None:
            raise InputError(f"the graph has no operation {name!r}")
        if node.name in done:
            continue
        inputs = [_plain(source) for source in node.input if not source.startswith("^")]
        if ready:
            done.add(node.name)
            yield _operation(node, tuple(inputs))
        else:
            waiting.append((node.name, True))
            waiting.extend((source, False) for source in reversed(inputs))


def _operation(node: Any, inputs: tuple[str, ...]) -> Operation:
    count = len(inputs) if node.op == "IdentityN" else 1
    outputs = (node.name, *(f"{node.name}:{index}" for index in range(1, count)))
    return Operation(node.name, node.op, inputs, outputs, {key: _attribute(value) for key, value in node.attr.items()})


def _attribute(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "list":
        return list(value.list.i)
    if kind == "tensor":
        from tensorflow.python.framework.tensor_util import MakeNdarray

        return MakeNdarray(value.tensor)
    if kind == "s":
        return value.s.decode(errors="replace")
    if kind == "shape":
        return [side.size for side in value.shape.dim]
    return getattr(value, kind) if kind else None


def _constant(value: NDArray[Any], **_: Any) -> NDArray[Any]:
    return np.asarray(value)


def _placeholder(shape: list[int], **_: Any) -> Input:
    return Input("image", (), max(0, shape[1]))


def _conv(call: Call) -> Value:
    weight, attributes = call.constant(1), call.operation.attributes
    strides = tuple(attributes["strides"][SPATIAL])
    pads: Any = {"SAME": None, "VALID": (0, 0, 0, 0)}.get(attributes["padding"], ())
    depthwise = call.operation.type.startswith("Depthwise")
    nhwc = attributes["data_format"] == "NHWC" and set(attributes.get("dilations") or [1]) == {1}
    if weight is None or weight.ndim != 4 or pads == () or not nhwc or (depthwise and weight.shape[3] != 1):
        return call.other()
    order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    kernel = np.ascontiguousarray(weight.transpose(order), np.float32)
    return Conv(call.label, call.nodes, kernel, depthwise, (strides[0], strides[1]), pads)


def _batch_norm(call: Call) -> Value:
    arrays = [call.constant(index) for index in range(1, 5)]
    if call.operation.attributes.get("is_training") or any(array is None or array.ndim != 1 for array in arrays):
        return call.other()
    gamma, beta, mean, variance = (np.asarray(array, np.float32) for array in arrays)
    return BatchNorm(call.label, call.nodes, gamma, beta, mean, variance, float(call.operation.attributes["epsilon"]))


def _mean(call: Call) -> Value:
    axes = call.constant(1)
    whole = axes is not None and sorted(np.atleast_1d(axes).tolist()) in ([1, 2], [-3, -2])
    return Pool(call.label, call.nodes) if whole else call.other()


def _dense(call: Call) -> Value:
    weight, attributes = call.constant(1), call.operation.attributes
    if weight is None or weight.ndim != 2 or attributes.get("transpose_a"):
        return call.other()
    return Dense(call.label, call.nodes, np.asarray(weight if attributes.get("transpose_b") else weight.T, np.float32))


def _pad(call: Call) -> Value:
    widths, filling = call.constant(1), call.constant(2)
    if widths is None or widths.shape != (4, 2) or widths[[0, 3]].any() or (filling is not None and filling.any()):
        return call.other()
    (top, bottom), (left, right) = widths[SPATIAL].tolist()
    return Pad(call.label, call.nodes, (top, left, bottom, right))


def clamp(low: float, high: float) -> Handler:
    """Return the handler of an operation that keeps to a range."""
    return lambda call: Clamp(call.label, call.nodes, low, high)


def limit(*, lower: bool) -> Handler:
    """Return the handler of a maximum or minimum with one number."""

    def handle(call: Call) -> Value:
        bound = next((value for value in call.values if isinstance(value, np.ndarray)), None)
        if len(call.values) != 2 or bound is None or bound.size != 1:
            return call.other()
        low, high = (float(bound.item()), np.inf) if lower else (-np.inf, float(bound.item()))
        return Clamp(call.label, call.nodes, low, high)

    return handle


def _binary(function: Any) -> Any:
    return lambda first, second, **_: function(first, second)


def _unary(function: Any) -> Any:
    return lambda value, **_: function(value)


FOLDS: dict[str, Any] = {
    "Const": _constant,
    "Placeholder": _placeholder,
    **{name: _unary(np.asarray) for name in ("Identity", "StopGradient", "Snapshot")},
    "Cast": _unary(np.asarray),
    "Sqrt": _unary(np.sqrt),
    "Rsqrt": _unary(lambda value: 1 / np.sqrt(value)),
    "Neg": _unary(np.negative),
    **{name: _binary(np.add) for name in ("Add", "AddV2", "BiasAdd")},
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    **{name: _binary(np.divide) for name in ("Div", "RealDiv")},
    "Maximum": _binary(np.maximum),
    "Minimum": _binary(np.minimum),
    "Reshape": _binary(lambda value, shape: value.reshape(shape.tolist())),
    "ExpandDims": _binary(lambda value, axis: np.expand_dims(value, int(axis))),
    "Squeeze": _unary(np.squeeze),
    "Transpose": _binary(lambda value, order: value.transpose(order.tolist())),
}
HANDLERS: dict[str, Handler] = {
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _conv,
    **{name: _batch_norm for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")},
    **{name: arithmetic("+") for name in ("Add", "AddV2", "BiasAdd")},
    "Sub": arithmetic("-"),
    "Mul": arithmetic("*"),
    **{name: arithmetic("/") for name in ("Div", "RealDiv")},
    "Mean": _mean,
    "MatMul": _dense,
    **{name: _pad for name in ("Pad", "PadV2")},
    "Relu": clamp(0.0, np.inf),
    "Relu6": clamp(0.0, 6.0),
    "Maximum": limit(lower=True),
    "Minimum": limit(lower=False),
    "Sigmoid": lambda call: Sigmoid(call.label, call.nodes),
    "Softmax": lambda call: Softmax(call.label, call.nodes),
    "Shape": lambda call: SHAPE,
}
PASSED = frozenset((
    *("Identity", "StopGradient", "PreventGradient", "Snapshot", "Cast", "EnsureShape"),
    *("Reshape", "ExpandDims", "Squeeze", "Transpose"),
))  # fmt: skip
DIALECT = Dialect(HANDLERS, FOLDS, PASSED)
