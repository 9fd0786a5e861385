"""An ONNX graph as nodes, whoever exported it: batch norms folded or not, NCHW or NHWC, initializers of any name."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from converters.foreign.import_graph import SHAPE, Call, Dialect, Handler, Operation, Value, arithmetic, evaluate
from converters.foreign.nodes import BatchNorm, Clamp, Conv, Dense, Input, Multiply, Node, Pad, Pool, Sigmoid, Softmax
from converters.foreign.nodes import Sum as SumNode
from converters.foreign.tf_graph import FOLDS as TENSORFLOW_FOLDS
from converters.foreign.tf_graph import clamp, limit
from edgenet.errors import InputError

STANDARD_DOMAINS = ("", "ai.onnx")


def read_graph(graph: Any, image: str, side_px: int) -> Node:
    """Return the node of a GraphProto's only output; `image` is the name of its only input."""
    from onnx import numpy_helper

    values: dict[str, Value] = {row.name: numpy_helper.to_array(row) for row in graph.initializer}
    values[image] = Input("image", (), side_px)
    found = evaluate(_operations(graph), values, DIALECT, lambda row: f"{row.name} ({row.type})")
    output = found.get(graph.output[0].name)
    if not isinstance(output, Node):
        raise InputError("the model's output does not depend on its image")
    return output


def _operations(graph: Any) -> Iterator[Operation]:
    from onnx import helper

    for node in graph.node:
        kind = node.op_type if node.domain in STANDARD_DOMAINS else f"{node.domain}.{node.op_type}"
        name = node.name or (node.output[0] if node.output else "?")
        attributes = {row.name: _attribute(helper.get_attribute_value(row)) for row in node.attribute}
        yield Operation(name, kind, tuple(node.input), tuple(node.output), attributes)


def _attribute(value: Any) -> Any:
    from onnx import TensorProto, numpy_helper

    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _constant(value: Any = None, value_float: Any = None, value_int: Any = None, **others: Any) -> Value:
    given = [row for row in (value, value_float, value_int, *others.values()) if row is not None]
    return np.asarray(given[0])


def _conv(call: Call) -> Value:
    weight, attributes = call.constant(1), call.operation.attributes
    if weight is None or weight.ndim != 4:
        return call.other()
    groups = attributes.get("group", 1)
    depthwise = groups > 1
    pads = _pads(attributes)
    grouped = depthwise and (groups != weight.shape[0] or weight.shape[1] != 1)
    if pads == () or grouped or set(attributes.get("dilations") or [1]) != {1}:
        return call.other()
    down, right = attributes.get("strides") or (1, 1)
    kernel = np.asarray(weight, np.float32)
    return _with_bias(call, Conv(call.label, call.nodes[:1], kernel, depthwise, (down, right), pads))


def _pads(attributes: Mapping[str, Any]) -> Any:
    """Return top, left, bottom, right; None for SAME; () for what no EfficientNet does."""
    rule = attributes.get("auto_pad", "NOTSET")
    if rule == "NOTSET":
        pads = tuple(attributes.get("pads") or (0, 0, 0, 0))
        return pads if len(pads) == 4 else ()
    return {"SAME_UPPER": None, "VALID": (0, 0, 0, 0)}.get(rule, ())


def _with_bias(call: Call, node: Node) -> Value:
    """Return a convolution or dense layer with the bias that is its third input, if there is one."""
    if len(call.values) < 3 or not call.operation.inputs[2]:
        return node
    return arithmetic("+")(Call(call.operation, call.label, (node, call.values[2])))


def _batch_norm(call: Call) -> Value:
    arrays = [call.constant(index) for index in range(1, 5)]
    if call.operation.attributes.get("training_mode") or any(array is None or array.ndim != 1 for array in arrays):
        return call.other()
    gamma, beta, mean, variance = (np.asarray(array, np.float32) for array in arrays)
    epsilon = float(call.operation.attributes.get("epsilon", 1e-5))
    return BatchNorm(call.label, call.nodes, gamma, beta, mean, variance, epsilon)


