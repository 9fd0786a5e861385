"""Every rule of the Edge TPU, on ops made by hand: one that keeps it, and one that breaks it in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from converters.check import edgetpu, gpu, xnnpack
from converters.check.graph import Operator
from converters.check.judge import judge
from converters.check.target import parse_target, read_target
from converters.check.verdict import Place
from edgenet.errors import InputError
from tests.check.graphs import chain, constant, op, tensor

IMAGE = (1, 7, 7, 8)
ROW = (1, 8)
BIAS = constant((8,), "int32")


def conv(**more: int) -> Operator:
    options = {"dilation_w": 1, "dilation_h": 1} | more
    return op("CONV_2D", [tensor(IMAGE), constant((8, 1, 1, 8)), BIAS], tensor(IMAGE), 3, **options)


def weighted(name: str, kind: str, scales: int, **options: int) -> Operator:
    shape = (8, 8) if name == "FULLY_CONNECTED" else (8, 1, 1, 8)
    ends = (ROW, ROW) if name == "FULLY_CONNECTED" else (IMAGE, IMAGE)
    weight = constant(shape, kind, scales=scales)
    return op(name, [tensor(ends[0]), weight, BIAS], tensor(ends[1]), 3, **options)


def reduction(name: str, shape: tuple[int, ...], axes: tuple[int, ...], output: tuple[int, ...]) -> Operator:
    return op(name, [tensor(shape), constant((len(axes),), "int32", axes)], tensor(output), 2)


def pad(widths: tuple[int, ...]) -> Operator:
    return op("PAD", [tensor(IMAGE), constant((4, 2), "int32", widths)], tensor((1, 9, 9, 8)), 2)


def dense(**more: int) -> Operator:
    return weighted("FULLY_CONNECTED", "int8", 1, **({"weights_format": 0} | more))


@dataclass(frozen=True)
class Case:
    """An op, where it is, and what is said of it."""

    make: Callable[[], Operator]
    place: Place
    says: str = ""
    whole_file: bool = False


ON, DOUBT, OFF = Place.ACCELERATED, Place.UNCERTAIN, Place.CPU
CASES = {
    "convolution": Case(conv, ON),
    "version that 2.4 knows": Case(lambda: _version(conv(), 5), ON),
    "version of 2.9": Case(lambda: _version(conv(), 6), OFF, "of version 6, and 5 is the newest known", True),
    "version of 2.5": Case(lambda: op("RELU6", [tensor(IMAGE)], tensor(IMAGE), 3), DOUBT, "up to 2 is known"),
    "QUANTIZE 3": Case(lambda: op("QUANTIZE", [tensor(IMAGE)], tensor(IMAGE), 3), OFF, "of version 3", True),
    "unequal dilation": Case(lambda: conv(dilation_w=2), OFF, "dilation 2 x 1"),
    "equal dilation": Case(lambda: conv(dilation_w=2, dilation_h=2), ON),
    "weights filled at run time": Case(
        lambda: op("CONV_2D", [tensor(IMAGE), tensor((8, 1, 1, 8))], tensor(IMAGE), dilation_w=1, dilation_h=1),
        OFF,
        "its weights are not constant",
    ),
    "int8 weights, a step a channel": Case(lambda: weighted("CONV_2D", "int8", 8, dilation_w=1, dilation_h=1), ON),
    "uint8 weights, a step a channel": Case(
        lambda: weighted("CONV_2D", "uint8", 8, dilation_w=1, dilation_h=1), OFF, "uint8 weights with a step"
    ),
    "dense": Case(dense, ON),
    "dense, a step a channel": Case(
        lambda: weighted("FULLY_CONNECTED", "int8", 8, weights_format=0), DOUBT, "a step for each channel"
    ),
    "shuffled dense": Case(lambda: dense(weights_format=1), OFF, "shuffled"),
    "dense with many rows": Case(
        lambda: op("FULLY_CONNECTED", [tensor((4, 8)), constant((8, 8))], tensor((4, 8)), weights_format=0),
        OFF,
        "it has to be one row",
    ),
    "float": Case(lambda: _typed("ADD", "float32"), OFF, "works on float32"),
    "int16": Case(lambda: _typed("ADD", "int16"), OFF, "works on int16"),
    "dynamic range": Case(
        lambda: op(
            "CONV_2D",
            [tensor(IMAGE, "float32"), constant((8, 1, 1, 8))],
            tensor(IMAGE, "float32"),
            dilation_w=1,
            dilation_h=1,
        ),
        OFF,
        "(dynamic range)",
    ),
    "dynamic batch": Case(lambda: _shaped(IMAGE, dynamic=True), OFF, "(dynamic batch)", True),
    "batch of 2": Case(lambda: _shaped((2, 7, 7, 8)), OFF, "only the 3 innermost dimensions may exceed 1"),
    "constant behind the file": Case(
        lambda: op(
            "CONV_2D", [tensor(IMAGE), tensor((8, 1, 1, 8), behind=True)], tensor(IMAGE), dilation_w=1, dilation_h=1
        ),
        OFF,
        "behind the flatbuffer",
        True,
    ),
    "pool": Case(lambda: op("MAX_POOL_2D", [tensor(IMAGE)], tensor(IMAGE), fused_activation=0), ON),
    "pool with ReLU": Case(
        lambda: op("AVERAGE_POOL_2D", [tensor(IMAGE)], tensor(IMAGE), fused_activation=1), OFF, "a fused activation"
    ),
    "mean over the image": Case(lambda: reduction("MEAN", IMAGE, (1, 2), ROW), ON),
    "mean over a depth of 8": Case(lambda: reduction("MEAN", IMAGE, (-1,), (1, 7, 7)), ON),
    "mean over a depth of 6": Case(
        lambda: reduction("MEAN", (1, 7, 7, 6), (3,), (1, 7, 7)), OFF, "a mean over a depth of 6, which is no multiple"
    ),
    "mean over the batch": Case(lambda: reduction("MEAN", IMAGE, (0, 1), (7, 8)), OFF, "it reduces the batch"),
    "maximum over the batch": Case(lambda: reduction("REDUCE_MAX", IMAGE, (0,), (7, 7, 8)), OFF, "reduces the batch"),
    "softmax of 16 000": Case(lambda: op("SOFTMAX", [tensor((1, 16_000))], tensor((1, 16_000))), ON),
    "softmax of 16 001": Case(lambda: op("SOFTMAX", [tensor((1, 16_001))], tensor((1, 16_001))), OFF, "at most 16000"),
    "softmax of rows": Case(lambda: op("SOFTMAX", [tensor((1, 4, 8))], tensor((1, 4, 8))), OFF, "to be one row"),
    "resize": Case(lambda: op("RESIZE_BILINEAR", [tensor(IMAGE)], tensor((1, 9, 9, 8))), DOUBT, "[7, 7] to [9, 9]"),
    "small reshape": Case(lambda: op("RESHAPE", [tensor((1, 1, 1, 8))], tensor(ROW)), ON),
    "large reshape": Case(lambda: op("RESHAPE", [tensor((1, 99, 99, 8))], tensor((1, 78_408))), DOUBT, "78,408 values"),
    "padding": Case(lambda: pad((0, 0, 1, 1, 1, 1, 0, 0)), ON),
    "padding of the batch": Case(lambda: pad((1, 0, 1, 1, 1, 1, 0, 0)), OFF, "it pads the batch"),
    "packing the batch": Case(lambda: op("PACK", [tensor(ROW)], tensor((1, 1, 8)), axis=0), OFF, "along the batch"),
    "join": Case(lambda: op("CONCATENATION", [tensor(ROW), tensor(ROW)], tensor((1, 16)), fused_activation=0), ON),
    "join with zeros": Case(
        lambda: op("CONCATENATION", [tensor(ROW), constant(ROW, values=(0, 0))], tensor((1, 16)), fused_activation=0),
        ON,
    ),
    "join with ones": Case(
        lambda: op("CONCATENATION", [tensor(ROW), constant(ROW)], tensor((1, 16)), fused_activation=0),
        OFF,
        "a constant that is not zeros",
    ),
    "slopes of the depth": Case(lambda: op("PRELU", [tensor(IMAGE), constant((1, 1, 8))], tensor(IMAGE)), ON),
    "slopes of the image": Case(
        lambda: op("PRELU", [tensor(IMAGE), constant((7, 7, 8))], tensor(IMAGE)), OFF, "one a channel is allowed"
    ),
    "uint8 to int8": Case(lambda: op("QUANTIZE", [tensor(IMAGE, "uint8")], tensor(IMAGE)), ON),
    "float to int8": Case(lambda: op("QUANTIZE", [tensor(IMAGE, "float32")], tensor(IMAGE)), OFF, "converts float32"),
    "sigmoid": Case(lambda: op("LOGISTIC", [tensor(IMAGE)], tensor(IMAGE), 2), ON),
    "swish as one op": Case(lambda: op("HARD_SWISH", [tensor(IMAGE)], tensor(IMAGE)), OFF, "not in the published list"),
    "custom op": Case(lambda: _custom("Mystery"), OFF, "custom op Mystery is not in the published list"),
}


def _typed(name: str, kind: str) -> Operator:
    return op(name, [tensor(IMAGE, kind), tensor(IMAGE, kind)], tensor(IMAGE, kind))


def _shaped(shape: tuple[int, ...], dynamic: bool = False) -> Operator:
    return op("ADD", [tensor(shape, dynamic=dynamic), tensor(shape)], tensor(shape))


def _version(row: Operator, version: int) -> Operator:
    return Operator(0, row.name, version, row.inputs, row.outputs, row.options)


def _custom(name: str) -> Operator:
    return Operator(0, name, 1, (tensor(IMAGE),), (tensor(IMAGE),), {}, memoryview(b""))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rule(case: Case) -> None:
    (finding,) = judge(chain(case.make()), read_target("edgetpu"), edgetpu.RULES)
    assert (finding.place if finding else ON) == case.place
    if finding:
        assert case.says
        assert case.says in finding.reason
        assert finding.whole_file == case.whole_file


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("HARD_SWISH", "lite0 to lite4 or edgetpu-s"),
        ("SHAPE", "a static batch of 1"),
        ("DEQUANTIZE", "--io uint8"),
        ("TOPK_V2", "let it be the last op"),
    ],
)
def test_what_is_not_taken_has_a_mend(name: str, says: str) -> None:
    (finding,) = judge(chain(op(name, [tensor(IMAGE)], tensor(IMAGE))), read_target("edgetpu"), edgetpu.RULES)
    assert finding is not None
    assert says in finding.mend


@pytest.mark.parametrize(("name", "module"), [("edgetpu", edgetpu), ("xnnpack", xnnpack), ("gpu", gpu)])
def test_data_and_module_name_the_same_rules(name: str, module: object) -> None:
    target = read_target(name)
    named = {rule for row in target.operators.values() for rule in row.rules} | set(target.rules)
    assert named == set(module.RULES)  # type: ignore[attr-defined]  # each target's module has it
    assert "*" in target.mends
    assert list(target.operators) == sorted(target.operators)
    assert target.sources


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (b'title = "Coral', b'titel = "Coral', "x.toml: title: Field required"),
        (b"ADD = { versions = 3 }", b"ADD = { versions = 0 }", "x.toml: operators.ADD.versions: Input should be"),
        (b"ADD = { versions = 3 }", b"ADD = { versoins = 3 }", "x.toml: operators.ADD.versions: Field required"),
        (b"[memory]", b"[memory", "x.toml is no TOML"),
    ],
)
def test_a_wrong_data_file_is_refused(before: bytes, after: bytes, says: str) -> None:
    content = (Path(edgetpu.__file__).parent / "targets" / "edgetpu.toml").read_bytes()
    assert content.count(before) == 1
    with pytest.raises(InputError) as caught:
        parse_target(content.replace(before, after), "x.toml")
    assert str(caught.value).startswith(says)
