"""What calibration sees of a network is what flows through it, by two other routes: TFLite's own kernels, and NumPy."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from converters import flatbuffer, observe
from converters.edit import text
from converters.entry import Entry, integer_entry
from converters.flatbuffer import Model
from converters.float_file import build_float
from converters.observe import Statistics, channel_means
from converters.patterns import activation_tensors, find_sigmoids, find_swishes, op_code, op_name
from converters.quantize import ActivationData, quantize_model
from converters.quantized_layers import WEIGHTED
from converters.ranges import Range, choose_ranges
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.weights.record import Weights
from tests.networks import FAMILY_HEADS, IMAGENET_MEAN, IMAGENET_STD, LITE_MEAN, LITE_STD, pictures, small_weights

EACH_FAMILY = pytest.mark.parametrize("family", FAMILY_HEADS)
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A small float graph, and six images [1, side, side, 3] as it takes them."""

    content: bytes
    entry: Entry
    exact: dict[str, Range]
    images: tuple[Image, ...]


def _content(weights: Weights) -> bytes:
    record = weights.preprocessing
    architecture = expand(weights.variant, weights.num_classes, record.side_px)
    return flatbuffer.write(build_float(architecture, weights, integer_entry(record)))


@cache
def _network(family: str) -> Network:
    normalization = (IMAGENET_MEAN, IMAGENET_STD) if family == "b" else (LITE_MEAN, LITE_STD)
    weights = small_weights(family, *normalization)
    entry = integer_entry(weights.preprocessing)
    images = tuple(entry.feed(picture) for picture in pictures(6))
    return Network(_content(weights), entry, entry.ranges(weights.preprocessing), images)


