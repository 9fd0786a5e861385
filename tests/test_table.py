"""Results as rows: order, texts, CSV that no spreadsheet can be tricked by, and the line of little bars."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from benchmarks.result import Setting, WarningRecord
from benchmarks.table import (
    SUMMARY_HEADERS,
    csv_text,
    decimals,
    of_provenance,
    plain,
    setting_text,
    sparkline,
    summary_cells,
    summary_rows,
)
from tests.results import DEVICE, SETTING, measurement, result, steady_blocks

EMULATED = result("a", provenance="emulated", device=DEVICE.model_copy(update={"name": "qemu"}))


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "1 thread"),
        ({"threads": 4, "delegate": "cpu"}, "4 threads, cpu"),
        ({"processes": 2, "batch": 8, "affinity": (0, 3)}, "1 thread, 2 processes, batch 8, cores 0 3"),
        ({"delegate": "x\ny"}, "1 thread, x\\ny"),
    ],
)
def test_settings_in_words(changes: dict[str, Any], text: str) -> None:
    assert setting_text(SETTING.model_copy(update=changes)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Brücke 2 °C", "Brücke 2 °C"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("pi\u202egnp.exe", "pi\\u202egnp.exe"),
        ("two\r\nlines\t\x00", "two\\r\\nlines\\t\\x00"),
    ],
)
def test_no_text_can_steer_a_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_rows_are_sorted_and_repeats_told_apart() -> None:
    threads = tuple(measurement(setting=SETTING.model_copy(update={"threads": count})) for count in (4, 1))
    later = result("a").session.model_copy(update={"started_at": "2026-11-21T10:00:00Z"})
    rows = summary_rows([result("b"), result("a", session=later), result("a", measurements=threads)])
    assert [(row.model, row.setting) for row in rows] == [
        ("a.tflite", "1 thread, 2026-11-20T10:00:00Z"),
        ("a.tflite", "1 thread, 2026-11-21T10:00:00Z"),
        ("a.tflite", "4 threads"),
        ("b.tflite", "1 thread"),
    ]


def test_cells_line_up() -> None:
    warned = result("b", warnings=(WarningRecord(code="drift", message="m", mend="d"),))
    slow = result("a", measurements=(measurement(steady_blocks(1.5), memory=None, golden=None),))
    rows = summary_rows([warned, slow])
    first, second = summary_cells(rows)
    assert len(first) == len(second) == len(SUMMARY_HEADERS)
    assert [first[index] for index in (3, 7, 8, 9, 10)] == ["1,499.92", "0.667", "-", "none", "0"]
    assert [second[index] for index in (3, 7, 8, 9, 10)] == ["5.00", "200.010", "70.0", "passed", "1"]
    low, _, high = second[4].partition("–")
    assert float(low) <= 5.0 <= float(high)


@pytest.mark.parametrize(("values", "count"), [([5.0, 231.0], 2), ([0.0123], 3), ([1234.0], 0), ([], 2), ([0.0], 2)])
def test_three_digits_count(values: list[float], count: int) -> None:
    assert decimals(values) == count


def test_csv_is_one_line_a_measurement_in_si_units() -> None:
    threads = tuple(measurement(setting=SETTING.model_copy(update={"threads": count})) for count in (1, 4))
    rows = summary_rows([result("a", measurements=threads), result("b")])
    found = lines(csv_text(rows))
    assert [(line["model_file"], line["threads"]) for line in found] == [
        ("a.tflite", "1"), ("a.tflite", "4"), ("b.tflite", "1"),
    ]  # fmt: skip
    figures = threads[0].statistics
    assert float(found[0]["median_s"]) == figures.median_s
    assert float(found[0]["p99_s"]) == figures.p99_s
    assert (found[0]["provenance"], found[0]["session_id"], found[0]["device"]) == ("measured", "session-1", "kitchen")
    assert int(found[0]["peak_rss_bytes"]) == 70 * 2**20
    assert found[0]["joule_per_inference"] == ""
    assert not [name for name in found[0] if name.startswith("emulated")]


def test_csv_keeps_emulated_figures_in_columns_of_their_own() -> None:
    found = lines(csv_text(summary_rows([result("a"), EMULATED])))
    real = next(line for line in found if line["provenance"] == "measured")
    emulated = next(line for line in found if line["provenance"] == "emulated")
    assert (emulated["median_s"], real["emulated_median_s"]) == ("", "")
    assert float(emulated["emulated_median_s"]) == float(real["median_s"])
    rows = summary_rows([EMULATED, result("a")])
    assert [row.device for row in rows] == ["kitchen", "qemu"]
    assert [row.device for row in of_provenance(rows, "emulated")] == ["qemu"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_csv_holds_no_formula(name: str) -> None:
    device = DEVICE.model_copy(update={"name": name, "model": f"\t{name}", "soc": f"\n{name}"})
    (line,) = lines(csv_text(summary_rows([result("a", device=device)])))
    assert line["device"] == f"'{name}"
    assert (line["device_model"], line["soc"]) == (f"\\t{name}", f"\\n{name}")
    assert not [cell for cell in line.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


@pytest.mark.parametrize(
    ("samples_s", "columns", "line"),
    [
        ([], 10, ""),
        ([0.005] * 3, 10, "▁▁▁ 5.00–5.00 ms"),
        ([0.001, 0.002, 0.003, 0.008], 8, "▁▂▃█ 1.00–8.00 ms"),
        ([0.001] * 9 + [0.5] + [0.008] * 10, 2, "▁█ 1.00–8.00 ms"),  # one outlier does not lift its block's median
    ],
)
def test_sparkline(samples_s: list[float], columns: int, line: str) -> None:
    assert sparkline(samples_s, columns) == line


def test_sparkline_fits_its_columns() -> None:
    assert len(sparkline([0.001 * (index + 1) for index in range(1000)], 40).split(" ")[0]) == 40


def test_a_setting_is_all_that_two_rows_share() -> None:
    assert set(Setting.model_fields) == {"threads", "processes", "batch", "affinity", "delegate"}
