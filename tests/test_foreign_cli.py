"""`edgenet convert --from MODEL`: written, repeated, verified, and what stands beside it on the command line."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import edgenet
from converters.foreign.files import digest, kind_of
from edgenet.__main__ import main
from edgenet.errors import InputError
from edgenet.weights.preprocessing_rules import PreprocessingOverrides
from tests.foreign_models import Style, trained, write_onnx

FLAGS = ("--mean", "127.5", "--std", "127.5")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lite0 as another tool exported it."""
    return write_onnx(tmp_path_factory.mktemp("foreign") / "mine.onnx", trained("lite0"), Style(named=False))


def test_a_model_is_converted_repeated_and_verified(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    assert (
        main(["convert", "--from", str(model), *FLAGS, "--crop", "0.9", "--precision", "fp16", "--out", str(once)]) == 0
    )
    manifest = json.loads((once / "lite0-fp16.manifest.json").read_text(encoding="utf-8"))
    weights, preprocessing = manifest["weights"], manifest["preprocessing"]
    assert (weights["source"], weights["origin"], weights["num_classes"]) == ("file", "mine.onnx", 5)
    assert weights["sha256"] == digest(model)
    assert any("proved against the model itself" in note for note in weights["notes"])
    assert (preprocessing["mean"], preprocessing["crop_fraction"]) == ([127.5] * 3, 0.9)
    repeat = ["convert", "--from", str(once / "lite0-fp16.manifest.json"), "--out", str(again)]
    assert main(repeat) == 2
    assert main([*repeat, "--weights", str(model)]) == 0
    assert (again / "lite0-fp16.tflite").read_bytes() == (once / "lite0-fp16.tflite").read_bytes()
    file = str(once / "lite0-fp16.tflite")
    assert main(["verify", file, "--weights", str(model), "--min-agree", "0.9"]) == 0
    other = write_onnx(tmp_path / "other.onnx", trained("lite0"), Style(folded=False))
    assert main(["verify", file, "--weights", str(other)]) == 2
    assert "other.onnx has other weights" in capsys.readouterr().err


def test_python_takes_a_model_as_the_source(model: Path, tmp_path: Path) -> None:
    half = PreprocessingOverrides(mean=(127.5,) * 3, std=(127.5,) * 3)
    (artifact,) = edgenet.convert(source=model, preprocessing=half, out=tmp_path, verify=False)
    assert (artifact.path.name, artifact.manifest.weights.origin) == ("lite0-fp32.tflite", "mine.onnx")
    with pytest.raises(InputError, match="beside a model"):
        edgenet.convert(source=model, weights="random", preprocessing=half, out=tmp_path)


@dataclass(frozen=True)
class Wrong:
    """Flags beside --from that cannot be, and the message."""

    id: str
    flags: tuple[str, ...]
    message: str


WRONG = (
    Wrong("nothing is guessed", (), "nothing in mine.onnx says how its image is normalized"),
    Wrong("half of it", ("--mean", "127"), "only one of --mean and --std"),
    Wrong("another variant", (*FLAGS, "--variant", "b0"), "mine.onnx is lite0, not b0"),
    Wrong("other weights", (*FLAGS, "--weights", "random"), "drop --weights"),
    Wrong("other classes", (*FLAGS, "--classes", "7"), "mine.onnx has 5 classes, not 7"),
)


BEFORE_READING = (
    Wrong("a file format that is none", ("--format", "onxx"), "unknown --format 'onxx'"),
    Wrong("a precision that ONNX has not", ("--dynamic", "--format", "onnx"), "w8d is not written as ONNX"),
    Wrong("a repair of nothing", ("--fp16", "--repair", "cpu"), "--repair"),
)


@pytest.mark.parametrize("case", BEFORE_READING, ids=lambda case: case.id)
def test_flags_that_cannot_be_are_refused_before_the_model_is_read(
    case: Wrong, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "--from", str(tmp_path / "none.onnx"), *case.flags, "--out", str(tmp_path)]) == 2
    assert case.message in capsys.readouterr().err


def test_from_python_a_precision_that_onnx_has_not_is_refused_before_weights_are_loaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="w8d is not written as ONNX"):
        edgenet.convert("b0", "w8d", weights=str(tmp_path / "none.safetensors"), format="onnx", out=tmp_path)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_what_does_not_go_with_a_model_is_refused(
    case: Wrong, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "--from", str(model), *case.flags, "--out", str(tmp_path)]) == 2
    assert case.message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("a.tflite", "edgenet quantize"),
        ("a.pth", "--weights FILE"),
        ("a.pb", "SavedModel"),
        ("none.onnx", "is no file"),
    ],
)
def test_other_files_are_sent_where_they_belong(name: str, mend: str, tmp_path: Path) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=mend):
        kind_of(tmp_path / name)


def test_the_digest_of_a_folder_is_that_of_all_names_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(np.zeros(4).tobytes())
    first = digest(folder)
    assert digest(folder) == first
    (folder / "variables" / "data").rename(folder / "variables" / "other")
    assert digest(folder) != first
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        digest(folder)
