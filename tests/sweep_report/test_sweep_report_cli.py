"""`edgenet report` and `edgenet recommend --from` with a sweep: what they write, print and refuse."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.result import RESULT_SUFFIX
from benchmarks.sweep.record import RESULT_NAME
from tests.results import result
from tests.sweeps import cell, small_sweep, sweep, unevaluated, waiting, write_sweep
from tests.verbs import Run, verb


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Run:
    return verb("report", capsys)


@pytest.fixture
def recommend(capsys: pytest.CaptureFixture[str]) -> Run:
    return verb("recommend", capsys)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_sweep(small_sweep(), tmp_path / "run")


def test_the_answer_is_printed_and_the_page_lies_in_the_folder(report: Run, run: Path) -> None:
    found = report(run, "--device", "pi4", "--max-ms", "60", "--min-top1", "74", "--max-mb", "8")
    assert found.code == 0
    assert found.out.splitlines()[:5] == [
        "pi4:",
        "  lite2 w8a8, 4 threads: top-1 76.5 % (73.8–79.0), median 45.8 ms (45.3–46.2), 6.06 MB",
        "    - at most 60 ms: median 45.8 ms (45.3–46.2)",
        "    - top-1 at least 74 %: top-1 76.5 % (73.8–79.0); the bound lies inside the 95 % interval, so that another "
        "measurement may say otherwise",
        "    - at most 8 MB: 6.06 MB",
    ]
    assert "qemu" not in found.out
    assert found.err.splitlines() == [
        "not done: 1 failed, 1 waiting; the page says why",
        f"next: open {run / 'report.html'} in a browser",
    ]
    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_file_itself_is_named(report: Run, run: Path) -> None:
    assert report(run / RESULT_NAME).code == 0
    assert (run / "report.html").is_file()


def test_the_document(report: Run, run: Path) -> None:
    document = report(run, "--max-ms", "60", "--min-top1", "74", "--json").document
    assert (document["schema_version"], document["accuracy_is"], document["notes"]) == (1, "top-1", [])
    assert document["question"] == {"device": None, "max_s": 0.06, "min_accuracy": 0.74, "max_bytes": None}
    assert document["cells"] == {"done": 10, "failed": 1, "waiting": 1}
    measured, emulated = document["answers"]
    assert (measured["device"], measured["provenance"]) == ("pi4", "measured")
    assert (emulated["device"], emulated["provenance"]) == ("qemu", "emulated")
    pick = measured["pick"]
    assert (pick["variant"], pick["precision"], pick["file"]) == ("lite2", "w8a8", "models/lite2-w8a8.tflite")
    assert pick["latency_s"]["provenance"] == "measured"
    assert pick["bounds"] == [
        {"of": "latency", "missed_by": 0.0, "inside_interval": False},
        {"of": "accuracy", "missed_by": 0.0, "inside_interval": True},
    ]
    assert (measured["runner_up"]["variant"], measured["nearest"]) == ("lite0", None)
    assert (emulated["pick"], emulated["nearest"]["latency_s"]["provenance"]) == (None, "emulated")


def test_tables_go_where_they_are_told(report: Run, run: Path, tmp_path: Path) -> None:
    places = {name: tmp_path / "made" / f"table.{name}" for name in ("html", "csv", "md")}
    found = report(run, "--out", places["html"], "--csv", places["csv"], "--md", places["md"], "--json")
    assert {name: found.document[name] for name in ("report", "csv", "markdown")} == {
        "report": str(places["html"]), "csv": str(places["csv"]), "markdown": str(places["md"])
    }  # fmt: skip
    assert '"../run/models/lite0-fp32.manifest.json"' in places["html"].read_text(encoding="utf-8")
    assert not (run / "report.html").exists()


def test_the_csv_has_a_line_a_cell_and_keeps_emulated_times_apart(report: Run, run: Path) -> None:
    assert report(run, "--csv", run / "t.csv").code == 0
    with (run / "t.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(small_sweep().cells)
    first, emulated = lines[0], lines[1]
    assert (first["latency_provenance"], emulated["latency_provenance"]) == ("measured", "emulated")
    assert (float(first["median_s"]) > 0, first["emulated_median_s"]) == (True, "")
    assert (emulated["median_s"], float(emulated["emulated_median_s"]) > 0) == ("", True)
    assert first["top1_provenance"] == "measured"
    broken = [line for line in lines if line["status"] == "failed"]
    assert [line["failures"] for line in broken] == ["benchmark: pi4: cannot connect to ssh://pi@pi4"]


def test_no_formula_gets_into_the_csv_and_no_markup_into_the_markdown(report: Run, tmp_path: Path) -> None:
    name = "=HYPERLINK(1)|<b>[x](javascript:y)"
    run = write_sweep(sweep([cell("lite0", "fp32", "pi4").model_copy(update={"variant": name})]), tmp_path / "run")
    assert report(run, "--csv", run / "t.csv", "--md", run / "t.md").code == 0
    assert (run / "t.csv").read_text(encoding="utf-8").splitlines()[1].startswith("'=HYPERLINK")
    text = (run / "t.md").read_text(encoding="utf-8")
    assert r"\|\<b\>\[x\](javascript:y)" in text
    assert "|<b>" not in text.replace("\\|\\<b", "")


def test_markdown_says_provenance_in_each_header(report: Run, run: Path) -> None:
    assert report(run, "--md", run / "t.md").code == 0
    heads = [line for line in (run / "t.md").read_text(encoding="utf-8").splitlines() if line.startswith("| Variant")]
    assert ["Median ms (measured)" in line for line in heads] == [True, False]
    assert ["Median ms (emulated)" in line for line in heads] == [False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema_version": 7}', "sweep.json has schema_version 7; allowed: 1; sweep again"),
        ('{"schema_version": 1, "kind": "sweep"}', "sweep.json is not a sweep: grid: Field required"),
        ("{", "sweep.json is not a sweep: the document: Invalid JSON"),
    ],
)
def test_broken_documents(content: str, message: str, report: Run, recommend: Run, tmp_path: Path) -> None:
    (tmp_path / RESULT_NAME).write_text(content, encoding="utf-8")
    for found in (report(tmp_path), recommend("--device", "pi4", "--max-ms", "9", "--from", tmp_path)):
        assert found.code == 2
        assert found.err.startswith(f"error: {message}")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--min-top1", "101"], "--min-top1 cannot be '101'; allowed: percent from 0 to 100; --min-top1 74"),
        (["--min-top1", "-1"], "--min-top1 cannot be '-1'; allowed: percent from 0 to 100; --min-top1 74"),
        (["--max-ms", "0"], "--max-ms cannot be '0'; allowed: milliseconds over 0; --max-ms 30"),
        (["--max-ms", "nan"], "--max-ms cannot be 'nan'; allowed: milliseconds over 0; --max-ms 30"),
        (["--max-ms", "fast"], "--max-ms cannot be 'fast'; allowed: milliseconds over 0; --max-ms 30"),
        (["--max-mb", "-3"], "--max-mb cannot be '-3'; allowed: megabytes over 0; --max-mb 8"),
        (["--device", "pi9"], "device 'pi9' is not in the sweep; allowed: pi4, qemu"),
        (["--csv", "x", "--md", "./x"], "--csv and --md are both 'x'; name two files"),
        (["--out", "run/sweep.json"], "'run/sweep.json' is what is reported on; name another file"),
    ],
)
def test_refusals(
    arguments: list[str], message: str, report: Run, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = report("run", *arguments)
    assert (found.code, found.err) == (2, f"error: {message}\n")
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("arguments", [["--max-ms", "3"], ["--min-top1", "70"], ["--device", "pi4"], ["--md", "t.md"]])
def test_questions_about_benchmark_results_are_refused(arguments: list[str], report: Run, tmp_path: Path) -> None:
    (tmp_path / f"a{RESULT_SUFFIX}").write_text(result("a").model_dump_json(), encoding="utf-8")
    found = report(tmp_path, *arguments)
    mend = "drop it, or name the folder that edgenet sweep wrote"
    assert (found.code, found.err) == (
        2, f"error: {arguments[0]} goes with a sweep, and {str(tmp_path)!r} is none; {mend}\n"
    )  # fmt: skip


def test_what_a_sweep_does_not_have_is_not_asked_for(report: Run, tmp_path: Path) -> None:
    run = write_sweep(unevaluated(small_sweep()), tmp_path / "unevaluated")
    found = report(run, "--min-top1", "70")
    assert (found.code, "nothing in the sweep was evaluated" in found.err) == (2, True)
    assert report(run).err.startswith("note: nothing was evaluated: accuracy here is how often a file answers as its")
    run = write_sweep(sweep([cell("lite0", "fp32")]), tmp_path / "unmeasured")
    found = report(run, "--max-ms", "9")
    assert (found.code, "nothing in the sweep was measured" in found.err) == (2, True)
    assert "allowed: none: the sweep has no devices" in report(run, "--device", "pi4").err


def test_recommend_takes_the_same_file(recommend: Run, run: Path) -> None:
    found = recommend("--device", "pi4", "--max-ms", "60", "--min-top1", "74", "--from", run)
    assert found.code == 0
    assert found.out.splitlines()[1].startswith("  lite2 w8a8, 4 threads: top-1 76.5 % (73.8–79.0), median 45.8 ms")
    assert found.err == f"next: edgenet bundle {run / 'models/lite2-w8a8.tflite'} --platform python --out app\n"
    document = recommend("--device", "pi4", "--max-ms", "60", "--from", run, "--json").document
    assert (document["provenance"], len(document["answers"])) == ("measured", 1)


def test_recommend_fails_where_nothing_fits_and_names_the_nearest(recommend: Run, run: Path) -> None:
    found = recommend("--device", "pi4", "--max-ms", "5", "--from", run)
    assert found.code == 1
    assert "the nearest is lite0 w8a8, 4 threads" in found.out
    assert "at most 5 ms is missed by 321.2 %: median 21.1 ms (20.9–21.3)" in found.out
    assert found.err.startswith("error: none of the measured files meets the bounds; ")


def test_recommend_rests_on_no_emulated_time(recommend: Run, run: Path, tmp_path: Path) -> None:
    assert recommend("--device", "qemu", "--max-ms", "900", "--from", run).code == 3
    record = sweep([cell("lite0", "fp32", "pi4"), waiting("lite0", "fp32", "pi5")])
    late = write_sweep(record, tmp_path / "late")
    found = recommend("--device", "pi5", "--max-ms", "900", "--from", late)
    assert (found.code, found.err.partition(";")[0]) == (3, "error: nothing was measured on pi5 in this sweep")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "pi4", "--max-ms", "9", "--from", "nothing"], "no sweep.json in nothing"),
        (["--device", "pi9", "--max-ms", "9", "--from", "run"], "device 'pi9' is not in the sweep"),
        (["--device", "pi4", "--from", "run"], "no limit was given; allowed: --max-ms MS"),
        (["--max-ms", "9", "--from", "run"], "no device was given; allowed: --device D"),
    ],
)
def test_what_recommend_refuses(
    arguments: list[str], message: str, recommend: Run, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    found = recommend(*arguments)
    assert (found.code, found.err.startswith(f"error: {message}")) == (2, True), found.err


def test_reading_a_sweep_imports_no_tensorflow(run: Path) -> None:
    words = ["report", str(run), "--json"]
    main = f"import sys; from edgenet.__main__ import main; main({words!r})"
    code = f"{main}; assert 'tensorflow' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"] == str(run / "report.html")
