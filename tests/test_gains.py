"""Channel gains: the float graph keeps its answers, and the error of one scale for all channels falls."""

from functools import cache

import numpy as np
import pytest

from converters import flatbuffer
from converters.convert import float_network
from converters.flatbuffer import Model
from converters.job import FloatNetwork
from converters.patterns import Op, op_code
from converters.ranges import Range
from converters.repair.choose_gains import Seen, choose_gains, look_at
from converters.repair.gains import (
    METADATA,
    Gains,
    apply_gains,
    channels,
    gained_reference,
    parse_gains,
    read_gains,
    spreads,
)
from converters.runtime import Runner
from edgenet.errors import InputError
from tests.networks import FAMILY_HEADS, IMAGENET_MEAN, IMAGENET_STD, pictures, small_weights


@cache
def _network(family: str) -> FloatNetwork:
    weights = small_weights(family, IMAGENET_MEAN, IMAGENET_STD) if family != "lite" else small_weights(family)
    return float_network(weights, pictures(1))


def _powers(model: Model, name: str, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    count = channels(model, spreads(model)[name].tensor)
    return np.asarray(2.0 ** np.random.default_rng(seed).integers(0, 5, count))


@pytest.mark.parametrize("family", FAMILY_HEADS)
def test_a_float_graph_keeps_its_answers(family: str) -> None:
    content = _network(family).content
    model = flatbuffer.read(content)
    # A ReLU6 clips a larger channel sooner, so that is tried on numbers that stay small (below).
    gains: Gains = {name: _powers(model, name) for name, row in spreads(model).items() if not row.has_relu6}
    assert gains
    gained = gained_reference(content, gains)
    assert gained != content
    plain, other = Runner(content), Runner(gained)
    for pixels in pictures(2):
        wanted = plain.logits(pixels)
        assert np.abs(other.logits(pixels) - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_a_swish_costs_one_product_and_relu6_none() -> None:
    for family, added in (("b", 1), ("lite", 0)):
        model = flatbuffer.read(_network(family).content)
        name = next(iter(spreads(model)))
        before = [op_code(model, row) for row in model.subgraphs[0].operators]
        apply_gains(model, {name: _powers(model, name)})
        after = [op_code(model, row) for row in model.subgraphs[0].operators]
        assert len(after) - len(before) == added
        assert after.count(Op.MUL) - before.count(Op.MUL) == added


@pytest.mark.parametrize("family", FAMILY_HEADS)
def test_what_a_skip_reads_has_no_gains(family: str) -> None:
    model = flatbuffer.read(_network(family).content)
    added = {
        int(tensor)
        for row in model.subgraphs[0].operators
        if op_code(model, row) == Op.ADD
        for tensor in (*row.inputs, *row.outputs)
    }
    outputs = {int(tensor) for tensor in model.subgraphs[0].outputs}
    assert added
    for row in spreads(model).values():
        assert added.isdisjoint(row.gained)
        assert outputs.isdisjoint(row.gained)


def test_a_gate_has_no_gains() -> None:
    names = spreads(flatbuffer.read(_network("b").content))
    assert any(name.endswith("se.conv_reduce") for name in names)
    assert not any(name.endswith("se.conv_expand") for name in names)


def test_a_file_remembers_its_gains() -> None:
    model = flatbuffer.read(_network("b").content)
    name = next(iter(spreads(model)))
    gain = _powers(model, name)
    apply_gains(model, {name: gain})
    again = read_gains(flatbuffer.read(flatbuffer.write(model)))
    assert list(again) == [name]
    assert np.array_equal(again[name], gain)
    assert read_gains(flatbuffer.read(_network("b").content)) == {}


@pytest.mark.parametrize(
    "record",
    [b"{", b"[1]", b'{"a": "b"}', b'{"a": [[1]]}', b'{"a": [0]}', b'{"a": [-1]}', b'{"a": [NaN]}', b"\xff", b"3"],
)
def test_a_damaged_record_is_refused(record: bytes) -> None:
    with pytest.raises(InputError, match="channel gains"):
        parse_gains(record)


def test_gains_of_another_network_are_refused() -> None:
    content = _network("b").content
    name = next(iter(spreads(flatbuffer.read(content))))
    for gains in ({"nowhere": np.ones(3)}, {name: np.ones(3)}):
        with pytest.raises(InputError, match="has no layer"):
            gained_reference(content, gains)
    assert METADATA.encode() not in content


def test_small_channels_beside_a_large_one_get_gains() -> None:
    network = _network("b")
    model = flatbuffer.read(network.integer_content)
    name = next(name for name, row in spreads(model).items() if row.has_swish)
    count = channels(model, spreads(model)[name].tensor)
    values = np.random.default_rng(1).normal(0, 1, (400, count)).astype(np.float32)
    values[:, 0] *= 30
    chosen = choose_gains(model, {name: Seen(values, values.max(axis=0))})
    assert chosen.gains[name][0] == 1
    assert np.median(chosen.gains[name][1:]) >= 4
    assert chosen.ranges[f"{name}/without_gains"] == Range(-8.0, 8.0)


def test_a_channel_that_relu6_nearly_clips_gets_none() -> None:
    model = flatbuffer.read(_network("lite").integer_content)
    name = next(name for name, row in spreads(model).items() if row.has_relu6)
    count = channels(model, spreads(model)[name].tensor)
    maximum = np.full(count, 5.0, dtype=np.float32)
    maximum[1] = 0.3
    chosen = choose_gains(model, {name: Seen(np.zeros((1, count), np.float32), maximum)})
    wanted = np.ones(count)
    wanted[1] = chosen.gains[name][1]
    assert 1 < wanted[1] <= 6 / 0.3
    assert np.array_equal(chosen.gains[name], wanted)


def test_what_is_looked_at_is_what_flows() -> None:
    network = _network("b")
    model = flatbuffer.read(network.integer_content)
    name = next(iter(spreads(model)))
    inputs = [network.entry.feed(pixels) for pixels in pictures(2)]
    seen = look_at(model, [name], inputs)[name]
    again = look_at(model, [name], inputs)[name]
    assert np.array_equal(seen.values, again.values)
    assert (seen.values.max(axis=0) <= seen.maximum).all()
    assert seen.values.shape[1] == len(seen.maximum)
