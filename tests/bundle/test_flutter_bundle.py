"""Flutter bundles: what is in them, what is refused, and as much of their Dart as can be checked without its SDK.

No registry that the tests reach has a Dart compiler or analyzer. What is checked instead: every file is Dart by its
tree-sitter grammar, and the arithmetic of `pixels.dart`, its expressions and statements as they stand, gives the
record's pixels when it runs as JavaScript (`dart_syntax.py`). Not checked: types, null safety, names of other packages'
members, the lints, `flutter test`, and anything on a phone. Both want a Python of its own:

    python3 -m venv dart_syntax && dart_syntax/bin/pip install tree-sitter==0.26.1 tree-sitter-dart==0.1.0
"""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenet.artifact import Artifact
from edgenet.bundle.make import Bundle, make_bundle
from edgenet.bundle.names import dart_name
from edgenet.bundle.record import BundleRecord, read_record
from edgenet.errors import InputError
from edgenet.photos import open_upright
from edgenet.precision import IoType
from edgenet.preprocessing import crop_photo
from tests.bundle.node_packages import run_node
from tests.bundle.node_pixels import pictures, seen_by
from tests.bundle.small import (
    FILTERS,
    LABELS,
    RULES,
    artifact_with_ends,
    rendered,
    small_artifact,
    small_content,
    small_wishes,
)
from tests.verbs import verb

