"""A sweep of small networks in this process: what is run, what is not run again, and what a failure leaves."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from benchmarks.accuracy.evaluate import Request as EvaluationRequest
from benchmarks.accuracy.evaluate import evaluate
from benchmarks.sweep import keys
from benchmarks.sweep.estimate import estimate
from benchmarks.sweep.grid import grid_of_values
from benchmarks.sweep.record import CellRecord, SweepRecord
from converters.evidence import tool_versions
from edgenet.progress import silent
from tests.sweep.small_sweep import SmallSweep, class_folders, small_sweep

__all__ = ["small_sweep"]  # a fixture


def cell(result: SweepRecord, precision: str, variant: str = "lite0", device: str | None = None) -> CellRecord:
    return next(row for row in result.cells if (row.variant, row.precision, row.device) == (variant, precision, device))


def test_each_step_of_a_cell_is_recorded_with_where_its_figures_stand(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "photos")
    result = small_sweep.run(data=str(data), check=["edgetpu", "xnnpack"])
    found = cell(result, "w8a8")
    assert found.status == "done"
    assert found.model and found.accuracy and found.accuracy.agreement
    assert (small_sweep.out / found.model.file).stat().st_size == found.model.size_bytes
    assert found.accuracy.images == found.accuracy.agreement.same_top1.images == 20
    assert [row.target for row in found.mappings] == ["edgetpu", "xnnpack"]
    reports = [found.accuracy.report, *(row.report for row in found.mappings)]
    assert all((small_sweep.out / report).is_file() for report in reports)
    assert "computes on float32" in cell(result, "fp32").mappings[0].refusal
    written = SweepRecord.model_validate_json((small_sweep.out / "sweep.json").read_bytes())
    assert written == result


def test_its_accuracy_is_that_of_evaluate(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "photos", 70)  # more than a shard
    result = small_sweep.run(data=str(data))
    models = [row.model for row in result.cells if row.model]
    files = tuple(small_sweep.out / row.file for row in models)
    wanted = evaluate(EvaluationRequest(files, str(data)), ("test",), silent)
    for found, row in zip(result.cells, wanted.files, strict=True):
        assert found.accuracy
        assert (found.accuracy.top1, found.accuracy.top5) == (row.top1, row.top5)
        assert found.accuracy.agreement == row.agreement
        assert found.accuracy.calibration_error == pytest.approx(row.calibration_error.expected, rel=1e-12)


def test_what_is_recorded_is_not_run_again(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = str(class_folders(tmp_path / "photos"))
    first = small_sweep.run(data=data, check=["edgetpu"])
    before, small_sweep.pool.calls[:] = list(small_sweep.pool.calls), []
    assert sorted(before) == ["check_file", "check_file", "convert_small", "evaluate_shard"]
    assert small_sweep.run(data=data, check=["edgetpu"]) == first
    assert small_sweep.pool.calls == []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"precisions": ["fp32", "w8a8", "w8"]}, ["check_file", "convert_small", "evaluate_shard"]),
        ({"variants": ["lite0", "b0"]}, ["check_file", "check_file", "convert_small", "evaluate_shard"]),
        ({"check": ["edgetpu", "gpu"]}, ["check_file", "check_file"]),
        ({"max_unreadable": 0.5}, ["evaluate_shard"]),
        ({"samples": 17}, ["convert_small"]),  # of the w8a8 file, which turns out to be the same
    ],
)
def test_a_changed_grid_runs_what_is_new(
    change: dict[str, object], again: list[str], small_sweep: SmallSweep, tmp_path: Path
) -> None:
    data = str(class_folders(tmp_path / "photos"))
    small_sweep.run(data=data, check=["edgetpu"])
    small_sweep.pool.calls.clear()
    small_sweep.run(**{"data": data, "check": ["edgetpu"], **change})
    assert sorted(small_sweep.pool.calls) == again


def test_changed_photos_are_evaluated_again(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "photos")
    small_sweep.run(data=str(data))
    (data / "3" / "3.png").write_bytes((data / "4" / "4.png").read_bytes())
    small_sweep.pool.calls.clear()
    small_sweep.run(data=str(data))
    assert small_sweep.pool.calls == ["evaluate_shard"]


def test_another_version_of_a_tool_runs_its_steps_again(
    small_sweep: SmallSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_sweep.run(check=["edgetpu"])
    small_sweep.pool.calls.clear()
    versions = tool_versions()
    monkeypatch.setattr(keys, "tool_versions", lambda: {**versions, "ai-edge-litert": "99"})
    keys._versions.cache_clear()
    try:
        small_sweep.run(check=["edgetpu"])  # whose rules know no runtime
        assert small_sweep.pool.calls == ["convert_small"]
    finally:
        keys._versions.cache_clear()


def test_a_variant_that_fails_leaves_the_others(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = str(class_folders(tmp_path / "photos"))
    result = small_sweep.run(variants=["b7", "lite0"], data=data)
    assert [row.status for row in result.cells] == ["failed", "failed", "done", "done"]
    assert [row.message for row in cell(result, "fp32", "b7").failures] == ["b7 fails in this test"]
    assert any(line.startswith("FAILED: convert b7-fp32") for line in small_sweep.said)


@pytest.mark.parametrize("name", ["lite0-w8a8-random.tflite", "evaluation.json"])
def test_a_damaged_file_is_made_anew(name: str, small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = str(class_folders(tmp_path / "photos"))
    first = small_sweep.run(data=data)
    path = next(small_sweep.out.rglob(name))
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"X")
    small_sweep.said.clear()
    assert small_sweep.run(data=data) == first
    assert path.read_bytes() == good
    assert any("is not what was written (sha256 differs); it is made anew" in line for line in small_sweep.said)


def test_unreadable_images_are_counted_and_limited(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "photos")
    (data / "3" / "3.png").write_bytes(b"no picture")
    refused = small_sweep.run(data=str(data))
    [failure] = cell(refused, "fp32").failures
    assert "1 of 20 images cannot be used: 3/3.png" in failure.message
    assert "max_unreadable" in failure.message
    allowed = small_sweep.run(data=str(data), max_unreadable=0.1)
    assert allowed.data and (allowed.data.images, allowed.data.unreadable.count) == (19, 1)


def test_data_of_other_classes_fail_the_evaluation_alone(small_sweep: SmallSweep, tmp_path: Path) -> None:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (class_folders(tmp_path / "others") / "0" / "0.png").rename(tmp_path / "photos" / "cats" / "0.png")
    result = small_sweep.run(data=str(tmp_path / "photos"))
    assert [row.status for row in result.cells] == ["failed", "failed"]
    assert all(row.model and [failure.step for failure in row.failures] == ["evaluate"] for row in result.cells)


def test_a_device_that_is_not_there_fails_its_cells(small_sweep: SmallSweep) -> None:
    result = small_sweep.run(devices=["ssh://nobody@127.0.0.1:1"])
    assert [row.status for row in result.cells] == ["failed", "failed"]
    messages = {row.failures[0].message for row in result.cells}
    assert len(messages) == 1  # the second one is not tried any more
    assert "127.0.0.1 port 1" in messages.pop()
    assert all(row.failures[0].exit_code == 3 for row in result.cells)


def test_this_machine_is_measured_once(small_sweep: SmallSweep) -> None:
    asked = {"devices": ["local"], "precisions": ["w8a8"], "benchmark": {"protocol": "quick", "threads": [1, 2]}}
    first = small_sweep.run(**asked)
    rows = cell(first, "w8a8", device="local").latencies
    assert [row.setting.threads for row in rows] == [1, 2]
    assert all(row.low_s <= row.median_s <= row.high_s and row.golden for row in rows)
    assert small_sweep.run(**asked) == first


def test_a_plan_tells_what_is_recorded_and_what_is_not(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = str(class_folders(tmp_path / "photos"))
    small_sweep.run(data=data)
    values = {"variants": ["lite0"], "precisions": ["fp32", "w8a8", "w8a16"], "weights": "random", "samples": 16}
    plan = estimate(grid_of_values({**values, "data": data, "check": ["gpu"]}), small_sweep.out)
    assert [row.recorded for row in plan.cells] == [("convert", "evaluate")] * 2 + [()]
    assert [row.missing for row in plan.cells] == [("check",)] * 2 + [("convert", "check", "evaluate")]
    assert plan.cells[2].duration_s > plan.cells[0].duration_s > 0
    nothing = estimate(grid_of_values({**values, "data": data}), tmp_path / "not there")
    assert all(not row.recorded for row in nothing.cells)
    assert not (tmp_path / "not there").exists()


def test_an_interrupt_keeps_what_was_recorded(
    small_sweep: SmallSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(class_folders(tmp_path / "photos", 300))  # five shards
    small_sweep.pool.workers = 1
    submit, seen = small_sweep.pool.submit, []

    def interrupted(function, *arguments):  # type: ignore[no-untyped-def]
        seen.append(arguments[0].__name__)
        if seen.count("evaluate_shard") == 5:
            raise KeyboardInterrupt
        return submit(function, *arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(small_sweep.pool, "submit", interrupted)
        small_sweep.run(data=data)
    half = SweepRecord.model_validate_json((small_sweep.out / "sweep.json").read_bytes())
    assert [row.status for row in half.cells] == ["waiting", "waiting"]
    small_sweep.pool.calls.clear()
    whole = small_sweep.run(data=data)
    assert small_sweep.pool.calls == ["evaluate_shard"]  # of five
    assert whole == SmallSweep(tmp_path / "other", small_sweep.pool, []).run(data=data)


def test_no_step_is_recorded_twice(small_sweep: SmallSweep, tmp_path: Path) -> None:
    data = str(class_folders(tmp_path / "photos"))
    for precisions in (["fp32"], ["fp32", "w8a8"], ["w8a8", "w8"]):
        small_sweep.run(data=data, precisions=precisions)
    with sqlite3.connect(small_sweep.out / "sweep.db") as database:
        rows = database.execute("SELECT kind, title, runs FROM steps").fetchall()
        assert database.execute("SELECT count(*) FROM shards").fetchone() == (0,)
    assert {runs for _, _, runs in rows} == {1}
    assert len(rows) == 7  # three conversions; four evaluations, of which w8a8's without fp32 beside it is another
    assert json.loads((small_sweep.out / "sweep.json").read_text())["grid"]["precisions"] == ["w8", "w8a8"]
