"""ONNX files made or damaged to do harm, and files of others: one line each, which names the op or the tensor."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.onnx_file.runner import OnnxRunner
from converters.runtime import Runner, load_runner
from converters.screen import read_screened
from edgenet.__main__ import main
from edgenet.errors import InputError

SIDE_PX = 8
Edit = Callable[[Any], object]
"""Changes an ONNX message in place."""


def small_model() -> Any:
    """Return a network of four nodes: raw pixels [1, 8, 8, 3] to logits [1, 5]."""
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32), "weight")
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=(0, 3, 1, 2)),
        helper.make_node("Conv", ["turned", "weight"], ["convolved"], kernel_shape=(3, 3)),
        helper.make_node("GlobalAveragePool", ["convolved"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, SIDE_PX, SIDE_PX, 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "small", [image], [logits], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _content(edit: Edit = lambda model: None) -> bytes:
    model = small_model()
    edit(model)
    return bytes(model.SerializeToString())


def test_the_small_model_runs(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(_content())
    assert isinstance(load_runner(read_screened(path)), OnnxRunner)
    pixels = np.full((SIDE_PX, SIDE_PX, 3), 7, dtype=np.uint8)
    assert load_runner(_content()).logits(pixels).shape == (5,)


def test_a_model_is_told_by_its_bytes() -> None:
    with pytest.raises(InputError, match="the TFLite runtime cannot load the model"):
        load_runner(b"\x1c\0\0\0TFL3" + bytes(100))
    with pytest.raises(InputError, match="cannot load"):
        Runner(_content())


# Bytes

BYTES: dict[str, bytes] = {
    "empty": b"",
    "text": b"not a model\n" * 100,
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "a zip": b"PK\x03\x04" + bytes(100),
    "half a file": _content()[: len(_content()) // 2],
    "without its last byte": _content()[:-1],
    "bytes behind it": _content() + b"\xff\xff",
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_bytes_that_are_no_model_are_one_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        OnnxRunner(content)
    assert "\n" not in str(error.value)
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^bad\.onnx: .*; allowed: an \.onnx file that ONNX Runtime can load"):
        read_screened(path)


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_refused_or_does_no_harm(seed: int) -> None:
    source, content = random.Random(seed), bytearray(_content())
    for _ in range(source.choice((1, 1, 4))):
        content[source.randrange(len(content))] = source.randrange(256)
    try:
        runner = OnnxRunner(bytes(content))
        runner.run(np.zeros(runner.input.shape, dtype=runner.input.dtype))
    except InputError as error:
        assert "\n" not in str(error)


# Privacy


IMPORTS = {
    "converters": "from converters.onnx_file.runner import onnx_runtime; onnx_runtime()",
    "on a device": "from devices.on_device.model_runtime import onnx_runtime; onnx_runtime()",
}


@pytest.mark.parametrize("code", IMPORTS.values(), ids=IMPORTS)
def test_the_runtime_keeps_no_record_for_its_maker(code: str, tmp_path: Path) -> None:
    # Its telemetry begins with a file in the temporary folder and a database below the home folder.
    decided = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI")
    kept = {name: value for name, value in os.environ.items() if name not in decided}
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(tmp_path))
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    subprocess.run([sys.executable, "-c", code], env={**kept, **homes, "PYTHONPATH": path}, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []


# Structure


def _external(model: Any) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../etc/passwd")


def _external_in_an_attribute(model: Any) -> None:
    tensor = TensorProto(name="hidden", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def _external_in_a_branch(model: Any) -> None:
    tensor = TensorProto(name="deep", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "branch", [], [out], [tensor])
    model.graph.node.append(helper.make_node("If", ["image"], ["either"], then_branch=branch, else_branch=branch))


def _second_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def _size(index: int, value: int | str) -> Edit:
    def edit(model: Any) -> None:
        size = model.graph.input[0].type.tensor_type.shape.dim[index]
        setattr(size, "dim_param" if isinstance(value, str) else "dim_value", value)

    return edit


def _op(node: int, **fields: str) -> Edit:
    def edit(model: Any) -> None:
        for field, value in fields.items():
            setattr(model.graph.node[node], field, value)

    return edit


def _clear(field: str) -> Edit:
    return lambda model: model.graph.ClearField(field)


def _circle(model: Any) -> None:
    model.graph.node[1].input[0] = "logits"


def _type(kind: int) -> Edit:
    return lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", kind)


def _short_weight(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"\0" * 12


def _opset(version: int) -> Edit:
    return lambda model: setattr(model.opset_import[0], "version", version)


@dataclass(frozen=True)
class Crafted:
    id: str
    edit: Edit
    says: str


CRAFTED = [
    Crafted("weights elsewhere", _external, "tensor 'weight' lies in another file; allowed: one .onnx file"),
    Crafted("a constant elsewhere", _external_in_an_attribute, "tensor 'hidden' lies in another file"),
    Crafted("a branch's constant elsewhere", _external_in_a_branch, "tensor 'deep' lies in another file"),
    Crafted("two inputs", _second_input, "the model has 2 inputs: 'image', 'mask'; allowed: one image input"),
    Crafted("no input", _clear("input"), "the model has 0 inputs: none"),
    Crafted("no output", _clear("output"), "the model has no output"),
    Crafted("open batch", _size(0, "N"), "tensor 'image' has the size [N, 8, 8, 3]; allowed: numbers"),
    Crafted("open side", _size(1, 0), "tensor 'image' has the size [1, ?, 8, 3]"),
    Crafted("negative side", _size(1, -8), "tensor 'image' has the size [1, -8, 8, 3]"),
    Crafted("huge side", _size(1, 2**40), "tensor 'image' has the size [1, 1099511627776, 8, 3]"),
    Crafted("text as input", _type(TensorProto.STRING), "tensor 'image' is string; allowed: float, uint8, int8"),
    Crafted("unknown type", _type(99), "tensor 'image' is of type 99; allowed: float, uint8, int8"),
    Crafted("another's domain", _op(1, domain="ai.acme"), "op 'Conv' of 'ai.acme' (tensor 'convolved')"),
    Crafted("unknown op", _op(1, op_type="Warp"), "op 'Warp' (tensor 'convolved') is in no opset 17"),
    Crafted("a circle", _circle, "ONNX Runtime cannot load the model"),
    Crafted("weights cut short", _short_weight, "ONNX Runtime cannot load the model"),
    Crafted("an opset of the future", _opset(10_000), "the model is of opset 10000; allowed: at most"),
    Crafted("no graph", lambda model: model.ClearField("graph"), "not an .onnx file: it has no graph"),
]


@pytest.mark.parametrize("case", CRAFTED, ids=lambda case: case.id)
def test_what_cannot_be_run_is_named(case: Crafted) -> None:
    with pytest.raises(InputError) as error:
        OnnxRunner(_content(case.edit))
    assert str(error.value).startswith(case.says)
    assert "\n" not in str(error.value)


def test_info_refuses_what_the_child_refuses(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "elsewhere.onnx"
    path.write_bytes(_content(_external))
    assert main(["info", str(path)]) == 2
    assert capfd.readouterr().err.startswith("error: elsewhere.onnx: tensor 'weight' lies in another file")


def test_info_shows_a_file_of_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(_content())
    assert main(["info", str(path)]) == 0
    shown = capfd.readouterr()
    assert "input: image float32 [1, 8, 8, 3]" in shown.out
    assert "written by an unknown tool; ONNX opset 17, IR version 8" in shown.out
    assert "Conv" in shown.out
    assert f"next: edgenet convert --from {path}" in shown.err


def test_nothing_of_the_runtime_reaches_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    runner = OnnxRunner(_content())
    runner.run(np.zeros(runner.input.shape, dtype=np.float32))
    with pytest.raises(InputError):
        OnnxRunner(_content(_circle))
    shown = capfd.readouterr()
    assert shown.out == ""


def test_values_that_do_not_fit_the_input_are_one_error() -> None:
    runner = OnnxRunner(_content())
    for values in (np.zeros((1, 8, 8, 1), dtype=np.float32), np.zeros((1, 8, 8, 3), dtype=np.uint8)):
        with pytest.raises(InputError, match=r"the model takes float32 \[1, 8, 8, 3\]"):
            runner.run(values)
