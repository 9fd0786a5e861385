"""Verdicts on two results: right on simulated noisy machines, refused where nothing can be said, and the gate."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.compare import OTHER_SESSION_FLOOR, SAME_SESSION_FLOOR, Comparison, Verdict, compare, failures
from benchmarks.result import RESULT_SUFFIX, BenchmarkRecord, BlockRecord, WarningRecord
from edgenet.__main__ import main
from edgenet.errors import InputError
from tests.results import DEVICE, RUNTIME, SETTING, Machine, interleaved, measurement, result, steady_blocks

TRIALS = 20
TURNS = 20  # half of the standard protocol's
TENTHS: list[tuple[float, Verdict]] = [(1.1, "slower"), (1 / 1.1, "faster")]
STATISTICS = measurement().statistics
Blocks = tuple[BlockRecord, ...]


def judged(machine: Machine, slower: float, turns: int, seed: int) -> Comparison:
    """Return B against A, measured in turns on a simulated machine."""
    return verdict_on(*interleaved(machine, seed, slower, turns))


def verdict_on(ours: Blocks, theirs: Blocks, sessions: tuple[str, str] = ("monday", "monday")) -> Comparison:
    """Return B against A; the statistics beside the blocks are another's, which spares their time."""
    records = [
        result("a", session_id=session, measurements=(measurement(rows, statistics=STATISTICS),))
        for rows, session in zip((ours, theirs), sessions, strict=True)
    ]
    (found,) = compare(*records)
    return found


def apart(slower: float, seed: int, machine: Machine) -> Comparison:
    """Return B against A, each measured in a session of its own."""
    ours = interleaved(machine, seed, turns=TURNS)[0]
    theirs = interleaved(machine, 500 + seed, slower, TURNS)[1]
    return verdict_on(ours, theirs, ("monday", "tuesday"))


