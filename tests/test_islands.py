"""Layers that leave 8 bits: what is restored is right, what is not stays, conversions stand at the borders alone."""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer
from converters.calibrate import Calibration, calibrate
from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.diagnosis_graph import LayerPair, multiply_accumulates, operator_macs, owners, pair_layers
from converters.edit import text
from converters.ends import set_ends
from converters.flatbuffer import Model
from converters.job import FloatNetwork
from converters.patterns import op_code, op_name
from converters.quantize import quantize_model
from converters.repair.islands import Kind, full_integer, high_precision_share, ops_beyond_8_bits, restore_layers
from converters.runtime import Runner, encode_pixels
from converters.tflite_summary import summarize
from converters.verify import compare, layer_errors
from edgenet.errors import InputError
from edgenet.precision import IoType
from edgenet.progress import silent
from tests.networks import IMAGENET_MEAN, IMAGENET_STD, LITE_MEAN, LITE_STD, pictures, small_weights
from tests.test_float_file import partitions
from tests.test_old_runtime import PROGRAM, VARIABLE

Type = schema.TensorType
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
KINDS: tuple[Kind, ...] = ("fp32", "w8", "w8a16")


@dataclass(frozen=True)
class Prepared:
    network: FloatNetwork
    calibration: Calibration

    @property
    def layers(self) -> list[str]:
        """Return the names of the layers in the order of the graph, without the image."""
        return list(dict.fromkeys(owners(self.original).values()))[1:]

    @property
    def original(self) -> Model:
        return flatbuffer.read(self.network.integer_content)

    def model(self, layers: dict[str, Kind]) -> Model:
        """Return the w8a8 model with some layers restored, its ends int8."""
        model = flatbuffer.read(self.calibration.narrow_content)
        restore_layers(model, self.original, layers, self.calibration.wide.ranges)
        return model

    def file(self, layers: dict[str, Kind], io: IoType = "uint8") -> bytes:
        """Return the file with some layers restored."""
        model, entry = self.model(layers), self.network.entry
        set_ends(model, io, mean=None if entry.folding == "subtracted" else entry.zero_point, std=entry.std)
        return flatbuffer.write(model)


