"""Every precision of every family: it loads, its ends and op versions are right, it answers like the float file."""

from dataclasses import dataclass

import numpy as np
import pytest

from converters import flatbuffer
from converters.calibrate import calibrate
from converters.calibration_source import open_calibration
from converters.compensate import correct_biases, keep_kernel_sums
from converters.convert import float_network
from converters.edit import text
from converters.ends import set_ends
from converters.job import FloatNetwork
from converters.patterns import op_code, op_name
from converters.quantize import ActivationData, quantize_model
from converters.quantized_layers import layers
from converters.runtime import Runner
from converters.verify import compare
from edgenet.layers import expand
from edgenet.precision import IoType, Precision
from edgenet.progress import silent
from tests.networks import FAMILY_HEADS, HALF, IMAGENET_MEAN, IMAGENET_STD, LITE_MEAN, LITE_STD, pictures, small_weights
from tests.test_float_file import partitions


@dataclass(frozen=True)
class Prepared:
    network: FloatNetwork
    narrow: ActivationData
    wide: ActivationData

    def content(self, precision: Precision, io: IoType) -> bytes:
        if precision not in ("w8a8", "w8a16"):
            return flatbuffer.write(quantize_model(self.network.content, precision))
        entry = self.network.entry
        model = quantize_model(
            self.network.integer_content, precision, self.narrow if precision == "w8a8" else self.wide
        )
        set_ends(model, io, mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
        return flatbuffer.write(model)


def _prepare(family: str, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Prepared:
    weights = small_weights(family, mean, std)
    network = float_network(weights, pictures(1))
    images = open_calibration("builtin", weights.preprocessing, 32, 0)
    result = calibrate(network.integer_content, network.entry, network.exact, images, silent)
    return Prepared(network, result.narrow, result.wide)


@pytest.fixture(scope="module")
def prepared() -> dict[str, Prepared]:
    made = {family: _prepare(family, LITE_MEAN, LITE_STD) for family in FAMILY_HEADS}
    made["imagenet"] = _prepare("b", IMAGENET_MEAN, IMAGENET_STD)
    made["half"] = _prepare("lite", HALF, HALF)
    return made


NETWORKS = (*FAMILY_HEADS, "imagenet", "half")
# Least logit SQNR in dB that a seeded small network must keep; measured values lie at least 5 dB higher.
FLOORS: dict[Precision, float] = {"fp32": 100.0, "fp16": 45.0, "w8": 20.0, "w8d": 15.0, "w8a8": 12.0, "w8a16": 20.0}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", FLOORS)
def test_each_precision_answers_like_the_float_file(
    prepared: dict[str, Prepared], name: str, precision: Precision
) -> None:
    content = prepared[name].content(precision, "uint8" if precision == "w8a8" else "float32")
    assert compare(prepared[name].network.content, content, pictures(8)).sqnr_db >= FLOORS[precision]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_three_ends_of_w8a8_give_one_answer(prepared: dict[str, Prepared], name: str) -> None:
    runners = [Runner(prepared[name].content("w8a8", io)) for io in ("int8", "uint8", "float32")]
    assert [str(runner.input.dtype) for runner in runners] == ["int8", "uint8", "float32"]
    for picture in pictures(3):
        first, second, third = (runner.logits(picture) for runner in runners)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)


@pytest.mark.parametrize("name", NETWORKS)
def test_w8a8_is_one_partition_and_the_same_bytes_twice(prepared: dict[str, Prepared], name: str) -> None:
    content = prepared[name].content("w8a8", "int8")
    assert partitions(content) == 1
    assert content == prepared[name].content("w8a8", "int8")


@pytest.mark.parametrize(("io", "zero_point"), [("int8", -1), ("uint8", 127)])
def test_raw_pixels_are_the_input_exactly(prepared: dict[str, Prepared], io: IoType, zero_point: int) -> None:
    end = Runner(prepared["lite"].content("w8a8", io)).input
    assert (end.scale, end.zero_point) == (1 / 128, zero_point)


# TensorFlow's lite/tools/versioning/op_version.cc
INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "ADD": 2,
    "MEAN": 2,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "SUB": 2,
    "QUANTIZE": 1,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_op_versions_are_those_of_the_int8_kernels(prepared: dict[str, Prepared], name: str) -> None:
    model = flatbuffer.read(prepared[name].content("w8a8", "uint8"))
    for row in model.subgraphs[0].operators:
        op = op_name(op_code(model, row))
        version = model.operatorCodes[row.opcodeIndex].version
        assert version == INT8_VERSIONS[op] if op != "MUL" else version in (2, 3), op


def test_kernel_sums_stay_within_half_a_step(prepared: dict[str, Prepared]) -> None:
    network = prepared["lite"].network
    original = flatbuffer.read(network.content)
    model = quantize_model(network.content, "w8")
    weights = {text(row.name): row for row in model.subgraphs[0].tensors}
    for tensor in original.subgraphs[0].tensors:
        name = text(tensor.name)
        if not name.endswith("conv_dw/weight"):
            continue
        real = np.frombuffer(bytes(original.buffers[tensor.buffer].data), dtype=np.float32).reshape(tensor.shape)
        steps = np.frombuffer(bytes(model.buffers[weights[name].buffer].data), dtype=np.int8).reshape(tensor.shape)
        wanted = real.astype(np.float64) / np.asarray(weights[name].quantization.scale, dtype=np.float64)
        off = np.abs((steps - wanted).sum(axis=(0, 1, 2)))
        # A channel whose largest weights all sit at the limit of 127 has none left to round up.
        assert np.mean(off <= 0.5 + 1e-3) > 0.97
        assert steps.min() >= -127
        assert np.abs(steps - wanted).max() <= 1.0 + 1e-3


def test_compensation_brings_the_logits_closer_and_adds_nothing(prepared: dict[str, Prepared]) -> None:
    network, data = prepared["b"].network, prepared["b"].narrow
    without = quantize_model(network.integer_content, "w8a8", ActivationData(data.ranges, {}))
    with_means = quantize_model(network.integer_content, "w8a8", data)
    assert len(without.subgraphs[0].operators) == len(with_means.subgraphs[0].operators)
    before, after = flatbuffer.write(without), flatbuffer.write(with_means)
    assert len(before) == len(after)
    assert before != after
    images = pictures(16)
    worse, better = (compare(network.content, content, images).sqnr_db for content in (before, after))
    assert better > worse


def test_compensating_twice_changes_no_weight(prepared: dict[str, Prepared]) -> None:
    network, data = prepared["lite"].network, prepared["lite"].narrow
    original = flatbuffer.read(network.integer_content)
    model = quantize_model(network.integer_content, "w8a8", ActivationData(data.ranges, {}))
    once = flatbuffer.write(model)
    keep_kernel_sums(model, original)
    assert flatbuffer.write(model) == once
    correct_biases(model, original, data.means)
    assert flatbuffer.write(model) != once


@pytest.mark.parametrize("bias", [1.0, -1.0])
@pytest.mark.parametrize("precision", ["w8a8", "w8a16"])
def test_a_channel_of_nothing_but_bias_keeps_it(precision: Precision, bias: float) -> None:
    """Its weights are 1e-12, a scale at which the bias would take 2**40 steps and more."""
    weights = small_weights("lite")
    architecture = expand(weights.variant, weights.num_classes, weights.preprocessing.side_px)
    layer = architecture.blocks[1].before_squeeze[0]
    scale, shift = f"{layer.batch_norm}.weight", f"{layer.batch_norm}.bias"
    for name, value in ((scale, 1e-12), (shift, bias)):
        weights.tensors[name][0] = value
    network = float_network(weights, pictures(1))
    images = open_calibration("builtin", weights.preprocessing, 16, 0)
    result = calibrate(network.integer_content, network.entry, network.exact, images, silent)
    model = quantize_model(network.integer_content, precision, result.narrow if precision == "w8a8" else result.wide)
    [row] = [row for row in layers(model, flatbuffer.read(network.integer_content)) if row.output_name == layer.name]
    assert row.original_bias is not None
    np.testing.assert_allclose(row.bias_steps * row.bias_scales, row.original_bias, atol=0.05)
    assert abs(int(row.bias_steps[0])) <= 2**30 + 2
