"""The text of benchmark_model, of three generations, as a record; the texts were written from its sources."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.benchmark_output import (
    BinaryMemory,
    BinaryOp,
    BinaryReport,
    Phase,
    Replaced,
    ignored_flags,
    parse_report,
)
from edgenet.errors import InputError
from tests.devices.benchmark_texts import COMPILED_MODEL, LITERT, MIDDLE, OLD, UNKNOWN_FLAGS

MIB = 1 << 20


def us(*values: float) -> list[Any]:
    return [pytest.approx(value * 1e-6) for value in values]


def numbers(phase: Phase) -> list[float]:
    return [phase.first_s, phase.last_s, phase.min_s, phase.max_s, phase.mean_s, phase.std_s]


def test_text_before_2_5() -> None:
    told = parse_report(OLD)
    assert [told.init_s, told.first_inference_s] == us(21504, 88120)
    assert told.warmup and told.warmup.count == 9
    assert told.inference.count == 50
    assert numbers(told.inference) == us(60112, 60024, 59630, 64407, 60301.2, 702)
    assert told.inference.median_s is None
    assert told.explicit == "partially" and told.replaced == ()
    assert told.memory == BinaryMemory(int(3.5 * MIB), int(24.25 * MIB), None)
    assert told.ops == (
        BinaryOp("[stem/Relu6]:0", "CONV_2D", 4.25 * 1e-3, 0.425),
        BinaryOp("[blocks_0/dw/Relu6, blocks_0/dw/bias]:1", "DEPTHWISE_CONV_2D", 2.875 * 1e-3 * 2, 0.575),
    )


def test_text_from_2_5_on() -> None:
    told = parse_report(MIDDLE)
    assert told.warmup and numbers(told.warmup) == us(*[1670330] * 5, 0)
    assert numbers(told.inference) == us(1590275, 1593402, 1587568, 1649954, 1595030, 10979)
    assert told.explicit == "partially"
    assert told.replaced == (
        Replaced("TfLiteXNNPackDelegate", 58, 64, 3),
        Replaced("TfLiteXNNPackDelegate", 2, 5, 1),
    )
    assert told.memory == BinaryMemory(int(21.9375 * MIB), int(34.5 * MIB), int(40.125 * MIB))
    assert [op.kind for op in told.ops] == ["QUANTIZE", "Convolution (NHWC, QC8) IGEMM", "Sigmoid (NC) 2"]
    assert [op.mean_s for op in told.ops] == [pytest.approx(value) for value in (0.2e-3, 6.5e-3, 3.3e-3)]
    assert sum(op.share for op in told.ops) == pytest.approx(1)


def test_text_of_litert() -> None:
    told = parse_report(LITERT)
    assert told.warmup is None and told.first_inference_s is None
    assert told.explicit == "completely"
    assert [told.inference.p5_s, told.inference.median_s, told.inference.p95_s] == us(8000, 8100, 9000)
    assert told.ops == ()


@pytest.mark.parametrize("text", [OLD, MIDDLE, LITERT])
def test_lines_may_be_those_of_logcat(text: str) -> None:
    logged = "".join(f"07-14 13:23:08.133 25289 25289 I tflite  : {line}\n" for line in text.splitlines())
    assert replace(parse_report(logged), ops=()) == replace(parse_report(text), ops=())


SAMPLES = {
    "one": ("count=1 curr=7", (7,)),
    "one with percentiles": ("count=1 curr=7 p5=7 median=7 p95=7", (7,)),
    "two": ("count=2 first=7 curr=9 min=7 max=9 avg=8 std=1", (7, 9)),
    "equal ones": ("count=4 curr=7(all same)", (7, 7, 7, 7)),
    "three": ("count=3 first=9 curr=8 min=5 max=9 avg=7.33333 std=1 p5=5 median=8 p95=9", (9, 5, 8)),
    "three, two of them equal": ("count=3 first=5 curr=5 min=5 max=9 avg=6.33333 std=1 p5=5 median=5 p95=9", (5, 9, 5)),
    "three without a median": ("count=3 first=9 curr=8 min=5 max=9 avg=7.33333 std=1", ()),
    "a line that contradicts itself": ("count=3 first=1 curr=8 min=5 max=9 avg=7 std=1 p5=5 median=8 p95=9", ()),
    "four": ("count=4 first=9 curr=8 min=5 max=9 avg=7.5 std=1 p5=5 median=8 p95=9", ()),
}


@pytest.mark.parametrize(("line", "samples"), SAMPLES.values(), ids=SAMPLES)
def test_samples_that_a_line_tells(line: str, samples: tuple[int, ...]) -> None:
    assert list(with_line(line).inference.samples_s) == us(*samples)


def with_line(line: str) -> BinaryReport:
    """Parse LiteRT's text with another line for the runs."""
    lines = LITERT.splitlines()
    place = next(number for number, known in enumerate(lines) if "count=3" in known)
    return parse_report("\n".join([*lines[:place], f"INFO: {line}", *lines[place + 1 :]]))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=3))
def test_up_to_three_runs_are_told_each(runs_us: list[int]) -> None:
    assert list(with_line(printed(runs_us)).inference.samples_s) == us(*runs_us)


def printed(runs_us: list[int]) -> str:
    """Print runs as LiteRT's StatWithPercentiles does."""
    count, ordered = len(runs_us), sorted(runs_us)
    percentiles = " ".join(
        f"{name}={ordered[count * p // 100]}" for name, p in (("p5", 5), ("median", 50), ("p95", 95))
    )
    if len(set(runs_us)) == 1:
        return f"count={count} curr={runs_us[-1]}{'(all same)' if count > 1 else ''} {percentiles}"
    mean = f"{sum(runs_us) / count:.6g}"
    spread = f"min={ordered[0]} max={ordered[-1]} avg={mean} std=1"
    return f"count={count} first={runs_us[0]} curr={runs_us[-1]} {spread} {percentiles}"


def test_a_delegate_that_took_nothing_is_told() -> None:
    refused = (
        "INFO: Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate."
    )
    told = parse_report(LITERT.replace(next(li for li in LITERT.splitlines() if "Explicitly" in li), refused))
    assert told.explicit == "not"
    without = "\n".join(line for line in LITERT.splitlines() if "delegate" not in line)
    assert parse_report(without).explicit == "" and parse_report(without).replaced == ()


BROKEN = {
    "nothing": "",
    "another tool": COMPILED_MODEL,
    "ended in the middle": MIDDLE.partition("Inference timings")[0],
    "no phases": "\n".join(line for line in MIDDLE.splitlines() if "count=" not in line),
    "words for numbers": LITERT.replace("first=9000", "first=soon"),
    "numbers that are none": LITERT.replace("Init: 12250", "Init: 1.2.3"),
    "no runs": LITERT.replace("count=3 ", "count=0 "),
    "runs without end": LITERT.replace("count=3 ", "count=1e400 "),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"not what TFLite's benchmark_model prints.*benchmark_model of TensorFlow"):
        parse_report(text)


@given(st.text(alphabet="count=first123 .e+()%\t\n[]nan:avg", max_size=200))
def test_no_text_breaks_the_parser(noise: str) -> None:
    assert parse_report(MIDDLE + noise).inference.count == 50


def test_flags_that_it_does_not_know() -> None:
    assert ignored_flags(UNKNOWN_FLAGS) == "--warmup_min_secs=0.5 --use_xnnpack=true"
    assert ignored_flags(MIDDLE) == ""