def _clip(call: Call) -> Value:
    attributes = call.operation.attributes
    low, high = (
        float(bound.item()) if (bound := call.constant(index)) is not None and bound.size == 1 else default
        for index, default in ((1, attributes.get("min", -np.inf)), (2, attributes.get("max", np.inf)))
    )
    return Clamp(call.label, call.nodes, low, high) if len(call.nodes) == 1 else call.other()


def _mean(call: Call) -> Value:
    given = call.constant(1)
    axes = given.tolist() if given is not None else call.operation.attributes.get("axes", [])
    whole = sorted(axis % 4 for axis in axes) in ([1, 2], [2, 3])
    return Pool(call.label, call.nodes) if whole else call.other()


def _gemm(call: Call) -> Value:
    weight, attributes = call.constant(1), call.operation.attributes
    plain = attributes.get("alpha", 1.0) == 1 and attributes.get("beta", 1.0) == 1 and not attributes.get("transA")
    if weight is None or weight.ndim != 2 or not plain:
        return call.other()
    kernel = np.asarray(weight if attributes.get("transB") else weight.T, np.float32)
    return _with_bias(call, Dense(call.label, call.nodes[:1], kernel))


def _matmul(call: Call) -> Value:
    weight = call.constant(1)
    if weight is None or weight.ndim != 2:
        return call.other()
    return Dense(call.label, call.nodes, np.asarray(weight.T, np.float32))


def _pad(call: Call) -> Value:
    attributes, widths, filling = call.operation.attributes, call.constant(1), call.constant(2)
    pads = widths.tolist() if widths is not None else attributes.get("pads") or []
    plain = attributes.get("mode", "constant") == "constant" and (filling is None or not filling.any())
    if len(pads) != 8 or not plain or attributes.get("value") or len(call.values) > 3:
        return call.other()
    rows = np.asarray(pads).reshape(2, 4)  # begin and end of each of the four axes
    axes = (1, 2) if rows[:, 1].any() or not rows[:, 3].any() else (2, 3)  # NHWC: axis 3 is not padded
    if rows[:, [axis for axis in range(4) if axis not in axes]].any():
        return call.other()
    (top, left), (bottom, right) = rows[:, axes].tolist()
    return Pad(call.label, call.nodes, (top, left, bottom, right))


def _swish(call: Call) -> Value:
    if call.operation.attributes.get("alpha", 1.0) != 1:
        return call.other()
    return Multiply(call.label, (*call.nodes, Sigmoid(call.label, call.nodes)))


def _sum(call: Call) -> Value:
    return SumNode(call.label, call.nodes) if len(call.values) == len(call.nodes) == 2 else call.other()


def _squeeze(value: Any, axes: Any = None, **_: Any) -> Value:
    return np.asarray(np.squeeze(value))


FOLDS: dict[str, Any] = {
    **{name: TENSORFLOW_FOLDS[name] for name in ("Add", "Sub", "Mul", "Div", "Sqrt", "Neg", "Identity", "Reshape")},
    "Constant": _constant,
    "Reciprocal": lambda value: 1 / value,
    "Squeeze": _squeeze,
    "Transpose": lambda value, perm=None: value.transpose(perm),
    "Unsqueeze": lambda value, axes: np.expand_dims(value, tuple(np.atleast_1d(axes).tolist())),
    "Cast": lambda value, to, **_: np.asarray(value),
}
HANDLERS: dict[str, Handler] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Add": arithmetic("+"),
    "Sub": arithmetic("-"),
    "Mul": arithmetic("*"),
    "Div": arithmetic("/"),
    "Sum": _sum,
    "Relu": clamp(0.0, np.inf),
    "Clip": _clip,
    "Max": limit(lower=True),
    "Min": limit(lower=False),
    "Sigmoid": lambda call: Sigmoid(call.label, call.nodes),
    "Swish": _swish,
    "Softmax": lambda call: Softmax(call.label, call.nodes),
    "GlobalAveragePool": lambda call: Pool(call.label, call.nodes),
    "ReduceMean": _mean,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Shape": lambda call: SHAPE,
}
PASSED = frozenset(("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout"))
DIALECT = Dialect(HANDLERS, FOLDS, PASSED)
