"""A run can be repeated from its manifest to the same bytes, and a precision is the same alone and among others."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgenet.__main__ import main
from edgenet.artifact import find_artifacts
from edgenet.precision import PRECISIONS, Precision
from tests.test_artifact import snapshot, write_small

STEM = "lite0-w8a8-random"
NAME = f"{STEM}.manifest.json"


# Subsets


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return every file of a small network that was written in all precisions by one run."""
    folder = tmp_path_factory.mktemp("together")
    write_small(folder, PRECISIONS, "b")
    return snapshot(folder)


SUBSETS: list[tuple[Precision, ...]] = [*((name,) for name in PRECISIONS), ("w8a16", "fp16"), ("w8", "w8a8")]


@pytest.mark.parametrize("precisions", SUBSETS, ids=",".join)
def test_a_precision_is_the_same_alone_and_among_others(
    together: dict[str, bytes], tmp_path: Path, precisions: tuple[Precision, ...]
) -> None:
    write_small(tmp_path, precisions, "b")
    files = snapshot(tmp_path)
    assert len(files) == 3 * len(precisions)
    for name, content in files.items():
        if name.endswith(".manifest.json"):
            assert _lasting(content) == _lasting(together[name])
        else:
            assert content == together[name], name


def _lasting(manifest: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(manifest)
    del document["network_error"]  # threads sum in another order
    return document


# The command


@dataclass(frozen=True)
class Outcome:
    code: int
    err: str

    @property
    def last(self) -> str:
        return self.err.splitlines()[-1]


Run = Callable[..., Outcome]


@pytest.fixture
def convert(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the verb and returns its exit code and stderr."""

    def run(*arguments: str | Path) -> Outcome:
        code = main(["convert", *map(str, arguments)])
        return Outcome(code, capsys.readouterr().err)

    return run


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a first run, with nothing at its default."""
    folder = tmp_path_factory.mktemp("first")
    flags = "--variant lite0 --int8 --io int8 --weights random:5 --samples 17 --seed 3 --classes 12 --no-verify"
    assert main(["convert", *flags.split(), "--out", str(folder)]) == 0
    return folder


def test_a_run_is_repeated_to_the_same_bytes(convert: Run, first: Path, tmp_path: Path) -> None:
    outcome = convert("--from", first / NAME, "--out", tmp_path, "--no-verify")
    assert outcome.code == 0, outcome.err
    before, after = snapshot(first), snapshot(tmp_path)
    assert set(after) == {f"{STEM}{suffix}" for suffix in (".tflite", ".golden.npz", ".manifest.json")}
    assert after[f"{STEM}.tflite"] == before[f"{STEM}.tflite"]
    assert after[f"{STEM}.golden.npz"] == before[f"{STEM}.golden.npz"]
    (artifact,) = find_artifacts(tmp_path)
    assert f"the same bytes as the manifest says: sha256 {artifact.manifest.sha256}" in outcome.err
    assert (artifact.manifest.io, artifact.manifest.weights.num_classes) == ("int8", 12)
    assert artifact.manifest.calibration is not None
    assert (artifact.manifest.calibration.seed, artifact.manifest.calibration.wanted) == (3, 17)


@dataclass(frozen=True)
class Changed:
    """What the manifest says differently, and what the run makes of it."""

    id: str
    path: tuple[str, ...]
    value: Any
    code: int
    says: str


CHANGED = [
    Changed(
        "weights",
        ("weights", "sha256"),
        "0" * 64,
        2,
        "error: seed 5 is not the file of the manifest (sha256 differs); give that file",
    ),
    Changed("seed", ("weights", "origin"), "seed 6", 2, "error: seed 6 is not the file of the manifest"),
    Changed(
        "bytes",
        ("sha256",),
        "0" * 64,
        1,
        f"error: {STEM}.tflite has other bytes than its manifest says; no tool changed; is it another machine?",
    ),
    Changed(
        "images",
        ("calibration", "seed"),
        4,
        1,
        f"error: {STEM}.tflite has other bytes than its manifest says; the calibration images are others than they",
    ),
    Changed(
        "bytes and tool",
        ("tool_versions", "litert-quantizer"),
        "0.0.1",
        1,
        f"error: {STEM}.tflite has other bytes than its manifest says; tools changed: litert-quantizer 0.0.1 ->",
    ),
    Changed("source", ("weights", "source"), "model", 2, f"error: {NAME} comes from edgenet quantize; repeat that"),
    Changed("local file", ("weights", "source"), "file", 2, "error: the weights were the file seed 5; say where it is"),
]


@pytest.mark.parametrize("case", CHANGED, ids=lambda case: case.id)
def test_what_differs_is_said(convert: Run, first: Path, tmp_path: Path, case: Changed) -> None:
    document = json.loads((first / NAME).read_text())
    owner = document
    for key in case.path[:-1]:
        owner = owner[key]
    owner[case.path[-1]] = case.value
    if case.path[0] == "tool_versions":
        document["sha256"] = "0" * 64  # another version alone changes nothing
    (tmp_path / NAME).write_text(json.dumps(document))
    outcome = convert("--from", tmp_path / NAME, "--out", tmp_path / "again", "--no-verify")
    assert outcome.code == case.code
    assert outcome.last.startswith(case.says)
    assert any((tmp_path / "again").glob("*")) == (case.code == 1)


def test_a_repeat_never_replaces_the_run_that_it_repeats(convert: Run, first: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(first, tmp_path / "copied")
    outcome = convert("--from", folder / NAME, "--out", folder / ".." / "copied", "--no-verify")
    assert outcome.code == 2
    says = f"error: --from would write over the run of {folder / NAME}; name another folder with --out"
    assert outcome.last == says
    assert snapshot(folder) == snapshot(first)
