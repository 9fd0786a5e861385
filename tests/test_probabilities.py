"""A file that ends in a softmax is told from one that gives logits, whatever stands behind the softmax."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from converters.probabilities import gives_probabilities

SIDE_PX, CLASSES = 8, 4


@dataclass(frozen=True)
class Case:
    """The ops at the end of a network, and whether its outputs are probabilities."""

    id: str
    ends: tuple[str, ...]
    expected: bool


CASES = (
    Case("logits", (), False),
    Case("softmax", ("Softmax",), True),
    Case("softmax, reshaped", ("Softmax", "Reshape"), True),
    Case("a softmax inside", ("Softmax", "Relu"), False),
)


def _tflite(ends: Sequence[str], *, integer: bool) -> bytes:
    import tensorflow as tf

    ops: dict[str, Callable[[Any], Any]] = {
        "Softmax": tf.nn.softmax,
        "Reshape": lambda values: tf.reshape(values, (1, 1, CLASSES)),
        "Relu": lambda values: tf.nn.relu(values - 0.1),
    }
    weights = tf.constant(np.random.default_rng(0).normal(size=(3, CLASSES)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, SIDE_PX, SIDE_PX, 3), tf.float32)])  # type: ignore[untyped-decorator]
    def network(images: Any) -> Any:
        values = tf.matmul(tf.reduce_mean(images, (1, 2)), weights)
        for name in ends:
            values = ops[name](values)
        return values

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    if integer:
        images = np.random.default_rng(1).random((4, 1, SIDE_PX, SIDE_PX, 3), np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row] for row in images)
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    return bytes(converter.convert())


def _onnx(ends: Sequence[str]) -> bytes:
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[1, 1, CLASSES])
    nodes, name = [shape], "logits"
    nodes.append(helper.make_node("Relu", ["image"], [name]))
    for number, kind in enumerate(ends):
        inputs = [name, "shape"] if kind == "Reshape" else [name]
        name = f"end{number}"
        nodes.append(helper.make_node(kind, inputs, [name]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, CLASSES])
    graph = helper.make_graph(nodes, "g", [image], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    return bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.filterwarnings("ignore")  # of TensorFlow's converter, which is here to make a file of another origin
def test_ends_are_told_apart(case: Case) -> None:
    assert gives_probabilities(_tflite(case.ends, integer=False)) == case.expected
    assert gives_probabilities(_tflite(case.ends, integer=True)) == case.expected
    assert gives_probabilities(_onnx(case.ends)) == case.expected