def _prepare(family: str, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Prepared:
    weights = small_weights(family, mean, std)
    network = float_network(weights, pictures(1))
    images = open_calibration("builtin", weights.preprocessing, 16, 0)
    return Prepared(network, calibrate(network.integer_content, network.entry, network.exact, images, silent))


@pytest.fixture(scope="module")
def prepared() -> dict[str, Prepared]:
    made = {family: _prepare(family, LITE_MEAN, LITE_STD) for family in ("b", "lite", "v2")}
    made["imagenet"] = _prepare("b", IMAGENET_MEAN, IMAGENET_STD)
    return made


NETWORKS = ("b", "lite", "v2", "imagenet")


def _conversions(model: Model) -> dict[str, str]:
    """Return the tensors by name that conversions fill, each with the op's name."""
    graph = model.subgraphs[0]
    return {
        text(graph.tensors[row.outputs[0]].name): op_name(op_code(model, row))
        for row in graph.operators
        if op_name(op_code(model, row)) in CONVERSIONS
    }


def _types(model: Model) -> dict[str, int]:
    return {text(row.name): int(row.type) for row in model.subgraphs[0].tensors}


# What is restored, what is not


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_restored_changes_no_byte(prepared: dict[str, Prepared], name: str) -> None:
    assert flatbuffer.write(prepared[name].model({})) == prepared[name].calibration.narrow_content


@pytest.mark.parametrize("name", NETWORKS)
def test_everything_restored_is_the_float_network(prepared: dict[str, Prepared], name: str) -> None:
    it = prepared[name]
    everything: dict[str, Kind] = dict.fromkeys(it.layers, "fp32")
    if it.network.entry.folding == "subtracted":
        everything["image"] = "fp32"
    content = it.file(everything, "float32")
    reference, test = Runner(it.network.content), Runner(content)
    for picture in pictures(3):
        wanted = reference.logits(picture)
        np.testing.assert_allclose(test.logits(picture), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


# Least gain of the logits' SQNR in dB over w8a8 when all layers are restored, behind float32 ends.
GAINS_DB: dict[Kind, float] = {"fp32": 40.0, "w8": 5.0, "w8a16": 5.0}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_closer_to_float(prepared: dict[str, Prepared], name: str, kind: Kind) -> None:
    it, images = prepared[name], pictures(4)
    plain = compare(it.network.content, it.file({}, "float32"), images)
    mixed = compare(it.network.content, it.file(dict.fromkeys(it.layers, kind), "float32"), images)
    floor = GAINS_DB[kind] if name != "imagenet" else min(GAINS_DB[kind], 3.0)  # the centred image stays in 8 bits
    assert mixed.sqnr_db >= plain.sqnr_db + floor


@pytest.mark.parametrize("name", NETWORKS)
def test_16_bits_have_the_steps_of_a_16_bit_file(prepared: dict[str, Prepared], name: str) -> None:
    it = prepared[name]
    model = it.model(dict.fromkeys(it.layers, "w8a16"))
    whole = quantize_model(it.network.integer_content, "w8a16", it.calibration.wide)
    steps = {text(row.name): row for row in whole.subgraphs[0].tensors if row.type in (Type.INT16, Type.INT64)}
    shared = [row for row in model.subgraphs[0].tensors if row.type == Type.INT16 and text(row.name) in steps]
    assert len(shared) >= len(it.layers)
    for row in shared:
        assert row.quantization.scale[0] == pytest.approx(steps[text(row.name)].quantization.scale[0], rel=1e-6)
    biases = [row for row in model.subgraphs[0].tensors if row.type == Type.INT64]
    assert len(biases) == len(it.layers)


# Borders


@dataclass(frozen=True)
class Border:
    id: str
    layers: dict[str, Kind]
    conversions: dict[str, str]  # of the file, by the tensor that they fill


DW, REDUCE, EXPAND, PWL = (f"blocks.1.0.{part}" for part in ("conv_dw", "se.conv_reduce", "se.conv_expand", "conv_pwl"))
FED = "blocks.1.0.conv_pw/swish"
BORDERS = [
    Border("alone", {PWL: "fp32"}, {"blocks.1.0.se/scaled/real": "DEQUANTIZE", f"{PWL}/int8": "QUANTIZE"}),
    Border(
        "two readers of one tensor",
        {DW: "fp32"},
        {f"{FED}/real": "DEQUANTIZE", f"{DW}/swish/int8": "QUANTIZE", "blocks.1.0.se.pool/int8": "QUANTIZE"},
    ),
    Border(
        "neighbours hand on float",
        {DW: "fp32", REDUCE: "fp32", EXPAND: "fp32", PWL: "fp32"},
        {f"{FED}/real": "DEQUANTIZE", f"{PWL}/int8": "QUANTIZE"},
    ),
    Border(
        "two kinds of float have no border",
        {DW: "fp32", REDUCE: "w8", EXPAND: "fp32", PWL: "fp32"},
        {f"{FED}/real": "DEQUANTIZE", f"{REDUCE}/weight/real": "DEQUANTIZE", f"{PWL}/int8": "QUANTIZE"},
    ),
    Border(
        "16 bits through float",
        {DW: "w8a16", REDUCE: "w8a16", EXPAND: "w8a16", PWL: "w8a16"},
        {f"{FED}/real": "DEQUANTIZE", f"{FED}/int16": "QUANTIZE", f"{PWL}/int8": "QUANTIZE"},
    ),
    Border(
        "from 16 bits to float",
        {DW: "w8a16", REDUCE: "w8a16", EXPAND: "w8a16", PWL: "fp32"},
        {
            f"{FED}/real": "DEQUANTIZE",
            f"{FED}/int16": "QUANTIZE",
            "blocks.1.0.se/scaled/real": "DEQUANTIZE",
            f"{PWL}/int8": "QUANTIZE",
        },
    ),
]


@pytest.mark.parametrize("case", BORDERS, ids=lambda case: case.id)
def test_conversions_stand_at_borders_alone(prepared: dict[str, Prepared], case: Border) -> None:
    assert _conversions(prepared["b"].model(case.layers)) == case.conversions


def _alternating(layers: list[str]) -> dict[str, Kind]:
    return {name: KINDS[index % 4] for index, name in enumerate(layers) if index % 4 < 3}


@pytest.mark.parametrize("name", NETWORKS)
def test_ops_stay_in_order_and_nothing_is_left_over(prepared: dict[str, Prepared], name: str) -> None:
    model = prepared[name].model(_alternating(prepared[name].layers))
    graph = model.subgraphs[0]
    known = {int(tensor) for tensor in graph.inputs}
    known |= {index for index, row in enumerate(graph.tensors) if model.buffers[row.buffer].data is not None}
    used = set(known)
    for operator in graph.operators:
        inputs = {int(tensor) for tensor in operator.inputs if tensor >= 0}
        assert inputs <= known
        known |= {int(tensor) for tensor in operator.outputs}
        used |= inputs
    assert used | {int(tensor) for tensor in graph.outputs} == set(range(len(graph.tensors)))
    names = [text(row.name) for row in graph.tensors]
    assert len(set(names)) == len(names)


# It runs


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["fp32", "w8"])
def test_xnnpack_takes_the_whole_file_and_answers_like_the_reference(
    prepared: dict[str, Prepared], name: str, kind: Kind
) -> None:
    it = prepared[name]
    content = it.file({layer: kind for index, layer in enumerate(it.layers) if index % 5 < 3})
    assert partitions(content) == 1
    fast, defining = Runner(content), Runner(content, kernels="reference")
    for picture in pictures(2):
        difference = np.abs(fast.logits(picture) - defining.logits(picture))
        assert difference.max() <= 8 * fast.outputs[0].scale


@pytest.mark.parametrize("name", NETWORKS)
def test_all_kinds_in_one_file_run_with_every_kernel(prepared: dict[str, Prepared], name: str) -> None:
    it = prepared[name]
    content = it.file(_alternating(it.layers))
    assert compare(it.network.content, content, pictures(2)).sqnr_db >= 12
    answers = [Runner(content, kernels=kernels).logits(pictures(1)[0]) for kernels in ("xnnpack", "reference")]
    assert np.abs(answers[0] - answers[1]).max() <= 8 * Runner(content).outputs[0].scale


@pytest.mark.parametrize("name", NETWORKS)
def test_the_old_runtime_runs_it(prepared: dict[str, Prepared], name: str, tmp_path: Path) -> None:
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} names no Python with tflite-runtime 2.14; see tests/test_old_runtime.py")
    content = prepared[name].file(_alternating(prepared[name].layers))
    runner, picture = Runner(content), pictures(1)[0]
    model, inputs, answers = (tmp_path / file for file in ("mixed.tflite", "inputs.npy", "answers.npy"))
    model.write_bytes(content)
    np.save(inputs, encode_pixels(picture, runner.input)[np.newaxis])
    arguments = [os.environ[VARIABLE], "-c", PROGRAM, str(model), str(inputs), str(answers)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runner.run(encode_pixels(picture, runner.input))
    assert np.abs(np.load(answers).astype(int) - runner.view(0).astype(int)).max() <= 8


# Ends


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_ends_stay_as_asked_when_first_and_last_layer_are_restored(
    prepared: dict[str, Prepared], kind: Kind, io: IoType
) -> None:
    it = prepared["b"]
    layers: dict[str, Kind] = {it.layers[0]: kind, it.layers[-1]: kind}
    content, plain = it.file(layers, io), summarize(it.file({}, io))
    mixed = summarize(content)
    assert [row.name for row in mixed.inputs + mixed.outputs] == ["image", "logits"]
    assert (mixed.inputs, mixed.outputs) == (plain.inputs, plain.outputs)
    assert compare(it.network.content, content, pictures(8)).sqnr_db >= 12


def test_float_ends_see_the_last_layer_unrounded(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    logits = Runner(it.file({it.layers[-1]: "fp32"}, "float32")).logits(pictures(1)[0])
    step = Runner(it.file({}, "int8")).outputs[0].scale
    assert np.abs(logits / step - np.round(logits / step)).max() > 0.1
    conversions = _conversions(flatbuffer.read(it.file({it.layers[-1]: "fp32"}, "float32")))
    assert conversions == {"image/quantized": "QUANTIZE", "pool/real": "DEQUANTIZE"}


# What other verbs read


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_found_by_name(prepared: dict[str, Prepared], kind: Kind) -> None:
    it = prepared["b"]
    content = it.file({name: kind for name in (it.layers[0], DW, it.layers[-1])})
    found = {row.name for row in layer_errors(it.network.content, content, pictures(1))}
    assert found == {row.name for row in layer_errors(it.network.content, it.file({}), pictures(1))}


def _pair(it: Prepared, layers: dict[str, Kind], name: str) -> LayerPair:
    return next(row for row in pair_layers(it.network.content, it.file(layers)) if row.name == name)


def test_a_diagnosis_sees_what_is_still_rounded(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    plain, mixed = _pair(it, {}, DW), _pair(it, {DW: "fp32"}, DW)
    assert set(plain.steps) == {DW, f"{DW}/sigmoid", f"{DW}/swish", "blocks.1.0.se.pool"}
    assert plain.weights is not None
    # Other layers read these two in 8 bits.
    assert set(mixed.steps) == {f"{DW}/swish", "blocks.1.0.se.pool"}
    assert mixed.weights is None


def test_a_diagnosis_knows_the_bias_beside_kept_weights(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    for kind in ("w8", "w8a16"):
        plain, mixed = _pair(it, {}, PWL).weights, _pair(it, {PWL: kind}, PWL).weights
        assert plain is not None and plain.bias is not None and mixed is not None and mixed.bias is not None
        np.testing.assert_array_equal(plain.weight, mixed.weight)
        np.testing.assert_allclose(plain.bias, mixed.bias, atol=1e-6)


@pytest.mark.parametrize("first", ["blocks.0.0.conv_dw", "conv_stem"])
def test_the_image_alone_is_taken_for_the_image(prepared: dict[str, Prepared], first: str) -> None:
    """A conversion in the middle of the graph is no entry: weights behind it keep their units."""
    it = prepared["b"]
    plain, mixed = _pair(it, {}, DW).weights, _pair(it, {first: "fp32"}, DW).weights
    assert plain is not None and mixed is not None
    np.testing.assert_array_equal(plain.weight, mixed.weight)


# Shares and what an Edge TPU asks


def test_shares_count_multiply_accumulates(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    original = it.original
    (one,) = (row for row in original.subgraphs[0].operators if _output(original, row) == DW)
    share = operator_macs(original, one) / multiply_accumulates(original)
    assert 0 < share < 0.5
    assert high_precision_share(it.model({})) == 0
    for kind in KINDS:
        assert high_precision_share(it.model({DW: kind})) == pytest.approx(share)
        assert high_precision_share(it.model(dict.fromkeys(it.layers, kind))) == 1


def _output(model: Model, operator: object) -> str:
    return text(model.subgraphs[0].tensors[operator.outputs[0]].name)  # type: ignore[attr-defined]  # untyped schema


def test_ops_beyond_8_bits_are_named(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    assert full_integer(it.model({}))
    assert full_integer(flatbuffer.read(it.file({}, "uint8")))
    assert not full_integer(it.model({PWL: "w8a16"}))
    assert ops_beyond_8_bits(it.model({PWL: "fp32"})) == [
        "DEQUANTIZE blocks.1.0.se/scaled/real",
        f"CONV_2D {PWL}",
        f"QUANTIZE {PWL}/int8",
    ]


def test_kept_weights_cost_no_space(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    sizes = {kind: len(it.file(dict.fromkeys(it.layers, kind))) for kind in KINDS}
    assert sizes["fp32"] > 2 * sizes["w8"]
    types = Counter(_types(it.model({PWL: "w8"}))[name] for name in (f"{PWL}/weight", f"{PWL}/weight/real"))
    assert types == {Type.INT8: 1, Type.FLOAT32: 1}


# Refused


def test_what_cannot_be_restored_is_named(prepared: dict[str, Prepared]) -> None:
    it = prepared["b"]
    with pytest.raises(InputError, match="no layer 'block'"):
        it.model({"block": "fp32"})
    with pytest.raises(InputError, match="no precision 'w4'"):
        it.model({PWL: "w4"})  # type: ignore[dict-item]  # what a caller may get wrong
    with pytest.raises(InputError, match="no range for 16 bits"):
        restore_layers(it.model({}), it.original, {PWL: "w8a16"}, {})
