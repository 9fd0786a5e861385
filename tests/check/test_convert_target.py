"""`convert --target edgetpu`: a file that is predicted to be mapped whole, with the same answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converters import flatbuffer
from converters.check.check import check
from converters.check.graph import read_graph
from converters.check.verdict import Place
from converters.quantized_layers import layers
from converters.runtime import Runner
from edgenet.__main__ import main
from edgenet.artifact import find_artifacts
from tests.networks import pictures


def _convert(variant: str, out: Path, *more: str) -> int:
    arguments = ["convert", "--variant", variant, "--int8", "--weights", "random", "--samples", "16", "--no-verify"]
    return main([*arguments, "--out", str(out), *more])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return one network as the default file and as that for the Edge TPU."""
    plain, target = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("target")
    assert _convert("lite0", plain) == 0
    assert _convert("lite0", target, "--precision", "fp32", "--target", "edgetpu") == 0
    return plain, target


def _file(folder: Path) -> Path:
    return folder / "lite0-w8a8-random.tflite"


def test_every_op_is_mapped(folders: tuple[Path, Path]) -> None:
    report = check(_file(folders[1]))
    assert len(report.accelerated) == len(report.operators) == 64
    assert report.parts == 1


def test_the_default_file_leaves_a_doubt_at_its_dense_op(folders: tuple[Path, Path]) -> None:
    told = [(row.name, row.layer, row.place) for row in check(_file(folders[0])).others]
    assert told == [
        ("FULLY_CONNECTED", "classifier", Place.UNCERTAIN),
        ("QUANTIZE", "classifier", Place.UNCERTAIN),
    ]


def test_the_dense_op_is_a_convolution_with_the_same_answers(folders: tuple[Path, Path]) -> None:
    plain, target = (Runner(_file(folder).read_bytes()) for folder in folders)
    for image in pictures(3, side_px=224):
        assert np.array_equal(plain.logits(image), target.logits(image))
    names = [row.name for row in read_graph(_file(folders[1]).read_bytes()).operators]
    assert names[-5:] == ["MEAN", "RESHAPE", "CONV_2D", "RESHAPE", "QUANTIZE"]
    assert "FULLY_CONNECTED" not in names


def test_its_layers_are_still_those_of_the_float_network(folders: tuple[Path, Path]) -> None:
    original = flatbuffer.read((folders[1] / "lite0-fp32-random.tflite").read_bytes())
    found = [row.output_name for row in layers(flatbuffer.read(_file(folders[1]).read_bytes()), original)]
    assert len(found) == 50
    assert found[-1] == "logits"


def test_the_manifest_repeats_it(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (artifact,) = find_artifacts(_file(folders[1]))
    (real,) = find_artifacts(folders[1] / "lite0-fp32-random.tflite")
    assert real.manifest.target is None
    assert artifact.manifest.target == "edgetpu"
    (plain,) = find_artifacts(_file(folders[0]))
    assert plain.manifest.target is None
    manifest = str(folders[1] / "lite0-w8a8-random.manifest.json")
    assert main(["convert", "--from", manifest, "--out", str(tmp_path), "--no-verify"]) == 0
    assert _file(tmp_path).read_bytes() == _file(folders[1]).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--int8", "--target", "coral"], "unknown --target 'coral'; allowed: edgetpu"),
        (["--fp16", "--target", "edgetpu"], "--target edgetpu cannot take fp16 with float32 ends; allowed: w8a8 with"),
        (["--int8", "--io", "float32", "--target", "edgetpu"], "cannot take w8a8 with float32 ends"),
        (["--int8", "--target", "edgetpu", "--repair", "cpu"], "--target edgetpu beside --repair cpu"),
        (["--int8", "--target", "edgetpu", "--format", "onnx"], "--target edgetpu beside --format onnx"),
    ],
)
def test_what_does_not_go_with_it(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--variant", "lite0", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "weights"),
    [("lite0", "packaged"), ("lite1", "packaged"), ("lite2", "packaged"), ("edgetpu-s", "random"),
     ("edgetpu-m", "random"), ("edgetpu-l", "random")],
)  # fmt: skip
def test_the_variants_made_for_it_are_mapped_whole(
    variant: str, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--variant", variant, "--int8", "--weights", weights, "--samples", "16", "--no-verify"]
    assert main(["convert", *arguments, "--target", "edgetpu", "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.tflite")
    capsys.readouterr()
    assert main(["check", str(path), "--fail-on", "cpu-ops", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cpu_ops"] == []
    assert len(document["accelerated_ops"]) == document["operators"] > 60
