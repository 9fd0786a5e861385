"""Files made or damaged to do harm, and files of others: one line each, and this process lives on."""

import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer, quantization, screen, verification
from converters.edit import add_tensor
from converters.flatbuffer import Model
from converters.patterns import op_code
from converters.runtime import Runner
from converters.screen import read_screened
from converters.tflite_summary import summarize
from edgenet.__main__ import main
from edgenet.artifact import Artifact, find_artifacts, read_golden, sha256, write_artifact
from edgenet.errors import InputError
from edgenet.manifest import Manifest
from edgenet.precision import Precision, default_io
from edgenet.progress import silent
from edgenet.weights.preprocessing_rules import PreprocessingOverrides
from tests.networks import pictures
from tests.test_artifact import ENVIRONMENT, write_small

Op = schema.BuiltinOperator
Content = Callable[[bytes], bytes]
Edit = Callable[[Model], object]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Return a small swish network as real fp32 and w8a8 files."""
    written = write_small(tmp_path_factory.mktemp("written"), ["fp32", "w8a8"], "b")
    return {artifact.manifest.precision: artifact for artifact in written}


@pytest.fixture
def place(artifacts: dict[str, Artifact], tmp_path: Path) -> Callable[[str, Content], Path]:
    """Return a function that writes a changed file, and nothing beside it."""

    def write(precision: str, change: Content) -> Path:
        path = tmp_path / f"bad-{precision}.tflite"
        path.write_bytes(change(artifacts[precision].path.read_bytes()))
        return path

    return write


def _quantized(path: Path, precision: Precision = "w8a8", verify: bool = True, **preprocessing: Any) -> Manifest:
    """Quantize a file through the room's own door and return the manifest."""
    formats = ((precision, default_io(precision)),)
    overrides = PreprocessingOverrides(**preprocessing)
    request = quantization.Request(path, formats, "builtin", 16, 0, overrides)
    artifacts = quantization.run(request, path.parent / "out", verify, (), silent, lambda _: None)
    return artifacts[0].manifest


def _verified(path: Path, artifact: Artifact) -> None:
    """Verify a file that was given the manifest and golden vectors of an artifact by the proper door."""
    content = path.read_bytes()
    manifest = artifact.manifest.model_copy(update={"sha256": sha256(content), "size_bytes": len(content)})
    folder = path.parent / "artifact"
    write_artifact(folder, content, read_golden(artifact), manifest)
    verification.verify(folder, None, None, None, "", silent, lambda _: None)


# Bytes


