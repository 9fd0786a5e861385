"""`edgenet check` from the command line: words, gates, JSON, picture, and what it costs to start."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer
from edgenet.__main__ import main
from tests.test_artifact import write_small

ROOT = Path(__file__).resolve().parents[2]
LARGE_BYTES = 15_000_000
START_S = 1.0
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a small network in the precisions that differ for an accelerator."""
    folder = tmp_path_factory.mktemp("files")
    written = write_small(folder, ["fp32", "w8d", "w8a8", "w8a16"], "b")
    return {str(row.manifest.precision): row.path for row in written}


@pytest.fixture(scope="module")
def large(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the w8a8 file with so much data beside its weights that it is as large as a real one."""
    model = flatbuffer.read(files["w8a8"].read_bytes())
    buffer = schema.BufferT()
    buffer.data = np.random.default_rng(0).integers(0, 256, LARGE_BYTES, dtype=np.uint8)
    model.buffers.append(buffer)
    path = tmp_path_factory.mktemp("large") / "large.tflite"
    path.write_bytes(flatbuffer.write(model))
    return path


def test_words(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(files["w8a8"])]) == 0
    out, err = capsys.readouterr()
    assert f"{files['w8a8'].name} on Coral Edge TPU" in out
    assert " may be unmapped, 0 on the CPU; 1 part" in out
    assert "all cached on the chip" in out
    assert "(estimated)" in out
    assert "estimated for" in out
    assert "mend: a 1x1 convolution computes the same: edgenet convert --target edgetpu" in err
    assert "LOGISTIC: swish or squeeze-and-excite" in err
    assert err.splitlines()[-1].startswith("next: edgenet ")


def test_a_folder_stands_for_its_only_file(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(files["w8a8"], tmp_path)
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{files['w8a8'].name} on ")
    assert main(["check", str(files["w8a8"].parent)]) == 2
    assert "holds 4 .tflite files: " in capsys.readouterr().err


def test_json(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(files["w8a8"]), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["kind"], document["target"]) == (1, "check", "edgetpu")
    assert len(document["accelerated_ops"]) + len(document["cpu_ops"]) == document["operators"]
    assert {row["status"] for row in document["accelerated_ops"]} == {"mapped"}
    assert [(row["name"], row["status"], row["certain"]) for row in document["cpu_ops"]] == [
        ("FULLY_CONNECTED", "may be unmapped", False),
        ("QUANTIZE", "may be unmapped", False),
    ]
    assert {row["provenance"] for row in [*document["latency"], document["memory"]]} == {"estimated"}
    assert {row["bus"] for row in document["latency"]} == {"usb3", "pcie", "usb2"}
    assert all(row["latency_s"] > 0 for row in document["latency"])
    assert document["memory"]["parameter_bytes"] > 0


GATES: list[tuple[list[str], int, str]] = [
    (["--fail-on", "cpu-ops"], 1, "2 of "),
    (["--fail-on", "streamed"], 0, ""),
    (["--fail-on", "streamed,cpu-ops"], 1, "ops run on the CPU or may do so"),
    (["--target", "xnnpack", "--fail-on", "cpu-ops"], 1, "edgenet convert --io int8"),
    ([], 0, ""),
]


@pytest.mark.parametrize(("arguments", "code", "says"), GATES, ids=[" ".join(row[0]) or "none" for row in GATES])
def test_gates(
    files: dict[str, Path], arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(files["w8a8"]), *arguments]) == code
    err = capsys.readouterr().err
    assert ("\nerror: " in f"\n{err}") == bool(code)
    assert says in err


def test_streamed_parameters_fail_a_gate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.published_networks import efficientnet
    from converters.check import check

    report = check.check_graph(efficientnet("edgetpu-l"), "edgetpu", "l.tflite")
    monkeypatch.setattr(check, "check", lambda model, target: report)
    assert main(["check", "l.tflite", "--fail-on", "streamed"]) == 1
    out, err = capsys.readouterr()
    assert "MiB of them streamed with every inference" in out
    assert "MiB of parameters are streamed with every inference" in err


@pytest.mark.parametrize(
    ("precision", "says"),
    [
        ("fp32", "it computes on float32; allowed: int8 or uint8 (w8a8); quantize all of it: edgenet convert --int8"),
        ("w8d", "it computes on float32 around 8-bit weights (dynamic range)"),
        ("w8a16", "it computes on int16; allowed: int8 or uint8 (w8a8)"),
    ],
)
def test_a_model_of_other_numbers_is_refused(
    files: dict[str, Path], precision: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(files[precision])]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"error: {files[precision].name}: {says}")


def test_a_dynamic_batch_is_refused_by_the_compiler(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = flatbuffer.read(files["w8a8"].read_bytes())
    image = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    image.shapeSignature = [-1, *image.shape[1:]]
    path = tmp_path / "dynamic.tflite"
    path.write_bytes(flatbuffer.write(model))
    assert main(["check", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["accelerated_ops"] == document["latency"] == []
    assert "has no fixed size (dynamic batch)" in document["refusals"][0]
    assert main(["check", str(path), "--fail-on", "cpu-ops"]) == 1
    assert "the compiler refuses the whole file" in capsys.readouterr().err


def test_picture(files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "parts.svg"
    assert main(["check", str(files["w8a8"]), "--picture", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["picture"] == str(path)
    root = ElementTree.fromstring(path.read_text())
    bars = [row for row in root.iter(f"{SVG}rect") if row.find(f"{SVG}title") is not None]
    strip = [row for row in bars if str(row.findtext(f"{SVG}title")).startswith("ops ")]
    assert len(bars) - len(strip) == document["operators"]
    assert [row.get("class") for row in strip] == ["on", "doubt"]
    assert not list(root.iter(f"{SVG}script"))


def test_it_starts_fast_and_without_tensorflow(large: Path) -> None:
    """Processor time is counted, not the clock: other processes may run beside a test."""
    code = (
        "import sys; from edgenet.__main__ import main; code = main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'tf_keras', 'onnxruntime', 'litert_quantizer', 'scipy'} & set(sys.modules); "
        "sys.exit(code or bool(heavy))"
    )
    assert large.stat().st_size > LARGE_BYTES
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(large), "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "check"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < START_S
