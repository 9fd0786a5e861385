"""The float graph: only plain ops, one XNNPACK partition, and the same answers as the tf_keras network."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from converters import flatbuffer
from converters.edit import text
from converters.entry import FLOAT_ENTRY, integer_entry
from converters.flatbuffer import Model
from converters.float_file import build_float
from converters.network_check import network_error
from converters.patterns import op_code, op_name
from edgenet.errors import GateFailed
from edgenet.layers import expand
from edgenet.variants import VARIANTS
from edgenet.weights.random import random_weights
from edgenet.weights.record import Convention, Weights
from tests.networks import FAMILY_HEADS, HALF, IMAGENET_MEAN, IMAGENET_STD, pictures, small_weights

PLAIN = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MUL", "SUB", "LOGISTIC", "MEAN", "FULLY_CONNECTED"}
BAR = 1e-4
LARGE = ("b5", "b6", "b7", "v2-m", "v2-l", "v2-xl")
EACH_FAMILY = pytest.mark.parametrize("family", FAMILY_HEADS)
EACH_VARIANT = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in VARIANTS]
)


def _model(weights: Weights) -> Model:
    return build_float(
        expand(weights.variant, weights.num_classes, weights.preprocessing.side_px), weights, FLOAT_ENTRY
    )


def _ops(model: Model) -> Counter[str]:
    return Counter(op_name(op_code(model, row)) for row in model.subgraphs[0].operators)


def partitions(content: bytes) -> int:
    """Return how many parts of a file XNNPACK took."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return sum(row["op_name"] == "DELEGATE" for row in interpreter._get_ops_details())


@EACH_VARIANT
def test_each_variant_computes_its_network_with_plain_ops_in_one_partition(name: str) -> None:
    weights = random_weights(VARIANTS[name], 0, 1000)
    model = _model(weights)
    content = flatbuffer.write(model)
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    assert set(_ops(model)) <= PLAIN
    assert partitions(content) == 1
    assert network_error(content, architecture, weights, pictures(1, architecture.side_px)) <= BAR


@dataclass(frozen=True)
class Normalized:
    id: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    convention: Convention = Convention()


NORMALIZED = [
    Normalized("imagenet", IMAGENET_MEAN, IMAGENET_STD),
    Normalized("half", HALF, HALF),
    Normalized("symmetric", HALF, HALF, Convention("symmetric", 1e-5)),
]


@EACH_FAMILY
@pytest.mark.parametrize("case", NORMALIZED, ids=lambda case: case.id)
def test_other_preprocessing_and_padding(family: str, case: Normalized) -> None:
    weights = small_weights(family, case.mean, case.std, case.convention)
    model = _model(weights)
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    assert network_error(flatbuffer.write(model), architecture, weights, pictures(2)) <= BAR
    assert ("PAD" in _ops(model)) == (case.convention.padding == "symmetric")


def test_a_graph_that_is_not_the_network_is_refused() -> None:
    weights = small_weights("b")
    content = flatbuffer.write(_model(weights))
    other = small_weights("b", convention=Convention("same", 1e-1))
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    with pytest.raises(GateFailed, match="differs from its network"):
        network_error(content, architecture, other, pictures(1))


@EACH_FAMILY
def test_tensors_carry_the_layers_names(family: str) -> None:
    weights = small_weights(family)
    model = _model(weights)
    names = {text(tensor.name) for tensor in model.subgraphs[0].tensors}
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    assert {layer.name for layer in architecture.layers[:-1]} | {"image", "logits"} <= names


def test_random_weights_are_marked_in_the_file_itself() -> None:
    random = small_weights("lite")
    written = {source: text(_model(replace(random, source=source)).description) for source in ("random", "packaged")}
    assert written == {
        "random": "lite0, RANDOM WEIGHTS, written by edgenet",
        "packaged": "lite0, written by edgenet",
    }


def test_the_signature_names_the_ends() -> None:
    interpreter = Interpreter(model_content=flatbuffer.write(_model(small_weights("lite"))))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


@EACH_FAMILY
def test_the_same_weights_give_the_same_bytes(family: str) -> None:
    first, second = (flatbuffer.write(_model(small_weights(family))) for _ in range(2))
    assert first == second


def test_the_integer_entry_is_a_zero_point_only_where_one_serves_all_channels() -> None:
    foldings = {
        "lite": integer_entry(small_weights("lite").preprocessing),
        "half": integer_entry(small_weights("lite", HALF, HALF).preprocessing),
        "imagenet": integer_entry(small_weights("lite", IMAGENET_MEAN, IMAGENET_STD).preprocessing),
    }
    assert {name: (entry.folding, entry.zero_point) for name, entry in foldings.items()} == {
        "lite": ("zero_point", 127),
        "half": ("zero_point_and_bias", 128),
        "imagenet": ("subtracted", 0),
    }


def test_constants_are_inline_and_aligned() -> None:
    model = _model(small_weights("b"))
    content = flatbuffer.write(model)
    for buffer in model.buffers[1:]:
        raw = bytes(buffer.data)
        places = [at for at in range(0, len(content), 16) if content[at : at + len(raw)] == raw]
        assert places, "a constant is not at a multiple of 16 bytes"
    again = flatbuffer.read(content)
    assert all(not buffer.offset for buffer in again.buffers)
    assert flatbuffer.write(again) == content
    assert np.frombuffer(content[4:8], dtype=np.uint8).tobytes() == b"TFL3"
