"""`edgenet compile` with a compiler on this machine: a double (compiler_double.py), and the real one where it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from converters import flatbuffer
from converters.check.compiled import read_packages
from converters.check.graph import read_graph
from edgenet.artifact import find_artifacts, read_golden
from edgenet.manifest import CompilationRecord
from tests.check.pairs import Pair, each_pair, needs_pairs
from tests.compile.compiled_shape import RUNTIME, TOKEN, compiled
from tests.compile.compiler_double import VERSION, write_double
from tests.test_artifact import write_small
from tests.verbs import Run, verb

ROOT = Path(__file__).resolve().parents[2]


def left_behind(home: Path) -> list[Path]:
    """Return what a compilation has left of its folder."""
    return list(home.glob("work-*"))


def test_an_artifact_becomes_an_artifact(run: Run, model: Path, home: Path, tmp_path: Path) -> None:
    double = write_double(tmp_path / "bin", left=1)
    done = run(model, "--compiler", double, "--out", tmp_path / "out", "--min-runtime", "13")
    assert done.code == 0, done.err
    (artifact,) = find_artifacts(tmp_path / "out")
    (source,) = find_artifacts(model)
    record = artifact.manifest.compilation
    assert record is not None
    assert artifact.path.name == f"{model.stem}_edgetpu.tflite"
    assert (artifact.manifest.variant, artifact.manifest.verification) == (source.manifest.variant, None)
    assert artifact.manifest.tool_versions["edgetpu_compiler"] == record.compiler_version == VERSION
    assert record.place == str(double)
    assert record.arguments == ("-o", "out", "-t", "180", "-m", "13", model.name)
    assert record.source_sha256 == source.manifest.sha256
    assert record.compile_s == 0.524
    assert record.log["cached_bytes"] == 4096
    assert record.log["remaining_bytes"] == round(7.67 * 2**20)
    assert (record.operators - record.mapped_operators, len(record.left)) == (1, 1)
    assert record.left[0].status == "More than one subgraph is not supported"
    (file,) = record.files
    assert (file.minimum_runtime, file.accelerated_parts, file.cached_parameter_bytes) == (RUNTIME, 1, 4096)
    assert (read_golden(artifact).logits == read_golden(source).logits).all(), "the answers of the file before"
    assert left_behind(home) == []
    assert done.err.splitlines()[-1] == f"next: edgenet benchmark {artifact.path} --delegate edgetpu"


def test_other_verbs_say_what_to_do_with_it(
    run: Run, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "--compiler", write_double(tmp_path / "bin"), "--out", tmp_path / "out").code == 0
    (artifact,) = find_artifacts(tmp_path / "out")
    done = verb("convert", capsys)("--from", artifact.path.with_suffix(".manifest.json"), "--out", tmp_path / "again")
    assert (done.code, f"repeat {model.name} by its own manifest, and compile it again" in done.err) == (2, True)
    done = verb("diagnose", capsys)(artifact.path)
    assert (done.code, "edgenet benchmark FILE --delegate edgetpu holds it to its golden" in done.err) == (2, True)


def test_disagreement_is_told_recorded_and_a_gate(run: Run, model: Path, tmp_path: Path) -> None:
    double = write_double(tmp_path / "bin", left=3)
    done = run(model, "--compiler", double, "--out", tmp_path, "--fail-on", "disagreement")
    assert done.code == 1
    (artifact,) = find_artifacts(tmp_path)
    assert artifact.manifest.compilation is not None
    told = artifact.manifest.compilation.disagreements
    # Of the three last ops check calls two a doubt, which is settled; the pooling before them it had on the chip.
    assert [line.split(": ")[1].partition(" (")[0] for line in told] == ["predicted on the chip, left to the CPU"]
    assert told[0] in done.err
    assert "1 predictions were wrong" in done.err
    assert artifact.manifest.compilation.doubts == 2


@needs_pairs
@each_pair
def test_what_the_real_compiler_wrote_is_what_was_predicted(pair: Pair, run: Run, home: Path, tmp_path: Path) -> None:
    """The double hands over the real compiled file of the pair."""
    done = run(pair.model, "--compiler", write_double(tmp_path / "bin"), "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    (record,) = done.document["compiled"]
    assert record["disagreements"] == []
    assert (record["operators"], len(record["left"])) == (pair.operators, pair.left_on_cpu)
    assert record["files"][0]["cached_parameter_bytes"] == pair.parameter_bytes
    written = tmp_path / "out" / f"{pair.name}_edgetpu.tflite"
    assert written.read_bytes() == pair.compiled.read_bytes()
    told = json.loads(written.with_name(f"{pair.name}_edgetpu.compilation.json").read_bytes())
    assert told == {"schema_version": 1, "kind": "compilation", **record}
    assert left_behind(home) == []


def test_several_models_share_the_chip(run: Run, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    shutil.copy(model, other)
    done = run(model, other, "--compiler", write_double(tmp_path / "bin"), "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert [row["compiled_with"] for row in done.document["compiled"]] == [["other.tflite"], [model.name]]
    calls = (tmp_path / "bin" / "calls").read_text().splitlines()
    assert calls == ["--version", f"-o out -t 180 {model.name} other.tflite"], "in one call"
    assert {Path(row).name for row in done.document["files"]} == {
        f"{model.stem}_edgetpu.tflite", "other_edgetpu.tflite",
    }  # fmt: skip


def test_a_pipeline(run: Run, model: Path, tmp_path: Path) -> None:
    double, out = write_double(tmp_path / "bin"), tmp_path / "out"
    done = run(model, "--compiler", double, "--out", out, "--segments", "2", "--search")
    assert done.code == 0, done.err
    names = [f"{model.stem}_segment_{index}_of_2_edgetpu" for index in (0, 1)]
    files = {f"{name}{ending}" for name in names for ending in (".tflite", ".log")}
    assert {path.name for path in out.iterdir()} == {*files, f"{model.stem}_edgetpu.compilation.json"}
    assert (tmp_path / "bin" / "calls").read_text().splitlines()[1].split()[4:] == ["-n", "2", "-d", model.name]


def test_a_name_that_no_tool_expects(run: Run, model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "-o $(touch pwned); é.tflite"
    shutil.copy(model, odd)
    tensors = "a;b/c,d e"
    done = run(
        "--compiler", write_double(tmp_path / "bin"), "--out", tmp_path / "out", "--intermediate", tensors, "--", odd
    )
    assert done.code == 0, done.err
    assert (tmp_path / "out" / f"{odd.stem}_edgetpu.tflite").is_file()
    assert (tmp_path / "bin" / "calls").read_text().splitlines()[1] == f"-o out -t 180 -i '{tensors}' model-1.tflite"


@dataclass(frozen=True)
class Fails:
    """A behaviour of the double, the exit code, and what is said."""

    mode: str
    code: int
    says: str


FAILS = (
    Fails("refused", 1, "it knows no CONV_2D of version 9; convert with edgenet"),
    Fails("dynamic", 1, "a tensor has no fixed size; convert with edgenet (a static batch of 1)"),
    Fails("internal", 1, "internal compiler error); --search looks for"),
    Fails("crashed", 1, "it crashed (std::out_of_range: vector)"),
    Fails("own timeout", 1, "it ran out of its time, which large activations cause most often; give it more --timeout"),
    Fails("killed", 1, "it ended with status 139"),
    Fails("garbage", 1, "the compiler gave up on"),
    Fails("garbage operations", 1, "is no operation log: its table is missing"),
    Fails("damaged", 1, "is damaged: "),
    Fails("nothing", 1, "would run on the chip: "),
    Fails("endless", 1, "the compiler wrote a file of over 64 MiB and was ended"),
    Fails("no compiler", 1, "does not say that it is the Edge TPU compiler, but 'usage: something else entirely'"),
)


@pytest.mark.parametrize("case", FAILS, ids=lambda case: case.mode)
def test_nothing_is_written_where_it_fails(case: Fails, run: Run, model: Path, home: Path, tmp_path: Path) -> None:
    done = run(model, "--compiler", write_double(tmp_path / "bin", case.mode), "--out", tmp_path / "out")
    assert done.code == case.code
    assert done.err.splitlines()[-1].startswith("error: ")
    assert case.says in done.err
    assert done.out.startswith(f"{model.name} on Coral Edge TPU"), "the prediction is there all the same"
    assert list((tmp_path / "out").iterdir()) == []
    assert left_behind(home) == []


def test_it_hangs(run: Run, model: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.compile.GRACE_S", 0.0)
    double = write_double(tmp_path / "bin", "hangs")
    done = run(model, "--compiler", double, "--out", tmp_path / "out", "--timeout", "2")
    assert done.code == 1
    assert "edgetpu_compiler on local ran over 2 s and was ended; give it more --timeout" in done.err
    assert list((tmp_path / "out").iterdir()) == []
    assert left_behind(home) == []
    assert not running(tmp_path / "bin")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sent: sent.name)
def test_it_is_interrupted(sent: signal.Signals, model: Path, home: Path, tmp_path: Path) -> None:
    """Even where edgenet has no time to clean up, the folder is gone a moment later."""
    words = [
        "compile",
        str(model),
        "--compiler",
        str(write_double(tmp_path / "bin", "hangs")),
        "--out",
        str(tmp_path / "o"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(home.parent)}
    child = subprocess.Popen(
        [sys.executable, "-m", "edgenet", *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    wait(lambda: list(home.glob("work-*/out/*")))
    child.send_signal(sent)
    _, err = child.communicate(timeout=20)
    assert child.returncode == (130 if sent == signal.SIGINT else -sent), err
    wait(lambda: not left_behind(home) and not running(tmp_path / "bin"))
    assert list((tmp_path / "o").iterdir()) == []


def wait(happened: object, timeout_s: float = 15) -> None:
    assert callable(happened)
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.05)


def running(folder: Path) -> list[str]:
    """Return the processes that were started from a folder."""
    lines = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return [line.decode(errors="replace") for line in lines if str(folder).encode() in line]


def test_nothing_found(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run(model, "--out", tmp_path / "out")
    assert done.code == 3
    assert done.out.startswith(f"{model.name} on Coral Edge TPU"), "the check report"
    line = done.err.splitlines()[-1]
    assert line.startswith("error: no edgetpu_compiler on PATH; three ways forward: ")
    assert all(way in line for way in ("docker:IMAGE", "ssh://HOST", "sudo apt-get install edgetpu-compiler"))
    assert not (tmp_path / "out").exists()
    document = run(model, "--json").document
    assert (document["kind"], document["compiled"], document["files"]) == ("compile", [], [])
    assert document["checks"][0]["file"] == model.name


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--compiler", "/nowhere/edgetpu_compiler"], 3, "/nowhere/edgetpu_compiler is no program; three ways forward"),
        (["--compiler", "podman:x"], 2, "--compiler cannot be 'podman:x'; allowed: auto (PATH)"),
        (["--compiler", "docker:-v/:/x"], 2, "'-v/:/x' is no name of an image; allowed: docker:NAME[:TAG]"),
        (["--compiler", "ssh://u:secret@host"], 2, "holds a password"),
        (["--target", "gpu"], 2, "unknown --target 'gpu'; allowed: edgetpu"),
        (["--segments", "0"], 2, "--segments cannot be '0'"),
        (["--min-runtime", "9"], 2, "--min-runtime cannot be '9'"),
        (["--timeout", "0"], 2, "--timeout cannot be '0'"),
        (["--search", "--intermediate", "a"], 2, "--search beside --intermediate"),
        (["--segments", "2", "--intermediate", "a"], 2, "--segments beside --intermediate"),
        (["--intermediate", "a,,b"], 2, "--intermediate cannot have ''"),
        (["--fail-on", "ops"], 2, "unknown --fail-on 'ops'; allowed: cpu-ops, streamed, disagreement"),
    ],
)
def test_wrong_words(words: list[str], code: int, says: str, run: Run, model: Path, tmp_path: Path) -> None:
    done = run(model, *words, "--out", tmp_path)
    assert (done.code, says in done.err) == (code, True), done.err


@pytest.mark.parametrize(
    ("precision", "says"),
    [
        ("fp32", "it computes on float32; allowed: int8 or uint8 (w8a8); quantize all of it"),
        ("w8d", "it computes on float32 around 8-bit weights (dynamic range)"),
        ("w8a16", "it computes on int16"),
    ],
)
def test_other_numbers_are_refused_before_it_is_called(precision: str, says: str, run: Run, tmp_path: Path) -> None:
    (artifact,) = write_small(tmp_path / "model", [precision])  # type: ignore[list-item]  # one of the precisions
    done = run(artifact.path, "--compiler", write_double(tmp_path / "bin"))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err
    assert not (tmp_path / "bin" / "calls").exists()


def test_files_that_are_none(run: Run, model: Path, tmp_path: Path) -> None:
    double = write_double(tmp_path / "bin")
    cut, made = tmp_path / "cut.tflite", tmp_path / "made.tflite"
    cut.write_bytes(model.read_bytes()[:5000])
    made.write_bytes(compiled(model.read_bytes(), taken=2))
    twin = tmp_path / "more" / model.name
    twin.parent.mkdir()
    shutil.copy(model, twin)
    for files, says in (
        ([cut], "cut.tflite: "),
        ([made], "it is compiled already; name the file that it was made of"),
        ([tmp_path / "none.tflite"], "cannot read"),
        ([model, twin], f"two models are called {model.stem}; rename one"),
    ):
        done = run(*files, "--compiler", double)
        assert (done.code, says in done.err) == (2, True), done.err
    assert not (tmp_path / "bin" / "calls").exists()


def test_an_old_compiler_cannot_search(run: Run, model: Path, tmp_path: Path) -> None:
    double = write_double(tmp_path / "bin")
    double.write_text("#!/bin/sh\necho Edge TPU Compiler version 15.0.340273435\n")
    done = run(model, "--compiler", double, "--search", "--out", tmp_path / "out")
    assert (done.code, "--search with compiler 15.0.340273435, which cannot" in done.err) == (2, True)


def test_the_python_face(model: Path, home: Path, tmp_path: Path) -> None:
    import edgenet

    (record,) = edgenet.compile(model, compiler=str(write_double(tmp_path / "bin")), out=tmp_path / "out")
    assert isinstance(record, CompilationRecord)
    assert find_artifacts(tmp_path / "out")[0].manifest.command == ("edgenet.compile",)


def test_the_doubles_files_are_read_like_real_ones(model: Path) -> None:
    made = compiled(model.read_bytes(), taken=4, cached=b"x" * 100, streamed=b"y" * 200)
    (package,) = read_packages(read_graph(made))
    assert (package.minimum_runtime, package.cached_parameter_bytes, package.streamed_parameter_bytes) == (14, 100, 200)
    assert {row.token for row in package.executables} == {TOKEN}
    assert len(flatbuffer.read(made).subgraphs[0].operators) == len(read_graph(model.read_bytes()).operators) - 3


REAL = shutil.which("edgetpu_compiler")


@needs_pairs
@each_pair
@pytest.mark.skipif(REAL is None, reason="the real edgetpu_compiler is not on PATH")
def test_the_real_compiler(pair: Pair, run: Run, tmp_path: Path) -> None:
    done = run(pair.model, "--out", tmp_path, "--fail-on", "disagreement", "--json")
    assert done.code == 0, done.err
    assert len(done.document["compiled"][0]["left"]) == pair.left_on_cpu
