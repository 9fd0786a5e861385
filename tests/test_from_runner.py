"""From a runner's document to results: throughput, energy, provenance, and what a manifest adds."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.from_runner import Origin, to_results
from benchmarks.read import parse_results, read_results
from benchmarks.runner_document import RunnerDocument, parse_document
from edgenet.errors import InputError
from tests.results import environment, result, snapshot

ORIGIN = Origin("kitchen", "ssh://pi@kitchen", {}, "ssh", "1" * 32, ("edgenet", "benchmark"), "0.1.0")


def document(**changes: Any) -> dict[str, Any]:
    """Return what the runner of the builders' Raspberry Pi would have printed."""
    made = result()
    (row,) = made.measurements
    content = {
        "schema_version": 1,
        "kind": "runner",
        "started_at": "2026-11-20T10:00:00Z",
        "board": {
            "host": "kitchen", "model": "Raspberry Pi 4 Model B Rev 1.4", "soc": "brcm,bcm2711", "emulated_by": "",
            "processor": "4 x Cortex-A72", "machine": "aarch64", "cores": 4, "memory_bytes": 4 << 30,
            "system": "Debian GNU/Linux 12 (bookworm)", "kernel": "6.6.31",
        },
        "protocol": made.protocol.model_dump(),
        "environment": made.environment.model_dump(),
        "models": [{
            "name": "a.tflite", "path": "/home/pi/a", "sha256": "a" * 64, "size_bytes": 5, "format": "tflite",
            "golden": "", "delegate": "xnnpack", "runtime": made.device.runtime.model_dump(),
        }],
        "measurements": [{
            "model": 0, "ops_note": "",
            "ops": [{"name": "slow", "kind": "CONV_2D", "mean_s": 3.0}, {"name": "fast", "kind": "ADD", "mean_s": 1.0}],
            **row.model_dump(exclude={"statistics", "images_per_s", "energy", "ops", "ops_note"}),
        }],
    }  # fmt: skip
    return {**content, **changes}


def parsed(**changes: Any) -> RunnerDocument:
    """Return the document as it comes off the wire."""
    return parse_document(json.dumps(document(**changes)).encode(), "the answer")


def measured(**changes: Any) -> dict[str, Any]:
    """Return the document's only measurement, changed where the test says."""
    row: dict[str, Any] = document()["measurements"][0]
    return {**row, **changes}


def test_throughput_is_that_of_all_processes_and_batches() -> None:
    blocks = [
        {"start_s": 0.0, "process": 0, "samples_s": [0.1, 0.1]},
        {"start_s": 0.0, "process": 1, "samples_s": [0.2]},
    ]
    setting = {"threads": 1, "processes": 2, "batch": 4, "affinity": [], "delegate": "xnnpack"}
    (made,) = to_results(parsed(measurements=[measured(blocks=blocks, setting=setting)]), ORIGIN, {})
    assert made.measurements[0].images_per_s == pytest.approx(4 * (2 / 0.2 + 1 / 0.2))


def test_energy_is_power_while_it_ran_over_its_inferences() -> None:
    blocks = [
        {"start_s": 1.0, "process": 0, "samples_s": [0.5, 0.5]},
        {"start_s": 3.0, "process": 0, "samples_s": [1.0]},
    ]
    readings = tuple(snapshot(at_s, power_w=power_w) for at_s, power_w in ((0.5, 99.0), (1.5, 4.0), (3.5, 6.0)))
    state = environment(during=readings, before=snapshot(0.0, power_w=2.5), power_source="ina3221/VDD_IN")
    made = parsed(environment=state.model_dump(), measurements=[measured(blocks=blocks)])
    energy = to_results(made, ORIGIN, {})[0].measurements[0].energy
    assert energy is not None
    assert (energy.source, energy.idle_w, energy.mean_w) == ("ina3221/VDD_IN", 2.5, 5.0)
    assert energy.joule_per_inference == pytest.approx(5.0 * 2.0 / 3)


def test_without_a_meter_there_is_no_energy() -> None:
    assert to_results(parsed(), ORIGIN, {})[0].measurements[0].energy is None


def test_the_slowest_op_comes_first_with_its_share() -> None:
    ops = to_results(parsed(), ORIGIN, {})[0].measurements[0].ops
    assert [(op.name, op.share) for op in ops] == [("slow", 0.75), ("fast", 0.25)]


@pytest.mark.parametrize(
    ("emulated_by", "facts", "provenance"),
    [
        ("", {}, "measured"),
        ("qemu-aarch64-static (x86_64)", {}, "emulated"),
        ("", {"emulated": "the Android emulator"}, "emulated"),
    ],
)
def test_an_emulated_device_is_marked(emulated_by: str, facts: dict[str, str], provenance: str) -> None:
    board = {**document()["board"], "emulated_by": emulated_by}
    origin = Origin(**{**vars(ORIGIN), "facts": facts})
    (made,) = to_results(parsed(board=board), origin, {})
    assert made.provenance == provenance
    assert ("emulated" in {warning.code for warning in made.warnings}) == (provenance == "emulated")


def test_a_phones_own_name_stands_where_its_files_tell_none() -> None:
    board = {**document()["board"], "model": "", "soc": ""}
    origin = Origin(**{**vars(ORIGIN), "facts": {"model": "Google Pixel 8", "soc": "Google Tensor G3"}})
    device = to_results(parsed(board=board), origin, {})[0].device
    assert (device.model, device.soc) == ("Google Pixel 8", "Google Tensor G3")


def test_what_the_runner_printed_by_hand_is_read_as_results(tmp_path: Path) -> None:
    content = json.dumps(document()).encode()
    (made,) = parse_results(content, "board.benchmark.json")
    assert (made.device.name, made.device.kind, made.model.variant) == ("kitchen", "local", None)
    (tmp_path / "board.benchmark.json").write_bytes(content)
    assert [row for _, row in read_results(tmp_path)] == [made]
    assert parse_results(content, "again")[0].session.id == made.session.id


WRONG = {
    "no JSON": (b"?", "is not a benchmark result"),
    "another schema": (b'{"schema_version": 2}', "schema_version 2; allowed: 1; measure again"),
    "another document": (b'{"schema_version": 1, "kind": "benchmark"}', "is not a benchmark result: provenance"),
    "a runner's with a stray key": (json.dumps(document(more=1)).encode(), "is not what the runner prints: more"),
    "a path for a name": (
        json.dumps(document(models=[{**document()["models"][0], "name": "../../x.tflite"}])).encode(),
        "models.0.name",
    ),
    "a model that is not there": (
        json.dumps(document(measurements=[measured(model=1)])).encode(),
        "does not measure the models that it lists",
    ),
    "a time that is none": (
        json.dumps(
            document(measurements=[measured(blocks=[{"start_s": 0.0, "process": 0, "samples_s": [0.0]}])])
        ).encode(),
        "samples_s",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_result_is_refused(name: str) -> None:
    content, says = WRONG[name]
    with pytest.raises(InputError, match=r"some\.json") as caught:
        parse_results(content, "some.json")
    assert says in str(caught.value)