def _behind(content: bytes) -> bytes:
    """Return a file whose constant lies behind its end, as newer writers place constants."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, len(content) * 2, 1000
    builder = flatbuffers.Builder(len(content) * 2)
    builder.Finish(model.Pack(builder), flatbuffer.FILE_IDENTIFIER)
    return bytes(builder.Output())


BYTES: dict[str, Content] = {
    "empty": lambda content: b"",
    "text": lambda content: b"not a model\n" * 100,
    "another format": lambda content: b"PK\x03\x04" + content[4:],
    "mark only": lambda content: content[:8],
    "zeros after the mark": lambda content: content[:8] + bytes(1000),
    "ones after the mark": lambda content: content[:8] + b"\xff" * 1000,
    "root beyond the end": lambda content: struct.pack("<I", 2**31 - 4) + content[4:],
    "root at itself": lambda content: struct.pack("<I", 0) + content[4:],
    "root unsigned": lambda content: struct.pack("<I", 2**32 - 1) + content[4:],
    "constant beyond the end": _behind,
}


@pytest.mark.parametrize("change", BYTES.values(), ids=BYTES)
def test_bytes_that_are_no_model_are_one_error(place: Callable[[str, Content], Path], change: Content) -> None:
    path = place("fp32", change)
    for door in (read_screened, _quantized):
        with pytest.raises(InputError, match=r"^bad-fp32\.tflite: .*; allowed: a \.tflite file that TFLite can load"):
            door(path)


@pytest.mark.parametrize("precision", ["fp32", "w8a8"])
def test_a_file_cut_anywhere_is_one_error(place: Callable[[str, Content], Path], precision: str) -> None:
    for share in (0.0001, 0.001, 0.003, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99, 0.9999):
        path = place(precision, lambda content, share=share: content[: int(len(content) * share)])  # type: ignore[misc]  # mypy cannot infer a default's type
        with pytest.raises(InputError, match=rf"^bad-{precision}\.tflite: "):
            read_screened(path)


def _damage(content: bytes, seed: int) -> bytes:
    """Overwrite a few bytes or words of the part that is no constant."""
    source = random.Random(seed)
    constants = sum(len(row.data) for row in flatbuffer.read(content).buffers if row.data is not None)
    damaged = bytearray(content)
    for _ in range(source.choice((1, 1, 1, 4))):
        place = source.randrange(len(content) - constants - 4)
        if source.random() < 0.5:
            damaged[place] = source.randrange(256)
        else:
            struct.pack_into("<I", damaged, place & ~3, source.choice((0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1)))
    return bytes(damaged)


@pytest.mark.parametrize("precision", ["fp32", "w8a8"])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_damage_is_refused_or_does_no_harm(
    place: Callable[[str, Content], Path], artifacts: dict[str, Artifact], precision: str, seed: int
) -> None:
    path = place(precision, lambda content: _damage(content, seed))
    try:
        content = read_screened(path)
        assert summarize(content).size_bytes == len(content)
        if precision == "fp32":
            _quantized(path, verify=False)
        else:
            _verified(path, artifacts[precision])
    except InputError as error:
        assert "\n" not in str(error)


# Structure


def _graph(model: Model) -> Any:
    return model.subgraphs[0]


def _operator(model: Model, code: int) -> Any:
    return next(row for row in _graph(model).operators if op_code(model, row) == code)


def _set(place: str, value: Any) -> Edit:
    """Return an edit of one field of the graph, its input, or its first convolution or that one's parts."""

    def edit(model: Model) -> None:
        graph, convolution = _graph(model), _operator(model, Op.CONV_2D)
        owner, field = place.rsplit(".", 1)
        owners = {
            "model": model,
            "graph": graph,
            "input": graph.tensors[graph.inputs[0]],
            "conv": convolution,
            "conv.options": convolution.builtinOptions,
            "depthwise.options": _operator(model, Op.DEPTHWISE_CONV_2D).builtinOptions,
            "weight": graph.tensors[convolution.inputs[1]],
            "result": graph.tensors[convolution.outputs[0]],
            "result.quantization": graph.tensors[convolution.outputs[0]].quantization,
            "code": model.operatorCodes[0],
            "quantization": graph.tensors[convolution.inputs[1]].quantization,
            "signature": model.signatureDefs[0],
            "signed": model.signatureDefs[0].outputs[0],
        }
        setattr(owners[owner], field, value)

    return edit


def _second_input(model: Model) -> None:
    _graph(model).inputs = [int(_graph(model).inputs[0]), add_tensor(model, "more", [1, 4])]


def _own_result(model: Model) -> None:
    convolution = _operator(model, Op.CONV_2D)
    convolution.inputs = [int(convolution.outputs[0]), *map(int, convolution.inputs[1:])]


def _custom(model: Model) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = Op.CUSTOM, Op.CUSTOM, 1
    code.customCode = "acme_pool"
    model.operatorCodes.append(code)
    convolution = _operator(model, Op.CONV_2D)
    convolution.opcodeIndex, convolution.builtinOptionsType = len(model.operatorCodes) - 1, 0
    convolution.builtinOptions = None


def _second_graph(model: Model) -> None:
    model.subgraphs = [_graph(model), _graph(model)]


def _all_names(name: bytes | str) -> Edit:
    def edit(model: Model) -> None:
        for tensor in _graph(model).tensors:
            tensor.name = name

    return edit


def _no_scales(model: Model) -> None:
    for tensor in _graph(model).tensors:
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            tensor.quantization.scale = [0.0] * len(tensor.quantization.scale)


