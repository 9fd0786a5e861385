"""ONNX files beside the TFLite files of the same network: answers, ends, integer kernels, manifests, commands."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from converters import diagnosis
from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.job import Job
from converters.onnx_file.options import (
    FIRST_OPSET,
    LAST_OPSET,
    FileChoice,
    OnnxCpu,
    OnnxOptions,
    chosen_files,
    cpu_of,
    this_cpu,
)
from converters.onnx_file.runner import OnnxRunner, session_options
from converters.probe import golden_images
from converters.repair.recipe import LayerRule, Recipe
from converters.runtime import load_runner
from converters.write import needs_calibration, write_formats
from edgenet.__main__ import main
from edgenet.artifact import Artifact, find_artifacts, sha256
from edgenet.errors import InputError
from edgenet.manifest import OnnxRecord
from edgenet.precision import IO_TYPES, IoType, Precision, default_io
from edgenet.progress import silent
from edgenet.variants import VARIANTS
from edgenet.weights.packaged import packaged_weights
from edgenet.weights.record import Weights
from tests.networks import IMAGENET_MEAN, IMAGENET_STD, pictures, small_weights
from tests.processors import EXACT, needs_vnni

FAMILIES = ("b", "lite", "edgetpu", "v2")
FLOATS: tuple[Precision, ...] = ("fp32", "fp16", "w8")
QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
# What a w8a8 file may run: ONNX Runtime's integer kernels, and ops that move or cut whole numbers.
INTEGER_OPS = {
    "QLinearConv", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearGlobalAveragePool", "QGemm", "Transpose",
    "Flatten", "Clip",
}  # fmt: skip


def write_both(
    weights: Weights,
    out: Path,
    precisions: Sequence[Precision],
    options: OnnxOptions = OnnxOptions(),  # noqa: B008  # a frozen dataclass
    io: IoType | None = None,
    recipe: Recipe | None = None,
) -> list[Artifact]:
    """Write a network in both file formats, calibrated on 16 procedural images."""
    images = open_calibration("builtin", weights.preprocessing, 16) if needs_calibration(precisions) else None
    formats = tuple((name, (io if name == "w8a8" else None) or default_io(name)) for name in precisions)
    files = FileChoice(("tflite", "onnx"), options)
    job = Job(formats, out, images, None, golden_images(weights.preprocessing), files=files, recipe=recipe)
    return write_formats(float_network(weights, pictures(1, weights.preprocessing.side_px)), job)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Precision], tuple[Artifact, Artifact]]:
    """Return each family's small network in every precision: the .tflite and the .onnx."""
    found = {}
    for family in FAMILIES:
        artifacts = write_both(small_weights(family), tmp_path_factory.mktemp(family), [*FLOATS, "w8a8"])
        for tflite, other in zip(artifacts[::2], artifacts[1::2], strict=True):
            found[family, tflite.manifest.precision] = tflite, other
    return found


Written = dict[tuple[str, Precision], tuple[Artifact, Artifact]]


def _answers(artifact: Artifact, count: int = 4) -> Any:
    runner = load_runner(artifact.path.read_bytes())
    return np.stack([runner.logits(row) for row in pictures(count, artifact.manifest.side_px, seed=11)])


