"""The host's side of the conversation with the on-device runner, and of its document, on the shipped fake."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import measure, write_results
from benchmarks.plan import Plan, find_models
from benchmarks.protocol import parse_protocol
from benchmarks.result import BenchmarkRecord
from devices import conversation
from devices.base import DeviceLost, DeviceTimeout, Finished
from devices.conversation import MENDS, Conversation
from devices.fake import HOME, FakeDevice, Program, described
from edgenet.errors import EdgenetError, GateFailed, InputError, MissingError
from edgenet.progress import silent
from edgenet.weights.cache import file_digest

READY = '{"event": "ready", "version": 1}'
JOB: dict[str, Any] = {"models": [{"path": str(HOME / "files" / "aa"), "golden": ""}], "timeout_s": 120.0}
FALLEN = Finished(1, "", "Traceback: \x1b[2J\x07no numpy\n" * 3)


def event(word: str, **values: object) -> str:
    return json.dumps({"event": word, **values})


def spoken(*lines: str | Exception, opening: Sequence[str | Exception] = (READY,), end: Finished = FALLEN) -> Program:
    """Return a runner that answers a job with these lines."""
    waiting = list(lines)

    def reply(line: str) -> Sequence[str]:
        return waiting if json.loads(line)["do"] == "measure" else ()  # type: ignore[return-value]  # errors too

    return Program(opening, reply, end)


def fake(program: Program) -> FakeDevice:
    return FakeDevice("pi", programs=[program])


def talk(device: FakeDevice, steps: list[tuple[str, int, int]] | None = None) -> bytes:
    """Start the runner and have it measure."""
    with Conversation(device, silent if steps is None else lambda *step: steps.append(step)) as runner:
        return runner.measure(JOB)


def test_the_order_of_calls(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"a model")
    device = fake(spoken(event("progress", step="warm up\x1b[2J", done=0, total=1), event("result", document={"a": 1})))
    steps: list[tuple[str, int, int]] = []
    with Conversation(device, lambda *step: steps.append(step)) as runner:
        assert runner.push(tmp_path / "model.tflite").parent == HOME / "files"
        assert runner.measure(JOB) == b'{"a": 1}'
    assert device.order == ["describe", "push", "start", "lines", "push", "send", "lines", "send", "finish"]
    arguments = device.calls[2].given
    assert arguments[:2] == ("/usr/bin/python3", "-u")
    assert b"--serve" in next(content for path, content in device.files.items() if str(path) == arguments[2])
    assert arguments[3:6] == ("--home", str(HOME), "--serve") and "@" in arguments[6]
    assert [json.loads(call.given[0])["do"] for call in device.calls if call.name == "send"] == ["measure", "stop"]
    assert steps[0] == ("connecting fake:pi", 0, 1) and steps[-1] == ("warm up?[2J", 0, 1)


def test_no_python() -> None:
    device = fake(spoken())
    device.description = replace(described("pi"), python="")
    with pytest.raises(MissingError, match=r"no Python 3 on fake:pi; install python3 there, or name a benchmark"):
        talk(device)
    assert device.order == ["describe"]


def test_a_device_in_use() -> None:
    device = fake(spoken(opening=[event("busy", owner="eve\x1b[2J@kitchen", age_s=75.2)]))
    with pytest.raises(MissingError, match=r"fake:pi is in use by eve\?\[2J@kitchen for 75 s; wait until"):
        talk(device)
    assert device.order[-2:] == ["lines", "kill"]


@dataclass(frozen=True)
class Nonsense:
    """What a runner says before it is ready or while it measures, and what is made of it."""

    line: str
    kind: type[EdgenetError] = InputError
    says: str = "says what is none of its words"


NONSENSE = {
    "a banner": Nonsense(
        "Welcome to \x1b[31mDebian!", says=r"none of its words: 'Welcome to .*; see what the login sh"
    ),
    "nothing": Nonsense(""),
    "another document": Nonsense('{"hello": 1}'),
    "no object": Nonsense("[1]"),
    "an unknown word": Nonsense(event("explode")),
    "an unknown key": Nonsense('{"event": "progress", "\\u001b[2J": 1}'),
    "a number as text": Nonsense(event("progress", done="1")),
    "steps without end": Nonsense('{"event": "progress", "done": ' + "9" * 5000 + "}"),
    "NaN": Nonsense('{"event": "busy", "age_s": NaN}'),
    "two at once": Nonsense(event("progress") + event("progress")),
    "50 MB": Nonsense("x" * 50_000_000),
    "50 MB of an object": Nonsense('{"event": "' + "x" * 50_000_000 + '"}'),
    "too deep": Nonsense('{"event": "result", "document": ' + '{"a":' * 5000 + "1" + "}" * 5001),
    "half a line": Nonsense('{"event": "res', DeviceLost, "ended with status 1: Traceback"),
}


@pytest.mark.parametrize("case", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("moment", ["at the start", "while measuring"])
def test_a_runner_that_talks_nonsense(case: Nonsense, moment: str) -> None:
    program = spoken(opening=[case.line]) if moment == "at the start" else spoken(case.line)
    device = fake(program)
    begin_s = time.monotonic()
    with pytest.raises(case.kind, match=case.says) as caught:
        talk(device)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
    assert device.order[-1] == "kill"
    assert time.monotonic() - begin_s < 5


OUT_OF_PLACE = {
    "another version": [event("ready", version=2)],
    "no version": [event("ready")],
    "progress before it is ready": [event("progress", step="x"), READY],
}


@pytest.mark.parametrize("opening", OUT_OF_PLACE.values(), ids=OUT_OF_PLACE)
def test_words_out_of_place(opening: list[str]) -> None:
    device = fake(spoken(opening=opening))
    with pytest.raises(InputError, match=r"none of its words: .*not 'ready' of version 1"):
        talk(device)
    assert device.order[-1] == "kill"


def test_a_word_out_of_place_while_it_measures() -> None:
    with pytest.raises(InputError, match="'ready' in the middle of a measurement"):
        talk(fake(spoken(READY)))


def test_half_a_line_behind_which_the_device_was_lost() -> None:
    device = fake(spoken('{"event": "result", "document": {"models": [', DeviceLost("the cable was pulled")))
    with pytest.raises(DeviceLost, match="the cable was pulled"):
        talk(device)


def test_half_a_line_behind_which_another_comes() -> None:
    with pytest.raises(InputError, match="none of its words"):
        talk(fake(spoken('{"event": "res', READY)))


@pytest.mark.parametrize("opening", [(), (READY,)], ids=["at the start", "while measuring"])
def test_a_runner_that_falls(opening: tuple[str, ...]) -> None:
    device = fake(spoken(opening=opening))
    with pytest.raises(DeviceLost, match=r"ended with status 1: Traceback: \?\[2J\?no numpy .*devices check") as caught:
        talk(device)
    assert str(caught.value).isprintable()
    assert device.order[-1] == "kill"


def test_a_runner_that_falls_silently() -> None:
    with pytest.raises(DeviceLost, match="ended with status 9: it said nothing"):
        talk(fake(spoken(end=Finished(9, "", ""))))


def test_silence() -> None:
    device = fake(spoken(DeviceTimeout("gave no sign")))
    with pytest.raises(DeviceTimeout, match=r"fake:pi said nothing for 150 s; see whether"):
        talk(device)
    assert device.order[-1] == "kill"


FAILED: dict[str, type[EdgenetError]] = {
    "missing-runtime": MissingError,
    "delegate": MissingError,
    "governor": MissingError,
    "affinity": InputError,
    "golden": GateFailed,
    "crash": GateFailed,
    "hang": GateFailed,
    "memory": GateFailed,
    "load": GateFailed,
    "file": GateFailed,
}


def test_each_failure_of_the_runner_has_its_mend() -> None:
    assert FAILED.keys() == MENDS.keys()


@pytest.mark.parametrize(("kind", "error"), FAILED.items(), ids=FAILED)
def test_a_failure(kind: str, error: type[EdgenetError]) -> None:
    device = fake(spoken(event("failed", kind=kind, message="it \x1b[2Jbroke")))
    with pytest.raises(error, match=r"^on fake:pi: it \?\[2Jbroke; ") as caught:
        talk(device)
    assert (type(caught.value), caught.value.mend) == (error, MENDS[kind])
    assert device.order[-1] == "kill"


def test_a_failure_of_no_known_kind() -> None:
    with pytest.raises(GateFailed, match=r"^on fake:pi: it broke$"):
        talk(fake(spoken(event("failed", kind="plague", message="it broke"))))


DAMAGED = {"file": "path", "golden": "golden", "crash": ""}


@pytest.mark.parametrize(("kind", "key"), DAMAGED.items(), ids=DAMAGED)
def test_what_was_damaged_is_sent_anew(kind: str, key: str, tmp_path: Path) -> None:
    """The same size is all that a push looks at: damaged files would be found damaged for ever."""
    device = fake(spoken(event("failed", kind=kind, message="sha256 differs")))
    for name in ("path", "golden"):
        (tmp_path / name).write_bytes(name.encode())
    with pytest.raises(GateFailed), Conversation(device, silent) as runner:
        places = {name: runner.push(tmp_path / name) for name in ("path", "golden")}
        runner.measure({"models": [{name: str(place) for name, place in places.items()}], "timeout_s": 1.0})
    assert {name for name, place in places.items() if place not in device.files} == {key} - {""}


def test_the_answer_counts_whatever_comes_after() -> None:
    """The runner has set everything back before it answers: an end that goes wrong spoils nothing."""
    program = spoken(event("result", document={}), DeviceLost("switched off"))
    device = fake(program)
    assert talk(device) == b"{}"
    assert device.order[-2:] == ["finish", "kill"]


@pytest.mark.parametrize("call", [3, 4, 5, 6], ids=["starting", "pushing", "asking", "measuring"])
def test_an_interrupt(call: int, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x")
    device = fake(spoken(event("result")))
    device.failures = {call: KeyboardInterrupt()}  # type: ignore[dict-item]  # it is no Exception, and raised all the same
    with pytest.raises(KeyboardInterrupt), Conversation(device, silent) as runner:
        runner.push(tmp_path / "model")
        runner.measure(JOB)
    assert device.order[call:] == [["lines", "push", "send", "lines"][call - 3], "kill"]
    for thread in threading.enumerate():
        if "_keep_alive" in thread.name:
            thread.join(5)
            assert not thread.is_alive()


def test_it_keeps_the_runner_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "ALIVE_EVERY_S", 0.02)
    device = fake(spoken(event("result")))
    with Conversation(device, silent):
        time.sleep(0.2)
    sent = [json.loads(call.given[0])["do"] for call in device.calls if call.name == "send"]
    assert sent.count("alive") >= 3 and sent[-1] == "stop"
    time.sleep(0.1)
    assert device.order[-1] == "finish"  # and says nothing any more


def test_nobody_to_keep_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that has gone is for the thread that reads to tell: no traceback of another."""
    monkeypatch.setattr(conversation, "ALIVE_EVERY_S", 0.02)
    for error in (DeviceLost("gone"), DeviceTimeout("takes nothing")):
        device = fake(spoken())
        device.failures = {4: error}
        with pytest.raises(DeviceLost, match="ended with status"), Conversation(device, silent) as runner:
            time.sleep(0.1)
            runner.measure(JOB)
        assert device.order.count("send") == 2  # one of either thread