def _weights(value: float) -> Edit:
    def edit(model: Model) -> None:
        buffer = model.buffers[_graph(model).tensors[_operator(model, Op.CONV_2D).inputs[1]].buffer]
        values = np.full(len(buffer.data) // 4, value, dtype=np.float32)
        buffer.data = np.frombuffer(values.tobytes(), dtype=np.uint8)

    return edit


@dataclass(frozen=True)
class Crafted:
    """A change to the graph, and what the one line says."""

    id: str
    edit: Edit
    says: str
    precision: str = "fp32"


# What no reader may take: refused before it is parsed here.
REFUSED = [
    Crafted("no subgraph", _set("model.subgraphs", []), "the model has no subgraph"),
    Crafted("no tensors", _set("graph.tensors", []), "does not exist (there are 0)"),
    Crafted("no operator codes", _set("model.operatorCodes", []), "operator code 0 does not exist (there are 0)"),
    Crafted("operator code 99", _set("conv.opcodeIndex", 99), "operator code 99 does not exist"),
    Crafted("operand 9999", _set("conv.inputs", [9999, 1, 2]), "operand 9999 does not exist"),
    Crafted("operand -2", _set("conv.inputs", [-2, 1, 2]), "operand -2 does not exist"),
    Crafted("a scale of 0", _set("result.quantization.scale", [0.0]), "unsupported scale value (0.000000)", "w8a8"),
    Crafted("a scale of NaN", _set("result.quantization.scale", [np.nan]), "unsupported scale value (nan)", "w8a8"),
    Crafted("scales of 0 alone", _no_scales, "the runtime died with signal", "w8a8"),
    # Whether the runtime sees it or dies of it is not settled.
    Crafted("operands left out", _set("conv.inputs", [-1, -1, -1]), "the "),
    Crafted("no operands", _set("conv.inputs", []), "cannot load the model"),
    Crafted("result 9999", _set("conv.outputs", [9999]), "result 9999 does not exist"),
    Crafted("no result", _set("conv.outputs", []), "cannot load the model"),
    Crafted("its own result", _own_result, "is both input 0 and output 0"),
    Crafted("input 9999", _set("graph.inputs", [9999]), "input 9999 does not exist"),
    Crafted("no input", _set("graph.inputs", []), "the model has 0 inputs"),
    Crafted("two inputs", _second_input, "the model has 2 inputs: 'image', 'more'; allowed: one image input"),
    Crafted("open sides", _set("input.shapeSignature", [-1, -1, -1, 3]), "'image' has the size [?, ?, ?, 3]; allowed"),
    Crafted("an op of nobody's", _custom, "op 'acme_pool' (tensor 'conv_stem'"),
    Crafted("output -1", _set("graph.outputs", [-1]), "output -1 does not exist"),
    Crafted("buffer 9999", _set("weight.buffer", 9999), "buffer 9999 does not exist"),
    Crafted("signature of no tensor", _set("signed.tensorIndex", 99999), "a signature's tensor 99999 does not exist"),
    Crafted("signature of no subgraph", _set("signature.subgraphIndex", 7), "a signature's subgraph 7 does not exist"),
    Crafted("negative side", _set("input.shape", [1, -5, 64, 3]), "cannot load the model"),
    Crafted("huge side", _set("input.shape", [1, 2**30, 2**30, 3]), "cannot load the model"),
    Crafted("no side", _set("input.shape", [1, 0, 0, 3]), "cannot load the model"),
    Crafted("scalar image", _set("input.shape", []), "cannot load the model"),
    Crafted("weights beyond their bytes", _set("weight.shape", [32, 300, 300, 3]), "cannot load the model"),
    Crafted("stride 0", _set("conv.options.strideH", 0), "cannot load the model"),
    Crafted("depthwise stride 0", _set("depthwise.options.strideH", 0), "cannot load the model"),
    Crafted("dilation 0", _set("conv.options.dilationHFactor", 0), "cannot load the model"),
    Crafted("unknown operator", _set("code.builtinCode", 9999), "Op builtin_code out of range: 9999"),
    Crafted("unknown type", _set("result.type", 100), "Unsupported data type 100"),
    Crafted("names that are no text", _all_names(b"\xff\xfe"), "'utf-8' codec can't decode byte 0xff"),
    Crafted("a scale without zero point", _set("quantization.zeroPoint", None), "null zero_point", "w8a8"),
    Crafted("two scales", _set("quantization.scale", [1.0, 1.0]), "2 scale values", "w8a8"),
    Crafted("scales of axis 77", _set("quantization.quantizedDimension", 77), "must be in range [0, 4)", "w8a8"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_file_that_cannot_run_is_one_error(
    place: Callable[[str, Content], Path], artifacts: dict[str, Artifact], case: Crafted
) -> None:
    path = place(case.precision, lambda content: _edited(content, case.edit))
    with pytest.raises(InputError) as caught:
        _verified(path, artifacts[case.precision])
    assert case.says in str(caught.value)
    assert str(caught.value).startswith(artifacts[case.precision].path.name + ": ")
    assert "\n" not in str(caught.value)


def _edited(content: bytes, edit: Edit) -> bytes:
    model = flatbuffer.read(content)
    edit(model)
    return flatbuffer.write(model)


# What runs, and `info` shows, but cannot be made an integer file.
NOT_QUANTIZED = [
    Crafted(
        "quantized already", lambda model: None, "the model is quantized already: QUANTIZE has the uint8 tensor", "w8a8"
    ),
    Crafted("no output", _set("graph.outputs", []), "1 subgraphs, 1 inputs ('image'), 0 outputs; allowed: one of each"),
    Crafted("two subgraphs", _second_graph, "2 subgraphs, 1 inputs ('image'), 1 outputs"),
    Crafted("no operator", _set("graph.operators", []), "the model has no operator"),
    Crafted("not square", _set("input.shape", [1, 64, 32, 3]), "the model's input is [1, 64, 32, 3]; allowed: one"),
    Crafted("NaN weights", _weights(float("nan")), "tensor 'conv_stem' is not finite"),
    Crafted("infinite weights", _weights(3e38), "tensor 'conv_stem' is not finite"),
    # This one made XNNPACK free memory twice, which ended the process.
    Crafted("weights out of proportion", _weights(100.0), "a step of its sums is"),
]


@pytest.mark.parametrize("case", NOT_QUANTIZED, ids=lambda case: case.id)
def test_a_file_that_cannot_be_quantized_is_one_error(place: Callable[[str, Content], Path], case: Crafted) -> None:
    path = place(case.precision, lambda content: _edited(content, case.edit))
    assert summarize(read_screened(path)).ops or case.id == "no operator"
    with pytest.raises(InputError) as caught:
        _quantized(path)
    assert case.says in str(caught.value)
    assert not any((path.parent / "out").glob("*"))


@pytest.mark.parametrize("name", ["", "same"])
def test_a_file_without_names_of_their_own_is_quantized_like_one_with(
    place: Callable[[str, Content], Path], name: str
) -> None:
    answers = []
    for edit in (_all_names(name), lambda model: None):
        path = place("fp32", lambda content, edit=edit: _edited(content, edit))  # type: ignore[misc]  # each its own
        content = (path.parent / "out" / _quantized(path).file).read_bytes()
        answers.append(Runner(content).logits(pictures(1)[0]))
    assert np.ptp(answers[0]) > 0
    np.testing.assert_array_equal(answers[0], answers[1])


def test_a_file_that_never_ends_is_stopped(
    foreign: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(screen, "TIME_LIMIT_S", 2)
    with pytest.raises(InputError, match=r"^endless\.tflite: the runtime did not finish within 2 s"):
        read_screened(foreign["endless"])


# The command


def test_the_command_says_one_line_and_2(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(_edited(artifacts["w8a8"].path.read_bytes(), _no_scales))
    for arguments in (["info", "bad.tflite"], ["quantize", "bad.tflite", "--int8"]):
        done = subprocess.run(
            [sys.executable, "-m", "edgenet", *arguments],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        errors = [line for line in done.stderr.splitlines() if not line.endswith((" ends", " ..."))]
        assert len(errors) == 1, done.stderr
        assert errors[0].startswith("error: bad.tflite: the runtime died with signal")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tflite"]


def test_what_is_no_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    (tmp_path / "folder.tflite").mkdir()
    (tmp_path / "device.tflite").symlink_to("/dev/zero")
    (tmp_path / "loop.tflite").symlink_to("loop.tflite")
    for name, says in (
        ("pipe", "is not a file"),
        ("folder", "is not a file"),
        ("device", "is not a file"),
        ("loop", "Too many levels of symbolic links"),
        ("absent", "No such file or directory"),
    ):
        assert main(["info", str(tmp_path / f"{name}.tflite")]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1


# Files of others


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return files that TensorFlow's own converter wrote."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("foreign")
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 8)) * 0.2, tf.float32)
    dense = tf.constant(np.random.default_rng(1).normal(size=(8, 5)), tf.float32)

    def network(image: Any) -> Any:
        hidden = tf.nn.relu(tf.nn.conv2d(image, kernel, 2, "SAME") + 0.1)
        return tf.nn.softmax(tf.reduce_mean(tf.nn.max_pool2d(hidden, 2, 2, "VALID"), (1, 2)) @ dense)

    def endless(image: Any) -> Any:
        return tf.while_loop(lambda x: tf.reduce_all(x < 1.0), lambda x: [x * 0.5], [image])[0]

    image = tf.TensorSpec((1, 32, 32, 3), tf.float32, name="image")
    functions = {
        "network": (network, [image]),
        "binary": (lambda image: tf.sigmoid(network(image)[:, :1] * 9.0 - 2.0), [image]),
        "swished": (lambda image: tf.nn.silu(network(image) * 9.0 - 4.0), [image]),
        "normalized": (lambda image: network(image * 127.5 + 127.5), [image]),
        "two": (lambda image, other: network(image) + other, [image, tf.TensorSpec((1, 5), tf.float32)]),
        "vector": (lambda row: row @ dense, [tf.TensorSpec((1, 8), tf.float32)]),
        "grey": (lambda grey: tf.reduce_mean(grey, (1, 2)), [tf.TensorSpec((1, 32, 32, 1), tf.float32)]),
        "batch": (network, [tf.TensorSpec((4, 32, 32, 3), tf.float32)]),
        "endless": (endless, [image]),
    }
    for name, (function, inputs) in functions.items():
        concrete = tf.function(function).get_concrete_function(*inputs)
        content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], concrete).convert()
        (folder / f"{name}.tflite").write_bytes(content)
    return {name: folder / f"{name}.tflite" for name in functions}


FOREIGN = {
    "two": "two.tflite: the model has 2 inputs: ",
    "vector": "the model's input is [1, 8]; allowed: one square RGB image, float32 [1, side, side, 3]",
    "grey": "the model's input is [1, 32, 32, 1]; allowed: one square RGB image",
    "batch": "the model's input is [4, 32, 32, 3]; allowed: one square RGB image",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_takes_no_image_is_refused(foreign: dict[str, Path], name: str) -> None:
    with pytest.raises(InputError) as caught:
        _quantized(foreign[name])
    assert FOREIGN[name] in str(caught.value)


@pytest.mark.parametrize("precision", ["fp16", "w8", "w8d", "w8a8", "w8a16"])
def test_a_network_of_others_is_quantized(foreign: dict[str, Path], tmp_path: Path, precision: Precision) -> None:
    path = Path(shutil.copy(foreign["network"], tmp_path))
    manifest = _quantized(path, precision)
    assert manifest.verification is not None
    assert manifest.verification.sqnr_db is None or manifest.verification.sqnr_db > 10
    assert manifest.weights.source == "model"
    assert manifest.weights.sha256 == sha256(path.read_bytes())
    assert manifest.weights.num_classes == 5
    (artifact,) = find_artifacts(path.parent / "out")
    assert artifact.path.name == f"network-{precision}.tflite"


def test_normalized_pixels_become_part_of_the_file(foreign: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(foreign["normalized"], tmp_path))
    manifest = _quantized(path, mean=(127.5,) * 3, std=(127.5,) * 3)
    assert manifest.weights.sha256 == sha256(path.read_bytes())
    assert manifest.verification is not None
    assert manifest.verification.sqnr_db is not None
    assert manifest.verification.sqnr_db > 10
    # The file it was made from still wants normalized pixels: as a reference it must be given them.
    (row,) = verification.verify(path.parent / "out", None, None, path, "", silent, lambda _: None).rows
    assert row.sqnr_db == pytest.approx(manifest.verification.sqnr_db)


@pytest.mark.parametrize("name", ["binary", "swished"])
def test_a_file_that_ends_in_a_sigmoid_or_a_swish_is_quantized(foreign: dict[str, Path], name: str) -> None:
    """Neither is watched in calibration: what they give follows from what goes in."""
    verification_record = _quantized(foreign[name]).verification
    assert verification_record is not None
    assert verification_record.sqnr_db is not None
    assert verification_record.sqnr_db > 10
