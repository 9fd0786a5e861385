"""Which layers leave 8 bits: the damaged one first, with those that share its tensors, within the limits."""

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from converters import flatbuffer
from converters.calibrate import calibrate
from converters.calibration_source import open_calibration
from converters.convert import float_network
from converters.diagnosis_graph import filled
from converters.repair.islands import Kind, high_precision_share, restore_layers
from converters.repair.layer_prices import Prices, Shared, layer_prices
from converters.repair.rounding_costs import RoundingCost, logits_error, rounding_costs
from converters.repair.worst_layers import STEP_DB, Layers, Mixed, worst_layers
from converters.runtime import Runner
from edgenet.progress import silent
from tests.networks import pictures, small_weights

BAD = "blocks.1.0.conv_pw"
SHARE = 0.3  # of the multiply-accumulates


class Damaged:
    """A small swish network whose w8a8 file has one activation with 4 steps instead of 256."""

    def __init__(self) -> None:
        weights = small_weights("b")
        network = float_network(weights, pictures(1))
        images = open_calibration("builtin", weights.preprocessing, 16, 0)
        calibration = calibrate(network.integer_content, network.entry, network.exact, images, silent)
        self.float_content, self.ranges = network.integer_content, calibration.wide.ranges
        model = flatbuffer.read(calibration.narrow_content)
        tensor = model.subgraphs[0].tensors[filled(model)[f"{BAD}/swish"]]
        tensor.quantization.scale = [64 * tensor.quantization.scale[0]]
        self.content = flatbuffer.write(model)
        self.inputs = [network.entry.feed(pixels) for pixels in pictures(2)]
        runner = Runner(self.float_content)
        self.expected = [runner.real_output(values) for values in self.inputs]
        self.costs = rounding_costs(self.float_content, self.content, self.inputs, self.expected, silent)
        self.prices = layer_prices(flatbuffer.read(self.float_content))
        self.mixed = Mixed(cache(self.restore), cache(self.error), lambda _: True)

    def restore(self, layers: Layers) -> bytes:
        model = flatbuffer.read(self.content)
        kinds: dict[str, Kind] = dict.fromkeys(sorted(layers), "fp32")
        restore_layers(model, flatbuffer.read(self.float_content), kinds, self.ranges)
        return flatbuffer.write(model)

    def error(self, content: bytes) -> float:
        return logits_error(content, self.inputs, self.expected)


@pytest.fixture(scope="module")
def damaged() -> Damaged:
    return Damaged()


def test_the_damaged_tensor_costs_most(damaged: Damaged) -> None:
    worst = max(damaged.costs, key=lambda row: row.cost)
    assert (worst.layer, worst.readers) == (BAD, ("blocks.1.0.conv_dw",))
    assert worst.cost > 0.5 * sum(row.cost for row in damaged.costs)


def test_costs_add_up_to_the_error_of_the_file(damaged: Damaged) -> None:
    predicted, measured = sum(row.cost for row in damaged.costs), damaged.error(damaged.content)
    assert abs(10 * math.log10(predicted / measured)) < 3


def test_sets_grow_and_come_closer_within_the_share(damaged: Damaged) -> None:
    sets = list(worst_layers(damaged.costs, damaged.prices, damaged.mixed, SHARE))
    assert {BAD, "blocks.1.0.conv_dw"} <= sets[0]  # the tensor is exact only if its reader is restored as well
    errors = [damaged.error(damaged.restore(layers)) for layers in (frozenset[str](), *sets)]
    for smaller, larger in pairwise(sets):
        assert smaller < larger
    assert all(10 * math.log10(one / two) >= STEP_DB for one, two in pairwise(errors[:-1]))
    assert errors == sorted(errors, reverse=True)
    share = high_precision_share(flatbuffer.read(damaged.restore(sets[-1])))
    assert share == pytest.approx(damaged.prices.share(sets[-1]))
    assert 0 < share <= SHARE


def test_nothing_is_chosen_that_costs_too_much(damaged: Damaged) -> None:
    assert not list(worst_layers(damaged.costs, damaged.prices, damaged.mixed, 0.0))
    slow = replace(damaged.mixed, affords=lambda _: False)
    assert not list(worst_layers(damaged.costs, damaged.prices, slow, SHARE))


def test_layers_that_make_a_file_too_slow_give_way_to_others(damaged: Damaged) -> None:
    without = replace(damaged.mixed, affords=lambda content: "blocks.1.0.conv_pw/weight" in _int8_constants(content))
    sets = list(worst_layers(damaged.costs, damaged.prices, without, SHARE))
    assert all(BAD not in layers for layers in sets)


def _int8_constants(content: bytes) -> set[str]:
    tensors = flatbuffer.read(content).subgraphs[0].tensors
    return {row.name.decode() for row in tensors if row.type == 9}  # TensorType.INT8


# Arithmetic of costs and prices


@pytest.mark.parametrize(
    ("chosen", "left"),
    [((), 4.0), (("reader",), 4.0), (("layer",), 4.0), (("layer", "reader"), 2.0), (("layer", "reader", "late"), 0.0)],
)
def test_a_shared_tensor_is_exact_where_all_its_readers_are_restored(chosen: tuple[str, ...], left: float) -> None:
    assert RoundingCost("layer", ("reader", "late"), 4.0).left(frozenset(chosen)) == left


def test_what_a_layer_rounds_for_itself_goes_with_it() -> None:
    own = RoundingCost("layer", (), 4.0)
    assert own.left(frozenset()) == 4.0
    assert own.left(frozenset({"layer"})) == 0.0


def test_borders_are_paid_for_once() -> None:
    prices = Prices({"a": 10, "b": 30, "c": 60}, {"a": 10.0, "b": 30.0, "c": 60.0}, (Shared("a", ("b", "c"), 7.0),))
    expected = {"": 0.0, "a": 17.0, "b": 37.0, "ab": 47.0, "abc": 100.0}
    assert {names: prices.of(frozenset(names)) for names in expected} == expected
    assert prices.share("ab") == 0.4


def test_neighbours_whose_errors_cancel_are_passed_over() -> None:
    """What was predicted to help and does not is left in 8 bits."""
    costs = [RoundingCost("good", (), 10.0), RoundingCost("bad", (), 20.0)]
    prices = Prices({"good": 10, "bad": 10}, {"good": 10.0, "bad": 10.0}, ())
    errors = {b"": 30.0, b"bad": 29.0, b"good": 20.0, b"bad,good": 25.0}
    mixed = Mixed(lambda layers: ",".join(sorted(layers)).encode(), errors.__getitem__, lambda _: True)
    assert list(worst_layers(costs, prices, mixed, 1.0)) == [frozenset({"good"})]