def optimized_ops(content: bytes) -> Counter[str]:
    """Return the ops that ONNX Runtime makes of a file, with their numbers."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads=1)
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return Counter(row.op_type for row in onnx.load(options.optimized_model_filepath).graph.node)


# The same network in both formats


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("family", FAMILIES)
def test_float_arithmetic_gives_the_same_logits(written: Written, family: str, precision: Precision) -> None:
    wanted, got = (_answers(row) for row in written[family, precision])
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert np.ptp(wanted) > 0


@needs_vnni
@pytest.mark.parametrize("family", FAMILIES)
def test_integer_arithmetic_gives_the_same_logits_to_two_steps(written: Written, family: str) -> None:
    tflite, other = written[family, "w8a8"]
    step = load_runner(tflite.path.read_bytes()).outputs[0].scale
    off = np.abs(_answers(other) - _answers(tflite))
    assert off.max() <= 2.01 * step
    assert off.mean() <= 0.3 * step


@pytest.mark.parametrize("family", FAMILIES)
def test_every_op_of_an_int8_file_runs_in_integers(written: Written, family: str) -> None:
    content = written[family, "w8a8"][1].path.read_bytes()
    ops = optimized_ops(content)
    assert set(ops) <= INTEGER_OPS
    convolutions = sum(row.op_type == "Conv" for row in onnx.load_from_string(content).graph.node)
    assert ops["QLinearConv"] == convolutions > 5


@needs_vnni
def test_a_mean_and_std_a_channel_stay_integer_too(tmp_path: Path) -> None:
    tflite, other = write_both(small_weights("b", IMAGENET_MEAN, IMAGENET_STD), tmp_path, ["w8a8"])
    assert set(optimized_ops(other.path.read_bytes())) <= INTEGER_OPS
    step = load_runner(tflite.path.read_bytes()).outputs[0].scale
    assert np.abs(_answers(other) - _answers(tflite)).max() <= 2.01 * step


@pytest.mark.parametrize("precision", [*FLOATS, "w8a8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_one_transpose_and_names_are_those_of_tflite(
    written: Written, family: str, precision: Precision
) -> None:
    nodes = onnx.load(written[family, precision][1].path).graph.node
    assert [list(row.input) for row in nodes if row.op_type == "Transpose"] == [["image"]]
    outputs = {name for row in nodes for name in row.output}
    assert {"conv_stem", "blocks.1.0.conv_pwl", "conv_head", "pool", "logits"} <= outputs


def test_packaged_lite0_answers_as_its_tflite_file(tmp_path: Path) -> None:
    weights = packaged_weights(VARIANTS["lite0"])
    fp32, fp32_onnx, w8a8, w8a8_onnx = write_both(weights, tmp_path, ["fp32", "w8a8"], EXACT)
    wanted = _answers(fp32)
    assert np.abs(_answers(fp32_onnx) - wanted).max() <= 1e-4 * np.abs(wanted).max()
    step = load_runner(w8a8.path.read_bytes()).outputs[0].scale
    off = np.abs(_answers(w8a8_onnx) - _answers(w8a8))
    assert off.max() <= 4.01 * step
    assert off.mean() <= 0.3 * step
    assert w8a8_onnx.manifest.size_bytes < w8a8.manifest.size_bytes


MIXED = Recipe(
    "margin",
    equalize=("blocks.1.*",),
    rules=(
        LayerRule("conv_stem", "fp32"),
        LayerRule("blocks.1.0.*", "w8"),
        LayerRule("blocks.2.*.conv_pwl", "w8a16"),
        LayerRule("classifier", "w8a16"),
    ),
)


def test_layers_of_higher_precision_are_float_islands(tmp_path: Path) -> None:
    tflite, other = write_both(small_weights("b"), tmp_path, ["fp32", "w8a8"], recipe=MIXED)[2:]
    off = np.abs(_answers(other) - _answers(tflite)) / load_runner(tflite.path.read_bytes()).outputs[0].scale
    assert off.max() <= 5
    assert off.mean() <= 1
    ops = optimized_ops(other.path.read_bytes())
    assert ops["Conv"] + ops["FusedConv"] > 0
    assert ops["QLinearConv"] > 5


@pytest.mark.parametrize("precision", ["w8", "w8a8"])
def test_diagnosis_is_that_of_the_tflite_file(written: Written, precision: Precision) -> None:
    ours, theirs = (diagnosis.diagnose(row.path, None, None, "", silent, print) for row in written["lite", precision])
    assert theirs.added_sqnr_db == pytest.approx(ours.added_sqnr_db, abs=0.05)
    costs = [{row.name: row.cost_share for row in one.layers} for one in (ours, theirs)]
    assert costs[1] == pytest.approx(costs[0], abs=1e-3)
    tensors = [{row.name: row.low or 0.0 for layer in one.layers for row in layer.tensors} for one in (ours, theirs)]
    assert tensors[1] == pytest.approx(tensors[0], rel=1e-5)


# Processors and ends


@pytest.mark.parametrize("cpu", [pytest.param("x86-vnni", marks=needs_vnni), "arm"])
@pytest.mark.parametrize("io", IO_TYPES)
def test_ends_mean_what_they_mean_in_tflite(tmp_path: Path, io: IoType, cpu: OnnxCpu) -> None:
    tflite, other = write_both(small_weights("lite"), tmp_path, ["w8a8"], OnnxOptions(cpu=cpu), io)
    ours, theirs = (load_runner(row.path.read_bytes()) for row in (tflite, other))
    assert theirs.input.dtype == theirs.outputs[0].dtype == np.dtype(io)
    assert (theirs.input.name, theirs.input.shape) == (ours.input.name, ours.input.shape)
    assert theirs.outputs[0].scale == pytest.approx(ours.outputs[0].scale)
    assert theirs.outputs[0].zero_point == ours.outputs[0].zero_point
    step = ours.outputs[0].scale or 0.02 * float(np.ptp(_answers(tflite)))
    assert np.abs(_answers(other) - _answers(tflite)).max() <= 2.01 * step


def test_seven_bits_hold_what_x86_without_vnni_can_add(tmp_path: Path) -> None:
    weights = small_weights("lite")
    eight = write_both(weights, tmp_path / "8", ["fp32", "w8a8"])
    seven = write_both(weights, tmp_path / "7", ["w8a8"], OnnxOptions(cpu="x86-avx2"))
    assert seven[0].manifest.sha256 == eight[2].manifest.sha256  # the .tflite file is what it was
    largest = [max(_largest_weights(row.path)) for row in (eight[3], seven[1])]
    assert largest == [127, 64]
    record = seven[1].manifest.onnx
    assert record
    assert (record.weight_bits, record.activations, record.cpu) == (7, "uint8", "x86-avx2")
    wanted = _answers(eight[0])
    errors = [float(np.square(_answers(row) - wanted).sum()) for row in (eight[3], seven[1])]
    assert errors[1] < 4.5 * errors[0]  # half as fine steps: at most 6 dB


def _largest_weights(path: Path) -> list[int]:
    constants = [row for row in onnx.load(path).graph.initializer if row.name.endswith("/weight")]
    assert all(row.data_type == onnx.TensorProto.INT8 for row in constants)
    return [int(np.abs(numpy_helper.to_array(row).astype(int)).max()) for row in constants]


PROCESSORS = {
    "EPYC, Xeon": ("x86_64", {"avx2", "avx512f", "avx512_vnni"}, "x86-vnni"),
    "Core of 2021": ("x86_64", {"avx2", "avx_vnni"}, "x86-vnni"),
    "Core of 2015": ("AMD64", {"avx2", "fma"}, "x86-avx2"),
    "Raspberry Pi": ("aarch64", set[str](), "arm"),
    "old Raspberry Pi": ("armv7l", set[str](), "arm"),
    "Mac": ("arm64", set[str](), "arm"),
}


@pytest.mark.parametrize(("machine", "flags", "cpu"), PROCESSORS.values(), ids=PROCESSORS)
def test_the_processor_is_told_by_its_name_and_flags(machine: str, flags: set[str], cpu: OnnxCpu) -> None:
    assert cpu_of(machine, flags) == cpu
    assert chosen_files("onnx", None, "", False, ["w8a8"]).onnx.cpu == this_cpu()


# What stands beside a file


def test_the_manifest_tells_what_is_particular(written: Written) -> None:
    records = {precision: written["lite", precision][1].manifest.onnx for precision in (*FLOATS, "w8a8")}
    assert records == {
        "fp32": OnnxRecord(opset=17, ir_version=8, activations="float32", weight_bits=32, cpu=None, ort=None),
        "fp16": OnnxRecord(opset=17, ir_version=8, activations="float32", weight_bits=16, cpu=None, ort=None),
        "w8": OnnxRecord(opset=17, ir_version=8, activations="float32", weight_bits=8, cpu=None, ort=None),
        "w8a8": OnnxRecord(opset=17, ir_version=8, activations="uint8", weight_bits=8, cpu="x86-vnni", ort=None),
    }
    assert written["lite", "w8a8"][0].manifest.onnx is None


def test_both_formats_fit_in_one_folder(written: Written) -> None:
    tflite, other = written["lite", "fp32"]
    names = {row.path.name for row in find_artifacts(tflite.path.parent)}
    assert {tflite.path.name, other.path.name} <= names
    assert len(names) == 8
    for artifact in (tflite, other):
        assert find_artifacts(artifact.path) == [artifact]
    assert other.path.with_name(other.path.name + ".manifest.json").exists()
    assert other.manifest.golden == other.path.name + ".golden.npz"


def test_the_file_itself_tells_the_essentials(written: Written) -> None:
    message = onnx.load(written["lite", "w8a8"][1].path)
    facts = {row.key: row.value for row in message.metadata_props}
    runner = OnnxRunner(message.SerializeToString())
    assert float(facts["output_scale"]) == runner.outputs[0].scale
    assert int(facts["output_zero_point"]) == runner.outputs[0].zero_point
    assert (facts["variant"], facts["precision"], facts["io"]) == ("lite0", "w8a8", "uint8")
    assert json.loads(facts["preprocessing"])["mean"] == [127, 127, 127]
    assert facts["warning"].startswith("RANDOM WEIGHTS")
    assert (message.producer_name, message.ir_version) == ("edgenet", 8)


@pytest.mark.parametrize("opset", [FIRST_OPSET, LAST_OPSET])
def test_other_opsets_give_the_same_answers(written: Written, tmp_path: Path, opset: int) -> None:
    artifacts = write_both(small_weights("b"), tmp_path, ["fp32", "w8a8"], OnnxOptions(opset))
    for artifact, precision in ((artifacts[1], "fp32"), (artifacts[3], "w8a8")):
        record = artifact.manifest.onnx
        assert record
        assert (record.opset, record.ir_version) == (opset, {13: 7, 21: 10}[opset])
        usual = written["b", "fp32" if precision == "fp32" else "w8a8"][1]
        np.testing.assert_array_equal(_answers(artifact), _answers(usual))


@pytest.mark.parametrize("precision", ["fp32", "w8a8"])
def test_an_ort_file_stands_beside_and_answers_alike(tmp_path: Path, precision: Precision) -> None:
    _, artifact = write_both(small_weights("b"), tmp_path, [precision], OnnxOptions(ort=True))
    assert artifact.manifest.onnx
    record = artifact.manifest.onnx.ort
    assert record
    content = (tmp_path / record.file).read_bytes()
    assert (record.file, record.sha256) == (artifact.path.stem + ".ort", sha256(content))
    assert record.written_by == f"onnxruntime {onnxruntime.__version__}"
    session = onnxruntime.InferenceSession(content, session_options(1), providers=["CPUExecutionProvider"])
    runner = OnnxRunner(artifact.path.read_bytes())
    values = np.full(runner.input.shape, 99, dtype=runner.input.dtype)
    runner.run(values)
    np.testing.assert_allclose(session.run(None, {"image": values})[0], runner.view(0), atol=1e-5)


# What is refused


@dataclass(frozen=True)
class Refused:
    id: str
    flags: tuple[str, ...]
    says: str


REFUSED = [
    Refused("w8d", ("--dynamic", "--format", "onnx"), "w8d is not written as ONNX"),
    Refused("w8a16", ("--precision", "w8a16", "--format", "both"), "w8a16 is not written as ONNX"),
    Refused("fp16 as .ort", ("--fp16", "--format", "onnx", "--ort"), "fp16 has no .ort file"),
    Refused("opset 12", ("--fp16", "--format", "onnx", "--opset", "12"), "--opset cannot be '12'"),
    Refused("opset 22", ("--fp16", "--format", "onnx", "--opset", "22"), "--opset cannot be '22'"),
    Refused("another processor", ("--int8", "--format", "onnx", "--onnx-cpu", "mips"), "unknown --onnx-cpu 'mips'"),
    Refused("another format", ("--int8", "--format", "coreml"), "unknown --format 'coreml'"),
    Refused("an opset for nothing", ("--int8", "--opset", "17"), "--opset has no file to apply to"),
    Refused("--ort for nothing", ("--int8", "--ort"), "--ort has no file to apply to"),
    Refused("a processor for nothing", ("--int8", "--onnx-cpu", "arm"), "--onnx-cpu has no file to apply to"),
    Refused(
        "a processor for floats", ("--fp16", "--format", "onnx", "--onnx-cpu", "arm"), "--onnx-cpu arm has no file"
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_cannot_be_written_is_refused_by_name(
    written: Written, tmp_path: Path, case: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written["lite", "fp32"][0].path
    assert main(["quantize", str(file), *case.flags, "--samples", "16", "--out", str(tmp_path)]) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {case.says}")
    assert "; allowed: " in lines[0]
    assert not list(tmp_path.glob("*.onnx"))


def test_an_opset_from_python_is_checked_as_well() -> None:
    with pytest.raises(InputError, match="--opset cannot be 12; allowed: 13 to 21"):
        chosen_files("onnx", 12, "", False, ["fp32"])


# The command line


def test_quantize_and_verify_take_both_formats(
    written: Written, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written["lite", "fp32"][0].path
    flags = ["--precision", "fp16,w8a8", "--format", "both", "--samples", "16", "--out", str(tmp_path)]
    assert main(["quantize", str(file), *flags]) == 0
    names = [row.path.name for row in find_artifacts(tmp_path)]
    stems = ("lite0-fp16-random", "lite0-w8a8-random")
    assert sorted(names) == sorted(f"{stem}{suffix}" for stem in stems for suffix in (".tflite", ".onnx"))
    records = [row.manifest.verification for row in find_artifacts(tmp_path)]
    assert all(record is not None and record.worst_layer for record in records)
    capfd.readouterr()
    assert main(["verify", str(tmp_path), "--reference", str(file)]) == 0
    shown = capfd.readouterr().out
    assert all(name in shown for name in names)
    assert main(["verify", str(tmp_path / "lite0-w8a8-random.onnx"), "--reference", str(file)]) == 0
    assert main(["info", str(tmp_path / "lite0-w8a8-random.onnx")]) == 0
    shown = capfd.readouterr().out
    assert "input: image uint8 [1, 64, 64, 3], scale 1, zero point 127" in shown
    assert "QuantizeLinear" in shown


def test_a_changed_onnx_file_is_found_out(written: Written, tmp_path: Path) -> None:
    artifact = written["lite", "w8"][1]
    for path in artifact.path.parent.glob(artifact.path.name + "*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / artifact.path.name
    changed.write_bytes(changed.read_bytes() + b"\0\0")
    with pytest.raises(InputError, match="is not the file of its manifest"):
        find_artifacts(changed)


def test_convert_repeats_an_onnx_file_byte_by_byte(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    convert = ["convert", "--variant", "lite0", "--weights", "random", "--classes", "10", "--no-verify"]
    first, again = tmp_path / "first", tmp_path / "again"
    flags = ["--format", "onnx", "--opset", "19", "--ort"]
    assert main([*convert, *flags, "--out", str(first)]) == 0
    assert f"{first / 'lite0-fp32-random.ort'}: " in capfd.readouterr().out
    manifest = first / "lite0-fp32-random.onnx.manifest.json"
    assert main(["convert", "--from", str(manifest), "--no-verify", "--out", str(again)]) == 0
    assert "the same bytes as the manifest says" in capfd.readouterr().err
    assert {path.name for path in again.iterdir()} == {path.name for path in first.iterdir()}
    assert (again / "lite0-fp32-random.ort").exists()
    assert not list(again.glob("*.tflite"))