def document(plan: Plan) -> dict[str, Any]:
    """Return what a runner answers to a plan of one model or more, in the plan's order."""
    state = {
        "at_s": 0.0, "governors": ["performance"], "frequencies_hz": [1500000000], "max_frequencies_hz": [1500000000],
        "temperatures_c": {"cpu (0)": 50.0}, "throttled": None, "memory_available_bytes": 10**9,
        "load_average": [0.0, 0.0, 0.0], "power_w": None,
    }  # fmt: skip
    runtime = {
        "name": "ai-edge-litert", "version": "2.3.0", "sha256": "0" * 64, "python_version": "3.11",
        "numpy_version": "2",
    }  # fmt: skip
    rows = [
        {
            "model": index,
            "setting": {"threads": 1, "processes": 2, "batch": 1, "affinity": [], "delegate": "xnnpack"},
            "delegate": {"asked": "xnnpack", "applied": "XNNPACK", "nodes": 3, "delegated_nodes": 3, "partitions": 1},
            "cold_starts": [{"load_s": 0.1, "first_inference_s": 0.1}],
            "warmup_runs": 3,
            "warmup_s": 0.5,
            "memory": None,
            "golden": None,
            "blocks": [
                {"start_s": 1.0 + turn, "process": process, "samples_s": [0.01, 0.011, 0.01]}
                for turn in range(10) for process in (0, 1)
            ],
            "ops": [{"name": "stem", "kind": "CONV_2D", "mean_s": 0.01}],
            "ops_note": "",
        }
        for index in range(len(plan.models))
    ]  # fmt: skip
    return {
        "schema_version": 1,
        "kind": "runner",
        "started_at": "2026-11-20T10:00:00Z",
        "board": {
            "host": "pi", "model": "Raspberry Pi 4", "soc": "", "processor": "", "machine": "aarch64", "cores": 4,
            "memory_bytes": 4 * 2**30, "system": "Linux", "kernel": "6.6", "emulated_by": "",
        },
        "protocol": plan.protocol.model_dump(mode="json"),
        "environment": {"before": state, "after": state, "during": [state], "usb": {}, "power_source": None},
        "models": [
            {
                "name": model.label, "path": "", "sha256": file_digest(model.path), "size_bytes": 12,
                "format": model.format, "golden": "", "delegate": "xnnpack", "runtime": runtime,
            }
            for model in plan.models
        ],
        "measurements": rows,
    }  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for name in ("a", "b"):
        (tmp_path / f"{name}.tflite").write_bytes(b"\0\0\0\0TFL3" + name.encode())
    models = find_models((tmp_path / "a.tflite", tmp_path / "b.tflite"))
    return Plan(models, parse_protocol("quick", None), (1,), (2,), (1,), (), "", False, 120.0)


