"""The Core ML model of an iOS bundle: written and read by the real coremltools 9.0, computed by NumPy.

Checked: that coremltools writes and reads it, its ends, its labels, its weights against the float network's, and the
answers of its own program as NumPy computes them with the values' own types. Not checked: Core ML, which exists on
Apple's systems only; coremltools cannot predict on Linux.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from converters import flatbuffer
from converters.entry import FLOAT_ENTRY
from converters.float_file import build_float
from converters.runtime import load_runner
from edgenet.artifact import Artifact
from edgenet.bundle.content import Content, content_of
from edgenet.bundle.core_ml import CoreMLDocument, Report, core_ml_files, prove
from edgenet.bundle.core_ml_network import KNOWN_OPS, network_of
from edgenet.bundle.make import make_bundle
from edgenet.bundle.record import read_record
from edgenet.errors import GateFailed, InputError, MissingError
from tests.bundle.small import LABELS, small_wishes
from tests.networks import small_weights
from tests.test_artifact import write_small
from tests.verbs import verb

PYTHON_VARIABLE = "EDGENET_COREMLTOOLS_PYTHON"  # a Python with coremltools 9.0
PACKAGE = "Sources/Lite0Classifier/Resources/Lite0Classifier.mlpackage"
FAMILIES = ("b", "lite", "edgetpu", "v2")

# What coremltools itself reads in a package, once more and apart from the script that is tested.
READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
import coremltools as ct
spec = ct.models.MLModel(sys.argv[1], skip_model_load=True).get_spec()
image = spec.description.input[0].type.imageType
[function] = spec.mlProgram.functions.values()
[block] = function.block_specializations.values()
print(json.dumps({
    "name": spec.description.input[0].name, "width": image.width, "height": image.height,
    "rgb": image.colorSpace == image.RGB, "outputs": [row.name for row in spec.description.output],
    "ops": sorted({row.type for row in block.operations}), "about": spec.description.metadata.shortDescription,
    "custom": dict(spec.description.metadata.userDefined),
}))
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file, with its fp32 file beside it."""
    artifact, _ = write_small(tmp_path_factory.mktemp("artifact"), ["w8a8", "fp32"])
    return artifact


@pytest.fixture(scope="module")
def content(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a bundle of it is made from."""
    return content_of(artifact, "Lite0Classifier", small_wishes(tmp_path_factory.mktemp("content")))


@pytest.fixture(scope="module")
def python() -> str:
    """Return a Python with coremltools."""
    if PYTHON_VARIABLE not in os.environ:
        pytest.skip(f"{PYTHON_VARIABLE} names no Python with coremltools 9.0")
    return os.environ[PYTHON_VARIABLE]


# The steps that the script is given


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_made_of_ops_that_the_script_knows(family: str) -> None:
    weights = small_weights(family)
    network = network_of(flatbuffer.write(build_float(weights.architecture(), weights, FLOAT_ENTRY)))
    assert {step.op for step in network.steps} <= set(KNOWN_OPS)
    made = {"image", *network.constants}
    for step in network.steps:
        assert set(step.inputs) <= made, step
        made.add(step.output)
    assert network.output in made


def test_an_op_without_a_counterpart_is_named(artifact: Artifact) -> None:
    with pytest.raises(InputError, match=r"--core-ml: the float network has a \w+Linear, .*; allowed: Add, Clip, Conv"):
        network_of(artifact.path.read_bytes())


# Refused


def test_core_ml_is_for_ios(artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--platform", "c", "--core-ml", sys.executable, "--labels", small_wishes(tmp_path).labels)
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", "--allow-random", *words)
    assert (done.code, done.out) == (2, "")
    assert "--core-ml says nothing to c; allowed: --platform ios" in done.err
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (
            sys.executable,
            "could not write the model: ModuleNotFoundError: No module named 'coremltools'; .*pip install",
        ),
        ("/nowhere/python", "cannot run /nowhere/python: .*; python3 -m venv coreml && .*pip install coremltools==9.0"),
    ],
)
def test_a_python_without_coremltools_is_told_how_to_get_it(python: str, message: str, content: Content) -> None:
    with pytest.raises(MissingError, match=message):
        core_ml_files(replace(content, wishes=replace(content.wishes, core_ml=python)), "x.mlpackage/", "golden/")


def test_a_float_network_that_is_not_at_hand_is_asked_for(content: Content, tmp_path: Path) -> None:
    """A small network's seed does not give its weights again, as little as an artifact holds those of a local file."""
    alone = replace(content, artifact=replace(content.artifact, path=tmp_path / content.artifact.path.name))
    with pytest.raises(InputError, match=r"--core-ml wants the float network: .*; write fp32 into the same folder"):
        core_ml_files(alone, "x.mlpackage/", "golden/")


def test_two_classes_of_one_name_are_refused(content: Content) -> None:
    with pytest.raises(InputError, match="two classes have one name; allowed: distinct names; give --labels FILE"):
        core_ml_files(replace(content, labels=("same", *LABELS[1:-1], "same")), "x.mlpackage/", "golden/")


def _report(content: Content, **changed: Any) -> Report:
    """Return the report of a file that is the network, by a double of the script, with one thing changed."""
    side = content.photos.side_px
    right = {
        "input": ("image", side, side, "RGB"), "outputs": ("classLabel", "classLabel_probs", "logits"),
        "predicted": ("classLabel", "classLabel_probs"), "labels": content.labels, "specification": 6,
        "weights_error": 0.0004, "logits": ((1.0, *(0.0,) * 9),) * 3, "coremltools": "9.0",
    }  # fmt: skip
    return Report.model_validate({**right, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, ""),
        ({"input": ("image", 64, 64, "BGR")}, "its input is"),
        ({"input": ("image", 32, 64, "RGB")}, "its input is"),
        ({"outputs": ("logits",)}, "its outputs are"),
        ({"labels": LABELS[::-1]}, "its classes are others"),
        ({"weights_error": 0.001}, "weights are off by 0.001 of the largest"),
        ({"weights_error": float("inf")}, "weights are off by inf"),
        ({"logits": ((0.97, *(0.0,) * 9),) * 3}, "logits are off by 0.03, 0.02 is allowed"),
        ({"logits": ((float("nan"), *(0.0,) * 9),) * 3}, "logits are off by nan"),
    ],
)
def test_a_file_that_is_not_the_network_fails(changed: dict[str, Any], message: str, content: Content) -> None:
    logits = np.asarray(((1.0, *(0.0,) * 9),) * 3, dtype=np.float32)
    if not message:
        assert prove(content, _report(content), logits).logit_error == 0
        return
    with pytest.raises(GateFailed, match=f"is not the float network: {message}"):
        prove(content, _report(content, **changed), logits)


