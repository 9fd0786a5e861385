"""What quantization-aware training learned reaches the int8 file: each tensor's range, each weight's step."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import flatbuffer
from converters.conversion import Request, run
from converters.edit import text
from converters.onnx_file.options import FileChoice, OnnxOptions
from converters.quantized_layers import layers
from converters.repair.gate import Gate
from converters.repair.recipe import Recipe
from edgenet.artifact import Artifact
from edgenet.errors import InputError
from edgenet.folding import channel_factors
from edgenet.layers import Architecture, expand
from edgenet.progress import silent
from edgenet.trained_steps import weight_scales
from edgenet.training.compress.clusters import first_centroids, nearest
from edgenet.training.compress.tensors import OUTPUT_NAME, compressible, rounded_tensors
from edgenet.weights.random import random_weights
from edgenet.weights.record import LearnedRanges, Weights
from tests.networks import CLASSES, FAMILY_HEADS, IMAGENET_MEAN, IMAGENET_STD, SIDE_PX, small_variant, small_weights

CLUSTERS = 16
STAGES = {"b": 2, "lite": 2, "edgetpu": 2, "v2": 4}  # V2's fourth is the first with squeeze-and-excite


def _architecture(weights: Weights) -> Architecture:
    return expand(weights.variant, weights.num_classes, SIDE_PX)


def _learned(family: str, *, clustered: bool = False) -> Weights:
    """Return random weights with ImageNet's normalization and a range for each tensor, as a training leaves them.

    Batch norms scale channels by anything, below 0 as well; all but the first half of a clustered layer's channels are
    far smaller than the others.
    """
    small = small_variant(family)
    variant = replace(small, stages=small.stages[: STAGES[family]])
    record = small_weights(family, IMAGENET_MEAN, IMAGENET_STD).preprocessing
    weights = replace(random_weights(variant, 0, CLASSES), preprocessing=record)
    architecture, random = _architecture(weights), np.random.default_rng(5)
    tensors = dict(weights.tensors)
    for layer in architecture.layers:
        if layer.batch_norm:
            tensors[f"{layer.batch_norm}.weight"] = random.normal(size=layer.out_channels).astype(np.float32)
    chosen = compressible(architecture) if clustered else ()
    for layer in chosen:
        weight = tensors[f"{layer.name}.weight"].copy()
        weight[: len(weight) // 2] /= 10
        tensors[f"{layer.name}.weight"] = nearest(weight, first_centroids(weight, CLUSTERS))
    rows = rounded_tensors(architecture)
    ranges = {row.tensor: (max(row.low, -3.0), min(row.high, 6.0 + index / 7)) for index, row in enumerate(rows)}
    learned = LearnedRanges(ranges, frozenset(layer.name for layer in chosen), "0" * 64)
    return replace(weights, tensors=tensors, learned=learned)


def _convert(weights: Weights, out: Path, **more: Any) -> Artifact:
    request = Request(weights.variant, (("w8a8", "int8"),), "", "builtin", model=weights)
    [artifact] = run(replace(request, **more), out, False, (), silent, lambda text: None)
    return artifact


@pytest.mark.parametrize("family", FAMILY_HEADS)
def test_the_file_has_the_learned_range_of_each_tensor(family: str, tmp_path: Path) -> None:
    weights = _learned(family)
    artifact = _convert(weights, tmp_path)
    graph = flatbuffer.read(artifact.path.read_bytes()).subgraphs[0]
    scales = {text(row.name): row.quantization.scale[0] for row in graph.tensors if row.quantization is not None}
    assert weights.learned is not None
    for name, (low, high) in weights.learned.ranges.items():
        assert scales[name] == pytest.approx((high - low) / 255), name
    manifest = artifact.manifest
    assert manifest.calibration is None
    assert manifest.recipe is None
    assert manifest.learned_ranges is not None
    assert manifest.learned_ranges.ranges.keys() == weights.learned.ranges.keys()


@pytest.mark.parametrize(
    "clustered", [False, True], ids=["a scale for each channel", "one scale for a clustered layer"]
)
def test_the_file_has_the_steps_of_the_training(clustered: bool, tmp_path: Path) -> None:
    weights = _learned("b", clustered=clustered)
    content = _convert(weights, tmp_path).path.read_bytes()
    [float_file] = _convert(weights, tmp_path / "float", formats=(("fp32", "float32"),)).path.parent.glob("*.tflite")
    found = {row.output_name: row for row in layers(flatbuffer.read(content), flatbuffer.read(float_file.read_bytes()))}
    chosen = {layer.name for layer in compressible(_architecture(weights))} if clustered else set()
    for layer in _architecture(weights).layers:
        weight = weights.tensors[f"{layer.name}.weight"]
        if layer == _architecture(weights).stem:  # in the file it divides by std as well
            weight = weight / np.asarray(IMAGENET_STD, np.float32).reshape(1, 3, 1, 1)
        scales = weight_scales(weight, one_scale=layer.name in chosen).reshape(-1, *[1] * (weight.ndim - 1))
        steps = np.rint(weight / scales)
        signs = np.sign(channel_factors(layer, weights)).reshape(scales.shape)
        row = found[OUTPUT_NAME if layer.kind == "dense" else layer.name]
        order = {"conv": (0, 2, 3, 1), "depthwise": (1, 2, 3, 0), "dense": (0, 1)}[layer.kind]
        assert np.array_equal(row.weight_steps, (steps * signs).transpose(order)), layer.name
        if layer.name in chosen:
            assert len(np.unique(np.abs(row.weight_steps))) <= CLUSTERS


def test_ranges_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = _learned("b")
    assert weights.learned is not None
    less = {name: ends for name, ends in weights.learned.ranges.items() if name != "pool"}
    for ranges, says in (
        (less, "have none for 'pool'"),
        (weights.learned.ranges | {"a": (0.0, 1.0)}, "there is no 'a'"),
    ):
        other = replace(weights, learned=replace(weights.learned, ranges=ranges))
        with pytest.raises(InputError, match=says):
            _convert(other, tmp_path)


@dataclass(frozen=True)
class Refused:
    name: str
    more: dict[str, Any]
    says: str


SEVEN_BITS = FileChoice(("onnx",), OnnxOptions(cpu="x86-avx2"))
REFUSED = (
    Refused("calibration images", {"calib": "photos"}, "--calib photos beside a run of train --qat, which learned"),
    Refused("a recipe", {"recipe": Recipe("minmax")}, "--recipe would undo the rounding"),
    Refused("a repair", {"repair": Gate()}, "--repair would undo the rounding"),
    Refused("fewer bits", {"files": SEVEN_BITS}, "7-bit weights .* would undo the rounding"),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_would_undo_the_training_is_refused(case: Refused, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=case.says):
        _convert(_learned("lite"), tmp_path, **case.more)