def answered(plan: Plan, told: dict[str, Any]) -> list[BenchmarkRecord]:
    device = fake(spoken(event("result", document=told)))
    try:
        return measure(device, "pi", plan, ("edgenet", "caf\udce9.tflite"), silent)
    finally:
        assert device.order[-1] == "clean_up"


def test_a_whole_measurement(plan: Plan, tmp_path: Path) -> None:
    results = answered(plan, document(plan))
    assert [result.model.file for result in results] == ["a.tflite", "b.tflite"]
    assert results[0].session.command[-1] == "caf?.tflite"  # a name that is no UTF-8 costs no result
    assert results[0].measurements[0].images_per_s == pytest.approx(2 * 3 / 0.031)
    paths = write_results(results, tmp_path / "out")
    assert [path.name for path in paths] == [f"{name}@pi-20261120-100000.benchmark.json" for name in "ab"]


def at(place: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of a document: the value at a place, written with points."""
    *way, last = (int(word) if word.isdecimal() else word for word in place.split("."))

    def change(told: dict[str, Any]) -> None:
        inner: Any = told
        for step in way:
            inner = inner[step]
        inner[last] = value

    return change


BLOCK = "measurements.0.blocks.0"
HOSTILE = {
    "a name that is a path": at("models.0.name", "../../.bashrc"),
    "a name of another model": at("models.0.name", "b.tflite"),
    "a model that was not asked for": at("models.0.sha256", "0" * 64),
    "no digest": at("models.0.sha256", "../x"),
    "a time that is a path": at("started_at", "../../../tmp/x"),
    "a time with more behind it": at("started_at", "2026-11-20T10:00:00Z\n"),
    "another time": at("started_at", "yesterday"),
    "a model index out of range": at("measurements.0.model", 2),
    "a negative model index": at("measurements.0.model", -1),
    "one model measured twice, the other not": at("measurements.0.model", 1),
    "no measurement of a model": lambda told: told["measurements"].pop(),
    "a measurement twice": lambda told: told["measurements"].append(told["measurements"][0]),
    "a process out of range": at(f"{BLOCK}.process", 2),
    "a negative process": at(f"{BLOCK}.process", -1),
    "a setting that was not asked for": at("measurements.0.setting.threads", 4),
    "no processes": at("measurements.0.setting.processes", 0),
    "another protocol": at("protocol.min_runs", 1),
    "a delegate that was not asked for": at("measurements.0.setting.delegate", "cpu"),
    "NaN": at(f"{BLOCK}.samples_s", [float("nan")]),
    "infinity": at(f"{BLOCK}.samples_s", [float("inf")]),
    "a run without time": at(f"{BLOCK}.samples_s", [0.0]),
    "a run before it began": at(f"{BLOCK}.samples_s", [-0.01]),
    "a run of ages": at(f"{BLOCK}.samples_s", [1e300] * 3),
    "no runs": at(f"{BLOCK}.samples_s", []),
    "no blocks": at("measurements.0.blocks", []),
    "a block before the session": at(f"{BLOCK}.start_s", -1.0),
    "a block after the sun": at(f"{BLOCK}.start_s", 1e300),
    "a load before it began": at("measurements.0.cold_starts.0.load_s", -1.0),
    "an op that gives time back": at("measurements.0.ops.0.mean_s", -1.0),
    "a warm-up that gives time back": at("measurements.0.warmup_s", -1.0),
    "clocks beyond all": at("environment.during.0.frequencies_hz", [10**400]),
    "a clock that runs back": at("environment.during.0.frequencies_hz", [-1]),
    "memory beyond all": at("environment.before.memory_available_bytes", 10**400),
    "nodes beyond all": at("measurements.0.delegate.nodes", 10**400),
    "cores beyond all": at("board.cores", 10**20),
    "no cores at all": at("board.cores", -4),
    "an unknown key": at("board.extra", 1),
    "another schema": at("schema_version", 2),
    "another kind": at("kind", "benchmark"),
    "nothing": lambda told: told.clear(),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_document_that_cannot_be(plan: Plan, change: Callable[[dict[str, Any]], object]) -> None:
    told = deepcopy(document(plan))
    change(told)
    with pytest.raises(InputError) as caught:
        answered(plan, told)
    assert str(caught.value).isprintable() and "measure again" in str(caught.value)


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="this Python writes integers of any length")
def test_a_number_longer_than_python_writes(plan: Plan) -> None:
    line = event("result", document=document(plan)).replace('"cores": 4', '"cores": ' + "4" * 5000)
    with pytest.raises(InputError, match="none of its words"):
        measure(fake(spoken(line)), "pi", plan, (), silent)


ESCAPE = "\x1b[2J\x07"
SPOKEN = ("board.host", "board.model", "environment.before.governors.0", "environment.during.0.governors.0",
          "environment.power_source", "measurements.0.delegate.applied", "measurements.0.ops.0.name",
          "measurements.0.ops_note", "models.0.runtime.version")  # fmt: skip


@pytest.mark.parametrize("place", SPOKEN)
def test_no_word_of_a_device_commands_the_terminal(plan: Plan, place: str) -> None:
    told = document(plan)
    at(place, ESCAPE)(told)
    told["environment"]["during"][0]["temperatures_c"] = {ESCAPE: 99.0}
    told["environment"]["usb"] = {ESCAPE: 480e6}
    results = answered(plan, told)
    text = "".join(result.model_dump_json() for result in results)
    assert "?[2J?" in text and "u001b" not in text and "u0007" not in text
    assert all(warning.message.isprintable() for result in results for warning in result.warnings)


def test_long_names_are_cut_not_refused(plan: Plan) -> None:
    """Ops of other people's files bear the names of all tensors that were fused into them."""
    told = document(plan)
    told["measurements"][0]["ops"][0]["name"] = "x;" * 2000
    assert len(answered(plan, told)[0].measurements[0].ops[0].name) == 500