# Written


def _read(python: str, package: Path) -> dict[str, Any]:
    done = subprocess.run([python, "-I", "-c", READ, str(package)], capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.slow
def test_the_bundle_holds_the_float_network_as_core_ml(artifact: Artifact, python: str, tmp_path: Path) -> None:
    made = make_bundle(artifact, "ios", tmp_path / "app", small_wishes(tmp_path, core_ml=python, author="A. Uthor"))
    found = _read(python, made.path / PACKAGE)
    assert (found["name"], found["width"], found["height"], found["rgb"]) == ("image", 64, 64, True)
    assert found["outputs"] == ["classLabel", "classLabel_probs", "logits"]
    assert {"conv", "linear", "softmax", "classify"} <= set(found["ops"])
    assert "RANDOM WEIGHTS" in found["about"]
    assert not [name for name in found["custom"] if "date" in name]
    document = read_record(made.path / "core_ml.json", CoreMLDocument)
    assert document.coremltools == "9.0"
    runner = load_runner(artifact.path.with_name("lite0-fp32-random.tflite").read_bytes())
    for row in document.golden.cases:
        logits = runner.logits(np.asarray(Image.open(made.path / "Tests/Lite0ClassifierTests/Golden" / row.seen)))
        assert [answer.logit for answer in row.top] == pytest.approx(sorted(logits, reverse=True)[:5])
        assert [answer.label for answer in row.top] == [LABELS[index] for index in np.argsort(-logits)[:5]]
    assert "case coreML" in (made.path / "Sources/Lite0Classifier/Classifier.swift").read_text(encoding="utf-8")
    assert f'.copy("Resources/{Path(PACKAGE).name}")' in (made.path / "Package.swift").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_written_and_proven(family: str, python: str, tmp_path: Path) -> None:
    """Swish with squeeze-and-excite, relu6, relu, and v2's blocks."""
    [artifact] = write_small(tmp_path, ["fp32"], family)
    made = make_bundle(artifact, "ios", tmp_path / "app", small_wishes(tmp_path, core_ml=python))
    document = read_record(made.path / "core_ml.json", CoreMLDocument)
    assert 0 < document.weights_error <= 2**-11
    assert document.logit_error <= document.golden.logit_tolerance


@pytest.mark.slow
def test_the_same_network_gives_the_same_core_ml_bytes(
    artifact: Artifact, python: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two conversions, one of them by the command line; a changed weight is found again by its hash."""
    made = make_bundle(artifact, "ios", tmp_path / "first", small_wishes(tmp_path, core_ml=python))
    words = ("--platform", "ios", "--core-ml", python, "--labels", small_wishes(tmp_path).labels, "--allow-random")
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "second", *words)
    assert done.code == 0, done.err
    assert "Core ML ..." in done.err
    files = {path.relative_to(made.path): path.read_bytes() for path in made.path.rglob("*") if path.is_file()}
    assert any(path.name == "weight.bin" for path in files)
    for path, file in files.items():
        assert (tmp_path / "second" / path).read_bytes() == file, path
    assert verb("bundle", capsys)("--check", tmp_path / "second").code == 0
    [weights] = (tmp_path / "second").rglob("weight.bin")
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    done = verb("bundle", capsys)("--check", tmp_path / "second")
    assert done.code == 1
    assert f"{PACKAGE}/Data/com.apple.CoreML/weights/weight.bin is not what was written" in done.err
