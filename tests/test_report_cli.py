"""`edgenet report`: the files that it writes, what it prints, what it refuses; and the published schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import schema
from benchmarks.result import RESULT_SUFFIX
from edgenet.__main__ import main
from tests.results import DEVICE, result

EMULATED = DEVICE.model_copy(update={"name": "qemu"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results = {
        "a": result("a"),
        "b": result("b"),
        "emulated": result("a", device=EMULATED, provenance="emulated"),
    }
    for name, record in results.items():
        (tmp_path / f"{name}{RESULT_SUFFIX}").write_text(record.model_dump_json(), encoding="utf-8")
    return tmp_path


def test_the_page_lies_in_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert err.splitlines()[-1] == f"next: open {folder / 'report.html'} in a browser"
    measured, _, emulated = out.partition("EMULATED devices")
    assert ("kitchen" in measured, "qemu" in measured) == (True, False)
    assert ("kitchen" in emulated, "qemu" in emulated) == (False, True)


def test_out_and_csv_go_where_they_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, table = folder / "made" / "page.html", folder / "made" / "table.csv"
    assert main(["report", str(folder), "--out", str(page), "--csv", str(table), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["report"], document["csv"]) == (str(page), str(table))
    assert [row["model"] for row in document["measured"]] == ["a.tflite", "b.tflite"]
    assert [row["device"] for row in document["emulated"]] == ["qemu"]
    assert document["measured"][0]["statistics"]["median_s"] == pytest.approx(0.005, rel=0.01)
    assert page.is_file()
    assert len(table.read_text(encoding="utf-8").splitlines()) == 4
    assert not (folder / "report.html").exists()


def test_one_file_is_reported_on_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder / f"b{RESULT_SUFFIX}"), "--json"]) == 0
    assert [row["model"] for row in json.loads(capsys.readouterr().out)["measured"]] == ["b.tflite"]
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty"], "no *.benchmark.json in empty; edgenet benchmark MODEL --out DIR writes them"),
        (["absent"], "cannot read absent: No such file or directory"),
        (["broken"], "bad.benchmark.json is not a benchmark result: "),
        (["empty", "--out", "x", "--csv", "./x"], "--out and --csv are both 'x'; name two files"),
        (["one.json", "--out", "one.json"], "'one.json' is what is reported on; name another file"),
    ],
)
def test_refusals(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / f"bad{RESULT_SUFFIX}").write_text('{"schema_version": 1}', encoding="utf-8")
    assert main(["report", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not list(tmp_path.rglob("*.html"))


def test_the_published_schema_is_that_of_the_code() -> None:
    published = Path(schema.__file__).with_name("benchmark.schema.json")
    assert published.read_text(encoding="utf-8") == schema.schema_text()