@cache
def _tensors(family: str) -> dict[str, NDArray[np.float32]]:
    """Return every activation [images, ...] by name, from TFLite's own kernels: no XNNPACK, nothing marked."""
    network = _network(family)
    model = flatbuffer.read(network.content)
    interpreter = Interpreter(
        model_content=network.content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    seen: dict[str, list[NDArray[np.float32]]] = {}
    for image in network.images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        for tensor in activation_tensors(model):
            seen.setdefault(_name(model, tensor), []).append(interpreter.get_tensor(tensor))
    return {name: np.concatenate(rows) for name, rows in seen.items()}


def _name(model: Model, tensor: int) -> str:
    return str(text(model.subgraphs[0].tensors[tensor].name))


def _observed(family: str) -> dict[str, Statistics]:
    network = _network(family)
    return observe.observe(network.content, network.images).statistics


@pytest.fixture
def every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all values enter histograms and means, not a sample of them."""
    monkeypatch.setattr(observe, "SAMPLED", 10**9)
    monkeypatch.setattr(observe, "AVERAGED", 10**9)


@EACH_FAMILY
def test_ranges_are_those_of_tflites_own_kernels(family: str) -> None:
    statistics = _observed(family)
    for name, row in statistics.items():
        values = _tensors(family)[name]
        tolerance = 1e-4 * float(np.abs(values).max())
        assert row.minimum == pytest.approx(values.min(), abs=tolerance), name
        assert row.maximum == pytest.approx(values.max(), abs=tolerance), name


@EACH_FAMILY
def test_all_but_sigmoids_and_swishes_is_watched(family: str) -> None:
    model = flatbuffer.read(_network(family).content)
    derived = {_name(model, tensor) for tensor in find_sigmoids(model).keys() | find_swishes(model).keys()}
    assert _observed(family).keys() == _tensors(family).keys() - derived
    assert bool(derived) == (family in ("b", "v2"))


@pytest.mark.usefixtures("every_value")
@EACH_FAMILY
def test_channel_means_are_numpys(family: str) -> None:
    means = channel_means(flatbuffer.read(_network(family).content), _observed(family))
    sigmoids = {name for name in _tensors(family) if name not in means}
    model = flatbuffer.read(_network(family).content)
    assert sigmoids == {_name(model, tensor) for tensor in find_sigmoids(model)}
    for name, mean in means.items():
        values = _tensors(family)[name].astype(np.float64)
        wanted = values.reshape(-1, values.shape[-1]).mean(axis=0)
        np.testing.assert_allclose(mean, wanted, rtol=0, atol=1e-4 * float(np.abs(values).max()), err_msg=name)


@EACH_FAMILY
def test_sampled_means_are_close_to_the_means_of_all(family: str) -> None:
    means = channel_means(flatbuffer.read(_network(family).content), _observed(family))
    for name, mean in means.items():
        values = _tensors(family)[name].astype(np.float64)
        wanted = values.reshape(-1, values.shape[-1]).mean(axis=0)
        assert np.abs(mean - wanted).mean() < 0.15 * float(values.std()), name


@pytest.mark.usefixtures("every_value")
@EACH_FAMILY
def test_histograms_are_numpys(family: str) -> None:
    for name, row in _observed(family).items():
        histogram, values = row.histogram, _tensors(family)[name].reshape(-1)
        assert histogram.counts.sum() + histogram.zeros == values.size
        assert max(-row.minimum, row.maximum) <= histogram.limit
        edges = np.linspace(-histogram.limit, histogram.limit, len(histogram.counts) + 1)
        wanted, _ = np.histogram(values[values != 0], edges)
        # Kernels differ in the last bits, so a value may fall on the other side of an edge: compare where they stand.
        off = np.abs(np.cumsum(histogram.counts) - np.cumsum(wanted)).max()
        assert off <= max(3, 0.01 * values.size), name


@dataclass(frozen=True)
class Seen:
    """Everything that is known of one tensor, to be compared with =="""

    minimum: float
    maximum: float
    limit: float
    zeros: int
    counts: bytes
    mean: bytes


def _seen(statistics: dict[str, Statistics]) -> dict[str, Seen]:
    return {
        name: Seen(
            row.minimum,
            row.maximum,
            row.histogram.limit,
            row.histogram.zeros,
            row.histogram.counts.tobytes(),
            row.mean.value.tobytes(),
        )
        for name, row in statistics.items()
    }


@EACH_FAMILY
def test_the_order_of_the_images_does_not_matter(family: str) -> None:
    network = _network(family)
    backwards = observe.observe(network.content, network.images[::-1]).statistics
    turned = observe.observe(network.content, network.images[2:] + network.images[:2]).statistics
    assert _seen(backwards) == _seen(turned) == _seen(_observed(family))


class _Counted:
    """Images that count how often they are gone through."""

    def __init__(self, images: tuple[Image, ...]) -> None:
        self._images, self.passes = images, 0

    def __iter__(self) -> Iterator[Image]:
        self.passes += 1
        return iter(self._images)


@pytest.mark.parametrize("family", ["b", "lite"])
def test_several_passes_see_what_one_sees(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network(family)
    once, often = _Counted(network.images), _Counted(network.images)
    at_once = observe.observe(network.content, once, kept=2)
    monkeypatch.setattr(observe, "MEMORY_LIMIT_BYTES", 400_000)
    in_parts = observe.observe(network.content, often, kept=2)
    assert once.passes == 1
    assert often.passes > 2
    assert _seen(in_parts.statistics) == _seen(at_once.statistics)
    np.testing.assert_array_equal(np.stack(in_parts.outputs), np.stack(at_once.outputs))


@EACH_FAMILY
def test_the_outputs_of_the_first_images_are_kept_in_their_order(family: str) -> None:
    network, tensors = _network(family), _tensors(family)
    model = flatbuffer.read(network.content)
    logits = tensors[_name(model, int(model.subgraphs[0].outputs[0]))]
    outputs = observe.observe(network.content, network.images, kept=4).outputs
    assert len(outputs) == 4
    tolerance = 1e-4 * float(np.abs(logits).max())
    np.testing.assert_allclose(np.concatenate(outputs), logits[:4], rtol=0, atol=tolerance)
    assert observe.observe(network.content, network.images).outputs == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_tensor_that_is_not_finite_is_refused_by_name(value: float) -> None:
    network = _network("lite")
    model = flatbuffer.read(network.content)
    final = next(row for row in reversed(model.subgraphs[0].operators) if op_code(model, row) in WEIGHTED)
    weight = model.subgraphs[0].tensors[int(final.inputs[1])]
    values = np.frombuffer(bytes(model.buffers[weight.buffer].data), dtype=np.float32).copy()
    values[:] = value
    model.buffers[weight.buffer].data = np.frombuffer(values.tobytes(), dtype=np.uint8)
    name = _name(model, int(final.outputs[0]))
    with pytest.raises(InputError, match=rf"tensor '{name}' is not finite \(.*\): it has no int8 range; check the"):
        observe.observe(flatbuffer.write(model), network.images)


@dataclass(frozen=True)
class Layer:
    """A weighted op of a w8a8 file with its float original; all in real numbers."""

    op: str
    name: str
    source: str  # the name of its input
    original: NDArray[np.float64]
    weight: NDArray[np.float64]
    step: NDArray[np.float64]  # of the weight; a shape that multiplies it
    original_bias: NDArray[np.float64]
    bias: NDArray[np.float64]
    bias_step: NDArray[np.float64]


def _values(model: Model, tensor: int) -> tuple[NDArray[Any], NDArray[np.float64], int]:
    """Return a constant's values as they are stored, its scales (none in a float file), and their axis."""
    row = model.subgraphs[0].tensors[tensor]
    kind = {0: np.float32, 2: np.int32, 4: np.int64, 9: np.int8}[row.type]
    values = np.frombuffer(bytes(model.buffers[row.buffer].data), dtype=kind).reshape([int(size) for size in row.shape])
    scales = row.quantization.scale if row.quantization is not None else None
    return (
        values,
        np.asarray([] if scales is None else scales, np.float64),
        int(getattr(row.quantization, "quantizedDimension", 0)),
    )


def _layers(content: bytes, model: Model) -> list[Layer]:
    original = flatbuffer.read(content)
    floats = {_name(original, int(row.outputs[0])): row for row in original.subgraphs[0].operators}
    layers = []
    for row in model.subgraphs[0].operators:
        if op_code(model, row) not in WEIGHTED:
            continue
        name = _name(model, int(row.outputs[0]))
        source = floats[name]
        steps, scale, axis = _values(model, int(row.inputs[1]))
        step = scale.reshape([-1 if each == axis else 1 for each in range(steps.ndim)])
        bias_steps, bias_scale, _ = _values(model, int(row.inputs[2]))
        layers.append(
            Layer(
                op=op_name(op_code(model, row)),
                name=name,
                source=_name(original, int(source.inputs[0])),
                original=_values(original, int(source.inputs[1]))[0].astype(np.float64),
                weight=steps * step,
                step=step,
                original_bias=_values(original, int(source.inputs[2]))[0].astype(np.float64),
                bias=bias_steps * bias_scale,
                bias_step=bias_scale,
            )
        )
    return layers


@cache
def _quantized(family: str) -> tuple[list[Layer], list[Layer], dict[str, NDArray[np.float64]]]:
    """Return the layers without and with correction of the biases, and the channel means that it was given."""
    network = _network(family)
    model, statistics = flatbuffer.read(network.content), _observed(family)
    ranges = choose_ranges(model, statistics, "minmax") | network.exact
    means = channel_means(model, statistics)
    plain, corrected = (
        _layers(network.content, quantize_model(network.content, "w8a8", ActivationData(ranges, given)))
        for given in ({}, means)
    )
    return plain, corrected, means


def _mean_output(layer: Layer, weight: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the output [O], without bias, of an input that holds `mean` [C] everywhere."""
    if layer.op == "DEPTHWISE_CONV_2D":
        return np.asarray(weight.sum(axis=(0, 1, 2)) * mean)
    if layer.op == "CONV_2D":
        return np.asarray(weight.sum(axis=(1, 2)) @ mean)
    return np.asarray(weight @ mean)


@EACH_FAMILY
def test_kernel_sums_stay_within_half_a_step_and_weights_within_one(family: str) -> None:
    _, layers, _ = _quantized(family)
    spatial = [layer for layer in layers if layer.original.ndim == 4 and layer.original.shape[1] > 1]
    assert len(spatial) >= 4
    for layer in spatial:
        error = (layer.weight - layer.original) / layer.step
        assert np.abs(error).max() <= 1 + 1e-3, layer.name
        assert np.abs(layer.weight / layer.step).max() <= 127.01, layer.name
        sums = np.abs(error.sum(axis=(1, 2)))
        # A kernel whose largest weights are at the limit of 127 may have none left to round up.
        assert np.mean(sums <= 0.5 + 1e-3) > 0.97, layer.name
        nearest = np.abs((np.round(layer.original / layer.step) - layer.original / layer.step).sum(axis=(1, 2)))
        assert sums.mean() <= nearest.mean(), layer.name


@EACH_FAMILY
def test_corrected_biases_take_the_mean_error_of_the_weights_away(family: str) -> None:
    plain, corrected, means = _quantized(family)
    assert [layer.name for layer in plain] == [layer.name for layer in corrected]
    before, after = [], []
    for first, second in zip(plain, corrected, strict=True):
        np.testing.assert_array_equal(first.weight, second.weight)
        wanted = _mean_output(second, second.original, means[second.source]) + second.original_bias
        off = [
            np.abs(_mean_output(layer, layer.weight, means[layer.source]) + layer.bias - wanted)
            for layer in (first, second)
        ]
        # Half a step for the bias itself, half a one for its correction.
        assert (off[1] <= 1.001 * second.bias_step + 1e-6 * np.abs(wanted)).all(), second.name
        before.append(float(off[0].mean()))
        after.append(float(off[1].mean()))
    assert sum(after) < 0.2 * sum(before)


def test_without_means_biases_are_the_rounded_originals() -> None:
    plain, _, _ = _quantized("b")
    for layer in plain:
        assert (np.abs(layer.bias - layer.original_bias) <= 0.501 * layer.bias_step).all(), layer.name