PYTHON_VARIABLE = "EDGENET_DART_SYNTAX_PYTHON"
VARIANTS = tuple((rule, name) for rule in RULES for name in FILTERS)
ENDS: tuple[IoType, ...] = ("float32", "uint8", "int8")
# A camera's frame in three planes, with what lies between their lines and pixels; and a photo that cannot be.
PLANES = """
const fs = require("fs");
const { Photo } = require(process.argv[2]);
const planes = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));
for (const name of ["y", "u", "v"]) planes[name] = Uint8Array.from(planes[name]);
fs.writeFileSync(process.argv[4], Photo.yuv420(planes).bytes);
for (const [size, more] of [[3, {}], [4, { bytesPerRow: 3 }], [4, { rotationDegrees: 45 }]]) {
  try { Photo(new Uint8Array(size), 1, 1, more); } catch (error) { console.log(error.message); }
}
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    return small_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def python() -> str:
    """Return the Python with the grammar of Dart."""
    if PYTHON_VARIABLE not in os.environ:
        pytest.skip(f"{PYTHON_VARIABLE} names no Python with tree-sitter-dart 0.1.0; see the head of this file")
    return os.environ[PYTHON_VARIABLE]


def _bundle(artifact: Artifact, folder: Path) -> Bundle:
    return make_bundle(artifact, "flutter", folder / "app", small_wishes(folder))


# What is in it


def test_the_package_holds_what_flutter_wants(artifact: Artifact, tmp_path: Path) -> None:
    made = _bundle(artifact, tmp_path)
    record = read_record(made.path / "bundle.json", BundleRecord)
    assert {row.file for row in record.files} >= {
        "pubspec.yaml", "analysis_options.yaml", "lib/lite0_classifier.dart", "lib/src/pixels.dart",
        "lib/src/classifier.dart", "lib/src/model.dart", "lib/src/runner.dart", "lib/src/decode.dart",
        "lib/src/golden.dart", "test/pixels_test.dart", "assets/model.tflite", "assets/labels.txt",
        "assets/golden/golden.json", "assets/golden/1.png", "assets/golden/1-seen.png",
    }  # fmt: skip
    pubspec = (made.path / "pubspec.yaml").read_text(encoding="utf-8")
    assert pubspec.startswith("name: lite0_classifier\n")
    assert "\n  assets:\n    - assets/\n    - assets/golden/\n" in pubspec
    assert (made.path / "assets" / "labels.txt").read_text(encoding="utf-8").splitlines() == list(LABELS)
    assert "RANDOM WEIGHTS" in (made.path / "README.md").read_text(encoding="utf-8")
    assert made.next_step.endswith("flutter test")


def test_the_pixels_need_nothing_of_flutter(artifact: Artifact, tmp_path: Path) -> None:
    source = (_bundle(artifact, tmp_path).path / "lib" / "src" / "pixels.dart").read_text(encoding="utf-8")
    assert re.findall(r"^import '([^']+)'", source, re.MULTILINE) == ["dart:math", "dart:typed_data"]


def test_a_name_goes_to_its_places_and_the_bundle_is_checked(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = small_wishes(tmp_path)
    words = ("--platform", "flutter", "--name", "roses", "--labels", wishes.labels, "--allow-random")
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", *words)
    assert done.code == 0, done.err
    assert (tmp_path / "app" / "lib" / "roses.dart").is_file()
    for name in ("lib/src/classifier.dart", "lib/src/golden.dart"):
        assert "'packages/roses/assets" in (tmp_path / "app" / name).read_text(encoding="utf-8")
    assert "import 'package:roses/roses.dart';" in (tmp_path / "app" / "test" / "pixels_test.dart").read_text(
        encoding="utf-8"
    )
    assert verb("bundle", capsys)("--check", tmp_path / "app").code == 0
    (tmp_path / "app" / "assets" / "golden" / "2.png").write_bytes(b"x")
    done = verb("bundle", capsys)("--check", tmp_path / "app")
    assert done.code == 1
    assert "assets/golden/2.png is not what was written (sha256 differs)" in done.err


def test_labels_and_texts_of_others_stay_out_of_the_sources(artifact: Artifact, tmp_path: Path) -> None:
    labels = tmp_path / "names.txt"
    hostile = ["'; exit(1); //", *(f"class {number}" for number in range(9))]
    labels.write_text("".join(f"{line}\n" for line in hostile), encoding="utf-8")
    wishes = replace(small_wishes(tmp_path), labels=str(labels), author="*/ ${evil}")
    made = make_bundle(artifact, "flutter", tmp_path / "app", wishes)
    for path in (path for path in made.path.rglob("*") if path.suffix in (".dart", ".yaml", ".md")):
        assert "exit(1)" not in path.read_text(encoding="utf-8"), path
        assert "evil" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("io", "written", "read"),
    [
        ("float32", "input[i] = seen[i].toDouble();", "Float32List.sublistView(output)"),
        ("uint8", "_runner.run(seen)", "(output[i] - "),
        ("int8", "seen[i] ^ 0x80", "Int8List.sublistView(output)"),
    ],
)
def test_every_type_of_ends_is_fed_as_it_wants(io: IoType, written: str, read: str, tmp_path: Path) -> None:
    made = _bundle(artifact_with_ends(tmp_path, io), tmp_path)
    source = (made.path / "lib" / "src" / "classifier.dart").read_text(encoding="utf-8")
    assert written in source
    assert read in source
    model = (made.path / "lib" / "src" / "model.dart").read_text(encoding="utf-8")
    assert f"_checkEnd(input, litert.TensorType.{io}, const [1, 64, 64, 3]);" in model


# Refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flowers", ""), ("a_b2", ""), ("class", "Dart or Flutter has a meaning for it; try class_classifier"),
        ("await", "has a meaning"), ("flutter", "has a meaning"), ("flutter_litert", "has a meaning"),
        ("test", "has a meaning"), ("Flowers", "allowed: a-z"), ("a-b", "allowed"), ("1a", "allowed"),
        ("_a", "allowed"), ("", "allowed"), ("a b", "allowed"), ("a'", "allowed"), ("a\n", "allowed"),
        ("../a", "allowed"), ("ä", "allowed"), ("a" * 65, "allowed"),
    ],
)  # fmt: skip
def test_names_are_what_pub_takes(name: str, message: str) -> None:
    if not message:
        assert dart_name(name) == name
        return
    with pytest.raises(InputError, match=f"--name cannot be .*{message}"):
        dart_name(name)


# Read by the grammar, and run as JavaScript


def _read(python: str, command: str, path: Path) -> str:
    words = [python, str(Path(__file__).with_name("dart_syntax.py")), command, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("io", ENDS)
def test_every_file_is_dart_by_its_grammar(io: IoType, python: str, tmp_path: Path) -> None:
    made = _bundle(artifact_with_ends(tmp_path, io), tmp_path)
    assert json.loads(_read(python, "errors", made.path)) == []
    sources = sorted(made.path.rglob("*.dart"))
    assert len(sources) == 9
    for path in sources:
        text = path.read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= 80, path  # what dart format would make of it
        path.write_text(f"{text.rstrip()[:-1]}\n", encoding="utf-8")  # without its last bracket or semicolon
    broken = {line.partition(":")[0] for line in json.loads(_read(python, "errors", made.path))}
    assert broken == {path.name for path in sources}


@pytest.mark.slow
def test_the_arithmetic_sees_what_the_record_sees(python: str, tmp_path: Path) -> None:
    """All rules and filters, on odd pictures in each order of bytes, turned and transparent ones among them."""
    content = small_content(tmp_path)
    modules = []
    for number, (rule, name) in enumerate(VARIANTS):
        source = tmp_path / f"{number}.dart"
        source.write_bytes(rendered(content, "flutter", rule, name)["lib/src/pixels.dart"])
        modules.append(source.with_suffix(".cjs"))
        modules[-1].write_text(_read(python, "javascript", source), encoding="utf-8")
    paths = pictures(tmp_path / "odd")
    off = {}
    for number, layout, path, seen in seen_by(modules, paths, tmp_path):
        rule, name = VARIANTS[number]
        photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": name})
        wanted = crop_photo(open_upright(path), photos.to_preprocessing()).reshape(-1)
        off[rule, name, layout, path.name] = int(np.abs(seen.astype(int) - wanted.astype(int)).max())
    assert len(off) == 6 * 3 * len(paths)
    assert {case: levels for case, levels in off.items() if levels > 0} == {}


@pytest.mark.slow
def test_a_cameras_planes_become_the_colours_of_pillow(artifact: Artifact, python: str, tmp_path: Path) -> None:
    source = _bundle(artifact, tmp_path).path / "lib" / "src" / "pixels.dart"
    (tmp_path / "pixels.cjs").write_text(_read(python, "javascript", source), encoding="utf-8")
    rng = np.random.default_rng(1)
    width, height, pad, step = 11, 6, 5, 2
    y = rng.integers(0, 256, (height, width + pad), dtype=np.uint8)
    u, v = rng.integers(0, 256, (2, height // 2, (width + 1) // 2 * step), dtype=np.uint8)
    planes = {name: plane.reshape(-1).tolist() for name, plane in (("y", y), ("u", u), ("v", v))}
    sizes = {"width": width, "height": height, "yBytesPerRow": width + pad}
    sizes |= {"uvBytesPerRow": u.shape[1], "uvBytesPerPixel": step}
    (tmp_path / "planes.json").write_text(json.dumps({**planes, **sizes}), encoding="utf-8")
    (tmp_path / "planes.cjs").write_text(PLANES, encoding="utf-8")
    done = run_node(tmp_path, "planes.cjs", "./pixels.cjs", "planes.json", "rgba")
    assert done.returncode == 0, done.stderr
    found = np.fromfile(tmp_path / "rgba", dtype=np.uint8).reshape(height, width, 4)
    chroma = [plane[:, ::step].repeat(2, 0).repeat(2, 1)[:height, :width] for plane in (u, v)]
    wanted = Image.fromarray(np.dstack((y[:, :width], *chroma)), "YCbCr").convert("RGB")
    assert np.abs(found[..., :3].astype(int) - np.asarray(wanted).astype(int)).max() <= 1
    assert (found[..., 3] == 255).all()
    assert done.stdout.splitlines() == [
        "3 bytes, 4 a line, are no photo of 1 x 1",
        "4 bytes, 3 a line, are no photo of 1 x 1",
        "rotationDegrees: 45: allowed: 0, 90, 180, 270",
    ]
