"""ONNX models of other exporters: recognised, read to the last tensor, proved by running them, or refused by name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.foreign import read as foreign
from converters.foreign.proof import prove
from converters.runtime import Runner
from edgenet.errors import EdgenetError, GateFailed, InputError
from edgenet.layers import expand
from edgenet.variants import VARIANTS
from edgenet.weights.preprocessing_rules import PreprocessingOverrides
from edgenet.weights.record import Convention, Weights
from tests.foreign_models import CLASSES, HALF, Style, trained, write_onnx
from tests.networks import pictures

BY_HAND = PreprocessingOverrides(mean=HALF, std=HALF)
TORCH = Convention("symmetric", 1e-5)


def silent(text: str) -> None:
    """Say nothing."""


def logits(weights: Weights) -> Any:
    """Return what our network with these weights answers to two pictures."""
    side_px = weights.preprocessing.side_px
    network = expand(weights.variant, weights.num_classes, side_px)
    runner = Runner(flatbuffer.write(build_float(network, weights, FLOAT_ENTRY)))
    return np.stack([runner.logits(row) for row in pictures(2, side_px)])


@dataclass(frozen=True)
class Case:
    """A network, how it was exported, and what has to be told about it."""

    id: str
    variant: str
    convention: Convention
    style: Style
    notes: tuple[str, ...] = ()


FOLDED = "batch norms came as a scale and a shift"
CASES = (
    Case("torch, folded", "b0", TORCH, Style(named=False), (FOLDED, "set by hand")),
    Case("torch, not folded", "lite0", TORCH, Style(folded=False)),
    Case("tf2onnx, NHWC, softmax", "lite0", Convention(), Style(nhwc=True, softmax=True, clip=False), ("softmax",)),
    Case("own normalization", "b0", Convention(), Style(folded=False, normalized=True), ("own first layers",)),
    Case("fused blocks", "edgetpu-s", TORCH, Style(named=False)),
    Case("fused blocks and swish", "v2-b0", Convention(), Style(folded=False)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_model_is_recognised_and_read_to_the_last_tensor(case: Case, tmp_path: Path) -> None:
    weights = trained(case.variant, case.convention)
    path = write_onnx(tmp_path / "mine.onnx", weights, case.style)
    found = foreign.read_model(path, None, None if case.style.normalized else BY_HAND, silent)
    assert (found.variant.name, found.num_classes, found.source) == (case.variant, CLASSES, "file")
    assert found.convention.padding == case.convention.padding
    assert found.preprocessing.mean == found.preprocessing.std == HALF
    assert found.whole_model
    for note in (*case.notes, "proved against the model itself on 3 images"):
        assert any(note in row for row in found.notes), found.notes
    if not case.style.folded:
        assert found.convention == case.convention
        assert all(np.array_equal(found.tensors[name], row) for name, row in weights.tensors.items())
    ours, theirs = logits(found), logits(weights)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    assert np.abs(theirs[0] - theirs[1]).max() > 1e-3 * np.abs(theirs).max()  # two pictures, two answers


def test_open_sides_become_the_variants_own(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "mine.onnx", trained("lite0", TORCH), Style(open_sides=True))
    found = foreign.read_model(path, None, BY_HAND, silent)
    assert found.preprocessing.side_px == VARIANTS["lite0"].side_px
    assert any("images of any side: 224 px" in note for note in found.notes)


def test_weights_beside_the_file_are_read_and_hashed(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "mine.onnx", trained("lite0"))
    inside = foreign.read_model(path, None, BY_HAND, silent)
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="mine.data", size_threshold=0)
    beside = foreign.read_model(path, None, BY_HAND, silent)
    assert all(np.array_equal(beside.tensors[name], row) for name, row in inside.tensors.items())
    data = tmp_path / "mine.data"
    data.write_bytes(data.read_bytes()[:-4] + b"\0\0\0\0")
    assert foreign.read_model(path, None, BY_HAND, silent).sha256 != beside.sha256


def test_the_proof_sees_one_tensor_that_is_off() -> None:
    weights = trained("lite0")
    pixels = np.stack(pictures(2, weights.preprocessing.side_px))
    answers = logits(weights)
    assert "2 images" in prove(weights, pixels, answers, softmax=False)
    shifted = {**weights.tensors, "blocks.1.1.bn3.bias": weights.tensors["blocks.1.1.bn3.bias"] + 0.01}
    with pytest.raises(GateFailed, match="answers otherwise"):
        prove(replace(weights, tensors=shifted), pixels, answers, softmax=False)


def test_the_proof_holds_up_to_a_constant_behind_a_softmax() -> None:
    weights = trained("lite0")
    pixels = np.stack(pictures(2, weights.preprocessing.side_px))
    shares = np.exp(logits(weights).astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    prove(weights, pixels, shares.astype(np.float32), softmax=True)
    with pytest.raises(GateFailed, match="answers otherwise"):
        prove(weights, pixels, shares[:, ::-1].astype(np.float32), softmax=True)
    with pytest.raises(GateFailed, match="nothing but 0 and 1"):
        prove(weights, pixels, np.eye(CLASSES, dtype=np.float32)[:2], softmax=True)


def test_answers_that_a_softmax_rounds_away_prove_nothing() -> None:
    weights = trained("lite0")
    still = {**weights.tensors, "classifier.weight": weights.tensors["classifier.weight"] * np.float32(1e-6)}
    weights = replace(weights, tensors={**still, "classifier.bias": np.zeros(CLASSES, np.float32)})
    shares = np.exp(logits(weights).astype(np.float64))
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    with pytest.raises(GateFailed, match="nearly the same for every class"):
        prove(weights, np.stack(pictures(2, weights.preprocessing.side_px)), shares, softmax=True)


# What is refused


def _node(model: Any, kind: str, inputs: list[str], **attributes: Any) -> None:
    """Put one more operation behind the last."""
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node(kind, ["before", *inputs], ["answer"], name="extra", **attributes))


def _dense(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.eye(CLASSES, dtype=np.float32), "more"))
    _node(model, "MatMul", ["more"])


def _two_inputs(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, [1]))


def _elsewhere(model: Any) -> None:
    row = model.graph.initializer[0]
    row.ClearField("raw_data")
    row.data_location = TensorProto.EXTERNAL
    row.external_data.add(key="location", value="../secret.bin")


def _wider(model: Any) -> None:
    row = next(row for row in model.graph.initializer if row.name == "blocks.2.0.conv_dw.weight")
    row.CopyFrom(numpy_helper.from_array(np.zeros((144, 1, 7, 7), np.float32), row.name))


def _resized(model: Any) -> None:
    node = helper.make_node("Resize", ["picture", "", "sizes"], ["resized"], name="first")
    model.graph.initializer.append(numpy_helper.from_array(np.asarray([1, 1, 2, 2], np.float32), "sizes"))
    model.graph.node[0].input[0] = "resized"
    model.graph.node.insert(0, node)


def _no_pool(model: Any) -> None:
    next(row for row in model.graph.node if row.op_type == "GlobalAveragePool").op_type = "GlobalMaxPool"


def _quantized(model: Any) -> None:
    names = ("scale", "zero")
    values: tuple[Any, Any] = (np.asarray(0.1, np.float32), np.asarray(0, np.uint8))
    for name, value in zip(names, values, strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    model.graph.node[0].input[0] = "rounded"
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["picture", *names], ["rounded"], name="entry"))


def _of_nobody(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    model.graph.node[1].op_type, model.graph.node[1].domain = "Swoosh", "com.acme"


def _hard(model: Any) -> None:
    clip = model.graph.node[1]
    clip.op_type = "HardSigmoid"
    del clip.input[1:]


def _future(model: Any) -> None:
    model.opset_import[0].version = 99


def _half(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


@dataclass(frozen=True)
class Refused:
    """What is done to a good model, and what the message has to say."""

    id: str
    change: Callable[[Any], None]
    message: str


REFUSED = (
    Refused("a second dense layer", _dense, "the head holds Gemm_.*2 dense layers"),
    Refused("sigmoid at the end", lambda model: _node(model, "Sigmoid", []), r"extra \(Sigmoid\)"),
    Refused("another pooling", _no_pool, r"\(GlobalMaxPool\): global average pooling was expected"),
    Refused("two inputs", _two_inputs, "2 inputs and 1 outputs"),
    Refused("weights in another folder", _elsewhere, "keeps weights in '../secret.bin'"),
    Refused("a resize at the front", _resized, r"first \(Resize\) stands between the image"),
    Refused("quantized", _quantized, r"entry \(QuantizeLinear\) makes 'rounded': the model is quantized already"),
    Refused("an op of nobody's", _of_nobody, r"op 'Swoosh' of 'com.acme' \(tensor 'v1'\) is in no runtime"),
    Refused("an opset to come", _future, "the model is of opset 99; allowed: at most"),
    Refused("another activation", _hard, r"first difference at layer 1: .*; Clip_1 \(HardSigmoid\) is in none"),
    Refused("half floats", _half, r"input 'picture' is \[0, 3, 64, 64\] float16"),
    Refused("another kernel", _wider, "nearest is lite0, the first difference at layer 11: Conv_18"),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_is_no_plain_classifier_is_refused_by_name(case: Refused, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "mine.onnx", trained("lite0", TORCH))
    model = onnx.load(str(path))
    case.change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=case.message):
        foreign.read_model(path, None, BY_HAND, silent)


def test_another_variant_than_asked_for_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "mine.onnx", trained("lite0"))
    with pytest.raises(InputError, match=r"is lite0, not b0: .*--variant lite0"):
        foreign.read_model(path, VARIANTS["b0"], BY_HAND, silent)
    assert foreign.read_model(path, VARIANTS["lite0"], BY_HAND, silent).variant.name == "lite0"


def test_without_mean_and_std_it_asks_and_names_what_is_usual(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "mine.onnx", trained("lite0"))
    with pytest.raises(InputError) as caught:
        foreign.read_model(path, None, None, silent)
    assert "nothing in mine.onnx says how its image is normalized" in caught.value.what
    assert "--mean 127 --std 128 (of tensorflow/tpu's Lite)" in caught.value.allowed
    assert "--mean and --std" in caught.value.mend


def test_a_config_beside_the_file_answers_instead(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "mine.onnx", trained("lite0"))
    (tmp_path / "config.json").write_text(
        '{"architecture": "tf_efficientnet_lite0", "num_classes": 5, "pretrained_cfg": {"input_size": [3, 64, 64],'
        '"interpolation": "bilinear", "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}'
    )
    record = foreign.read_model(path, None, None, silent).preprocessing
    assert (record.mean, record.std, record.crop_fraction, record.interpolation) == (HALF, HALF, 0.9, "bilinear")


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"not a model" * 50], ids=["empty", "nothing in it", "text"])
def test_what_is_no_onnx_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(content)
    with pytest.raises(EdgenetError, match=r"not an \.onnx file"):
        foreign.read_model(path, None, BY_HAND, silent)