MACHINES = {
    "quiet": Machine(wander=0.002),
    "wandering clock": Machine(wander=0.02),
    "warms up by 10 %": Machine(drift=0.1),
    "other work a third of the time": Machine(other_work=0.35),
    "other work more than half of the time": Machine(other_work=0.6),
    "other work in long stretches": Machine(other_work=0.3, other_work_s=4.0),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_same_file_twice_shows_no_difference(name: str) -> None:
    verdicts = Counter(judged(MACHINES[name], 1.0, TURNS, seed).verdict for seed in range(TRIALS))
    assert verdicts["no difference shown"] >= 19, verdicts


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(("slower", "verdict"), TENTHS)
def test_a_tenth_is_found(name: str, slower: float, verdict: Verdict) -> None:
    verdicts = Counter(judged(MACHINES[name], slower, TURNS, seed).verdict for seed in range(TRIALS))
    assert verdicts[verdict] >= 19, verdicts


def test_the_quick_protocol_suffices_on_a_fair_machine() -> None:
    same = Counter(judged(Machine(), 1.0, 8, seed).verdict for seed in range(TRIALS))
    tenth = Counter(judged(Machine(), 1.1, 8, seed).verdict for seed in range(TRIALS))
    assert min(same["no difference shown"], tenth["slower"]) >= 19


def test_two_sessions_are_judged_with_a_wider_floor() -> None:
    same = [apart(1.0, seed, Machine()) for seed in range(TRIALS)]
    tenth = [apart(1.12, seed, Machine()) for seed in range(TRIALS)]
    assert sum(row.verdict == "no difference shown" for row in same) >= 19
    assert sum(row.verdict == "slower" for row in tenth) >= 19
    assert all(row.floor == OTHER_SESSION_FLOOR for row in same)
    assert "two sessions" in " ".join(same[0].notes)


def test_the_interval_holds_the_ratio() -> None:
    exact = Machine(load_bias=0.0)
    found = [judged(exact, 1.07, TURNS, seed) for seed in range(40)]
    assert sum(row.low <= 1.07 <= row.high for row in found) >= 36


def test_pairs_make_the_interval_short() -> None:
    machine = Machine(drift=0.1, wander=0.02)
    together, alone = judged(machine, 1.0, 40, 3), apart(1.0, 3, machine)
    assert alone.high / alone.low - 1 > 3 * (together.high / together.low - 1)


def test_medians_hit_by_other_work_give_way_and_say_so() -> None:
    found = [judged(MACHINES["other work more than half of the time"], 1.1, 20, seed) for seed in range(10)]
    (first, *_) = [row for row in found if row.basis == "10th percentiles"]
    assert "1 thread: other work hit too many runs for the medians to tell" in " ".join(first.notes)


@given(st.floats(0.3, 3.0))
@settings(max_examples=15, deadline=None)
def test_swapping_the_sides_turns_the_verdict(slower: float) -> None:
    ours, theirs = steady_blocks(turns=2), steady_blocks(0.005 * slower, turns=2)
    (found,) = compare(result("a", ours), result("b", theirs))
    (turned,) = compare(result("b", theirs), result("a", ours))
    opposite = {"slower": "faster", "faster": "slower", "no difference shown": "no difference shown"}
    assert turned.verdict == opposite[found.verdict]
    assert turned.ratio == pytest.approx(1 / found.ratio)
    assert found.ratio == pytest.approx(slower)
    assert found.verdict == ("slower" if slower > 1.03 else "faster" if slower < 1 / 1.03 else "no difference shown")


def changed(record: BenchmarkRecord, **device: Any) -> BenchmarkRecord:
    """Return a result of a device that differs."""
    return record.model_copy(update={"device": DEVICE.model_copy(update=device)})


def in_setting(model: str, **setting: Any) -> BenchmarkRecord:
    """Return a result in one other setting."""
    return result(model, measurements=(measurement(setting=SETTING.model_copy(update=setting)),))


@dataclass(frozen=True)
class Refused:
    id: str
    make: Callable[[], BenchmarkRecord]
    says: str


REFUSED = [
    Refused(
        "another board",
        lambda: changed(result("b"), model="Raspberry Pi 5 Model B Rev 1.0"),
        "the devices differ: Raspberry Pi 4 Model B Rev 1.4 .* Raspberry Pi 5 .*; edgenet report shows devices side",
    ),
    Refused("another number of cores", lambda: changed(result("b"), cores=2), "4 cores and .* 2 cores"),
    Refused(
        "emulated",
        lambda: result("b", provenance="emulated"),
        "a.tflite is measured, b.tflite is emulated; allowed: two",
    ),
    Refused("another batch", lambda: in_setting("b", batch=8), "measured in no common setting; .* benchmark A B"),
    Refused("another number of threads", lambda: in_setting("b", threads=4), "measured in no common setting"),
    Refused("five runs", lambda: result("b", steady_blocks(blocks=1, runs=5)), "5 runs with 1 thread are too few"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_cannot_be_compared_is_refused(case: Refused) -> None:
    with pytest.raises(InputError, match=case.says):
        compare(result("a"), case.make())


@dataclass(frozen=True)
class Noted:
    id: str
    make: Callable[[], BenchmarkRecord]
    says: str


NOTED = [
    Noted(
        "runtime",
        lambda: changed(result("b"), runtime=RUNTIME.model_copy(update={"version": "2.1.6"})),
        "runtimes differ: ai-edge-litert 2.3.0 and ai-edge-litert 2.1.6",
    ),
    Noted(
        "build",
        lambda: changed(result("b"), runtime=RUNTIME.model_copy(update={"sha256": "6" * 64})),
        "two builds of ai-edge-litert 2.3.0",
    ),
    Noted("kernel", lambda: changed(result("b"), kernel="6.1.0"), "kernels differ: 6.6.31+rpt-rpi-v8 and 6.1.0"),
    Noted("host", lambda: changed(result("b"), host="cellar"), "hosts differ: kitchen and cellar"),
    Noted("delegate", lambda: in_setting("b", delegate="cpu"), "delegates differ: xnnpack and cpu"),
]


@pytest.mark.parametrize("case", NOTED, ids=lambda case: case.id)
def test_what_differs_is_noted(case: Noted) -> None:
    (found,) = compare(result("a"), case.make())
    assert case.says in found.notes


def test_each_common_setting_is_compared_with_its_own() -> None:
    def both(model: str, scale: float) -> BenchmarkRecord:
        rows = [
            measurement(steady_blocks(scale * 0.005 / threads), SETTING.model_copy(update={"threads": threads}))
            for threads in (1, 4)
        ]
        return result(model, measurements=tuple(rows))

    found = compare(both("a", 1.0), both("b", 0.5))
    assert [row.setting.threads for row in found] == [1, 4]
    assert [row.ratio for row in found] == pytest.approx([0.5, 0.5])
    assert found[1].a_median_s == pytest.approx(0.00125, rel=1e-3)


PLAIN = compare(result("a"), result("b"))[0]


@dataclass(frozen=True)
class Gate:
    id: str
    row: Comparison
    says: str  # "": it passes


GATES = [
    Gate("no difference", replace(PLAIN, ratio=1.01, low=0.99, high=1.03), ""),
    Gate("faster", replace(PLAIN, ratio=0.7, low=0.5, high=0.9, verdict="faster"), ""),
    Gate("slower, within the gate", replace(PLAIN, ratio=1.045, low=1.035, high=1.055, verdict="slower"), ""),
    Gate(
        "slower, over the gate",
        replace(PLAIN, ratio=1.1, low=1.08, high=1.12, verdict="slower"),
        "1 thread: 1.100 times as long, allowed 1.05",
    ),
    Gate("not shown, over the gate, fine enough", replace(PLAIN, ratio=1.055, low=1.02, high=1.09), ""),
    Gate("too noisy", replace(PLAIN, ratio=1.0, low=0.9, high=1.1), "1 thread: too noisy to tell 1.05 from 1"),
]


@pytest.mark.parametrize("case", GATES, ids=lambda case: case.id)
def test_the_gate(case: Gate) -> None:
    found = failures([case.row], 1.05)
    assert bool(found) == bool(case.says)
    assert all(reason.startswith(case.says) for reason in found)


def test_a_gate_finer_than_the_floor_is_refused() -> None:
    assert failures([PLAIN], SAME_SESSION_FLOOR) == []
    with pytest.raises(InputError, match=r"1\.02 is finer than .*; allowed: 1\.03 or more"):
        failures([PLAIN], 1.02)
    with pytest.raises(InputError, match=r"allowed: 1\.05 or more .* in one session: edgenet benchmark A B"):
        failures([replace(PLAIN, floor=OTHER_SESSION_FLOOR)], 1.04)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def write(record: BenchmarkRecord, folder: str = ".") -> str:
        path = Path(folder, record.model.file.replace(".tflite", RESULT_SUFFIX))
        path.parent.mkdir(exist_ok=True)
        path.write_text(record.model_dump_json())
        return str(path)

    return write


def test_the_verb_shows_a_table(written: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    warning = WarningRecord(code="governor", message="the governor was ondemand", mend="add --fix-governor")
    a = written(result("a", warnings=(warning,)))
    b = written(result("b", steady_blocks(0.006), warnings=(warning,)))
    assert main(["compare", a, b]) == 0
    out, err = capsys.readouterr()
    assert "A: a.tflite on kitchen" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("1 thread")]
    assert row == ["1", "thread", "5.00", "6.00", "1.200", "1.200–1.200", "medians", "slower"]
    assert err.splitlines() == [
        "warning: A and B: the governor was ondemand; add --fix-governor",
        "next: edgenet report .",
    ]


def test_the_gate_exits_with_1(written: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = written(result("a")), written(result("b", steady_blocks(0.006)))
    assert main(["compare", a, b, "--fail-if-slower", "1.05"]) == 1
    assert "error: B: 1 thread: 1.200 times as long, allowed 1.05; " in capsys.readouterr().err
    assert main(["compare", b, a, "--fail-if-slower", "1.05"]) == 0
    assert main(["compare", a, a, "--fail-if-slower", "1.05"]) == 0


def test_the_document(written: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    written(result("a"), "first")
    written(result("b", steady_blocks(0.006)), "second")
    assert main(["compare", "first", "second", "--json", "--fail-if-slower", "1.3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["kind"], document["failures"]) == (1, "comparison", [])
    assert (document["a"]["model"], document["b"]["provenance"]) == ("a.tflite", "measured")
    (row,) = document["comparisons"]
    assert row["setting"]["threads"] == 1
    assert (row["verdict"], row["basis"], row["ratio"]) == ("slower", "medians", pytest.approx(1.2))


@dataclass(frozen=True)
class Wrong:
    arguments: tuple[str, ...]
    says: str


WRONG = [
    Wrong(
        ("both", "both"), "both holds 2 results: a.benchmark.json, b.benchmark.json; allowed: one result; name a file"
    ),
    Wrong(("nowhere", "both"), "cannot read nowhere"),
    Wrong(("both/a.benchmark.json", "both/b.benchmark.json", "--fail-if-slower", "0.9"), "allowed: a ratio over 1"),
    Wrong(("both/a.benchmark.json", "both/b.benchmark.json", "--fail-if-slower", "nan"), "cannot be nan"),
    Wrong(("both/a.benchmark.json", "both/b.benchmark.json", "--fail-if-slower", "1.01"), "1.01 is finer than"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: " ".join(case.arguments))
def test_wrong_usage(written: Callable[..., str], capsys: pytest.CaptureFixture[str], case: Wrong) -> None:
    written(result("a"), "both")
    written(result("b"), "both")
    assert main(["compare", *case.arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert case.says in err
