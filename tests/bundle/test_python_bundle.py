"""The Python package of a bundle: it sees what our record sees, and its wheel runs in an environment of its own."""

import importlib.util
import json
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgenet.bundle.content import Content
from edgenet.bundle.make import make_bundle
from edgenet.photos import open_upright
from edgenet.precision import IoType
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.odd_pictures import write_odd_pictures
from tests.bundle.small import (
    FILTERS,
    LABELS,
    RULES,
    artifact_with_ends,
    rendered,
    small_bundle,
    small_content,
    small_wishes,
)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a bundle is made from."""
    return small_content(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return twenty odd pictures."""
    return write_odd_pictures(tmp_path_factory.mktemp("odd"))


def _module(source: bytes, folder: Path) -> ModuleType:
    path = folder / "photos.py"
    path.write_bytes(source)
    spec = importlib.util.spec_from_file_location("photos", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("rule", RULES)
def test_the_package_sees_what_the_record_sees(
    content: Content, pictures: list[Path], rule: CropRule, interpolation: Interpolation, tmp_path: Path
) -> None:
    module = _module(rendered(content, "python", rule, interpolation)["small/photos.py"], tmp_path)
    photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": interpolation})
    for path in pictures:
        wanted = crop_photo(open_upright(path), photos.to_preprocessing())
        assert np.array_equal(module.crop(module.open_photo(path)), wanted), path.name


@pytest.mark.parametrize("io", ["uint8", "int8", "float32"])
def test_the_package_feeds_ends_of_every_type(io: IoType, tmp_path: Path) -> None:
    made = make_bundle(artifact_with_ends(tmp_path, io), "python", tmp_path / "app", small_wishes(tmp_path))
    command = [sys.executable, "-m", "lite0_classifier", "--check"]
    done = subprocess.run(command, cwd=made.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "every golden vector is met\n"), done.stderr


def test_the_package_tells_a_wrong_answer(tmp_path: Path) -> None:
    folder = small_bundle(tmp_path, "python").path
    golden = folder / "lite0_classifier" / "data" / "golden" / "golden.json"
    document = json.loads(golden.read_text(encoding="utf-8"))
    document["cases"][1]["top"][0]["logit"] += 100.0
    golden.write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, "-m", "lite0_classifier", "--check"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "2.png: the logit of" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["w8a8", "fp32"])
def test_the_wheel_runs_in_a_bare_environment(precision: str, pictures: list[Path], tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path, "python", precision)  # type: ignore[arg-type]  # a Precision
    venv.create(tmp_path / "bare", with_pip=True)
    python = tmp_path / "bare" / "bin" / "python"
    [wheel] = (bundle.path / "dist").glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "tensorflow" not in listed
    program = python.with_name("lite0_classifier")
    checked = subprocess.run([program, "--check"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "every golden vector is met\n"), checked.stderr
    assert "RANDOM WEIGHTS" in checked.stderr
    answered = subprocess.run([program, str(pictures[0])], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert answered.stdout.splitlines()[1].split("%  ")[1] in LABELS
    tests = [str(python), "-m", "unittest", "tests.test_golden"]
    assert subprocess.run(tests, cwd=bundle.path, capture_output=True, check=False).returncode == 0
