"""Android bundles: what is in them, what is refused, and what MediaPipe answers to one."""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgenet.artifact import Artifact
from edgenet.bundle.android_module import APIS
from edgenet.bundle.make import make_bundle
from edgenet.bundle.names import android_name, jvm_package
from edgenet.bundle.record import BundleRecord, GoldenDocument, read_record
from edgenet.errors import InputError
from edgenet.photos import open_upright
from edgenet.precision import IoType
from tests.bundle.small import artifact_with_ends, small_artifact, small_bundle, small_wishes
from tests.verbs import verb

MEDIAPIPE_VARIABLE = "EDGENET_MEDIAPIPE_PYTHON"
READER = Path(__file__).resolve().parents[1] / "readers" / "mediapipe_answers.py"
FOLDER = "com/example/lite0_classifier"
TEXTS = (".kt", ".kts", ".pro", ".xml", ".md")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    return small_artifact(tmp_path_factory.mktemp("artifact"))


# What is in it


def test_the_module_holds_what_gradle_wants(tmp_path: Path) -> None:
    made = small_bundle(tmp_path, "android")
    files = {row.file for row in read_record(made.path / "bundle.json", BundleRecord).files}
    assert files >= {
        "build.gradle.kts",
        "settings.gradle.kts",
        "src/main/AndroidManifest.xml",
        "src/main/assets/lite0_classifier/model.tflite",
        "src/main/assets/lite0_classifier/labels.txt",
        f"src/main/kotlin/{FOLDER}/Classifier.kt",
        f"src/main/kotlin/{FOLDER}/Preprocessing.kt",
        f"src/main/kotlin/{FOLDER}/CameraX.kt",
        f"src/test/kotlin/{FOLDER}/PreprocessingTest.kt",
        f"src/androidTest/kotlin/{FOLDER}/ClassifierTest.kt",
        "src/androidTest/assets/golden/1.png",
        "src/androidTest/assets/golden/golden.txt",
    }
    build = (made.path / "build.gradle.kts").read_text(encoding="utf-8")
    assert 'namespace = "com.example.lite0_classifier"' in build
    assert 'noCompress += "tflite"' in build
    ElementTree.parse(made.path / "src" / "main" / "AndroidManifest.xml")  # written by the line above
    readme = (made.path / "README.md").read_text(encoding="utf-8")
    assert "RANDOM WEIGHTS" in readme
    assert "16 KB pages" in readme


def test_a_package_and_a_name_go_to_their_places(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = small_wishes(tmp_path)
    words = ("--platform", "android", "--package", "org.Flowers2.app", "--name", "roses", "--labels", wishes.labels)
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", "--allow-random", *words)
    assert done.code == 0, done.err
    for path in (tmp_path / "app").rglob("*.kt"):
        assert path.parent.as_posix().endswith("/kotlin/org/Flowers2/app"), path
        assert path.read_text(encoding="utf-8").startswith("package org.Flowers2.app\n"), path
    assert (tmp_path / "app" / "src" / "main" / "assets" / "roses" / "model.tflite").is_file()
    assert verb("bundle", capsys)("--check", tmp_path / "app").code == 0


def test_labels_and_texts_of_others_stay_out_of_the_sources(artifact: Artifact, tmp_path: Path) -> None:
    labels = tmp_path / "names.txt"
    hostile = ['"; ${System.exit(1)} //', *(f"class {number}" for number in range(9))]
    labels.write_text("".join(f"{line}\n" for line in hostile), encoding="utf-8")
    wishes = replace(small_wishes(tmp_path), labels=str(labels), author="*/ ${evil}")
    made = make_bundle(artifact, "android", tmp_path / "app", wishes)
    for path in made.path.rglob("*.kt*"):
        text = path.read_text(encoding="utf-8")
        assert "System.exit" not in text, path
        assert "evil" not in text, path
    golden = json.loads((made.path / made.record.golden).read_text(encoding="utf-8"))
    assert len(golden["cases"]) == 3


@pytest.mark.parametrize(
    ("io", "written", "read"),
    [
        ("float32", "inputs[0].writeFloat(", "outputs[0].readFloat()"),
        ("uint8", "inputs[0].writeInt8(seen)", "(raw[it].toInt() and 255) - ("),
        ("int8", "and 255) - 128).toByte()", "(raw[it].toInt() - ("),
    ],
)
def test_every_type_of_ends_is_fed_as_it_wants(io: IoType, written: str, read: str, tmp_path: Path) -> None:
    made = make_bundle(artifact_with_ends(tmp_path, io), "android", tmp_path / "app", small_wishes(tmp_path))
    source = (made.path / "src/main/kotlin" / FOLDER / "Network.kt").read_text(encoding="utf-8")
    assert written in source
    assert read in source


@dataclass(frozen=True)
class Over:
    api: str
    library: str
    keep: str
    readme: str


OVERS = (
    Over("litert", 'api("com.google.ai.edge.litert:litert:', "com.google.ai.edge.litert.**", "An NPU needs"),
    Over(
        "mediapipe", 'implementation("com.google.mediapipe:tasks-vision:', "com.google.mediapipe.**", "reports its use"
    ),
    Over("tflite", 'implementation("org.tensorflow:tensorflow-lite-gpu-api:', "org.tensorflow.lite.**", "1.4.2"),
)


@pytest.mark.parametrize("over", OVERS, ids=lambda over: over.api)
def test_a_module_names_what_runs_its_model_and_nothing_of_the_others(
    over: Over, artifact: Artifact, tmp_path: Path
) -> None:
    made = make_bundle(artifact, "android", tmp_path / "app", small_wishes(tmp_path, api=over.api))
    assert read_record(made.path / "bundle.json", BundleRecord).api == over.api
    texts = {path.name: path.read_text(encoding="utf-8") for path in made.path.rglob("*") if path.suffix in TEXTS}
    assert over.library in texts["build.gradle.kts"]
    assert f"-keep class {over.keep}" in texts["consumer-rules.pro"]
    assert over.readme in texts["README.md"]
    for other in {row.keep.removesuffix(".**") for row in OVERS} - {over.keep.removesuffix(".**")}:
        assert [name for name, text in texts.items() if name != "README.md" and other in text] == []


def test_litert_runs_a_model_unless_another_is_named(artifact: Artifact, tmp_path: Path) -> None:
    unsaid = make_bundle(artifact, "android", tmp_path / "unsaid", small_wishes(tmp_path))
    said = make_bundle(artifact, "android", tmp_path / "said", small_wishes(tmp_path, api="litert"))
    assert unsaid.record == said.record


def test_what_no_api_changes_is_the_same(artifact: Artifact, tmp_path: Path) -> None:
    hashes = []
    for api in APIS:
        made = make_bundle(artifact, "android", tmp_path / api, small_wishes(tmp_path, api=api))
        hashes.append({row.file: row.sha256 for row in made.record.files})
    changed = {name for name in hashes[0] if len({row[name] for row in hashes}) > 1}
    assert changed == {
        "README.md",
        "build.gradle.kts",
        "consumer-rules.pro",
        f"src/main/kotlin/{FOLDER}/Classifier.kt",  # by one import
        f"src/main/kotlin/{FOLDER}/Network.kt",
        f"src/androidTest/kotlin/{FOLDER}/ClassifierTest.kt",  # by one import
    }


# Refused


PACKAGES = (
    ("com.example.flowers", ""), ("org.Flowers2.a_b", ""), ("javas.x", ""), ("flowers", "allowed: two parts"),
    ("com.example.class", "class is a word"), ("com.fun.x", "fun is a word"), ("com.int.x", "int is a word"),
    ("com.true", "true is a word"), ("com..x", "allowed"), ("com.1x", "allowed"), ("com.x-y", "allowed"),
    ("com.x/../y", "allowed"), ('com.x"; evil()', "allowed"), ("com.ü", "allowed"), ("com.x\n", "allowed"),
    (".com.x", "allowed"), ("com.x.", "allowed"), ("com._x", "allowed"), ("a." * 60 + "b", "allowed"),
    ("java.flowers", "java belongs to others"), ("kotlin.flowers", "belongs to others"),
    ("com.google.ai.edge.litert", "belongs to others"), ("com.google.ai.edge.litert.x", "belongs to others"),
    ("com.google.mediapipe.x", "belongs to others"), ("org.tensorflow.lite", "org.tensorflow belongs to others"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "message"), PACKAGES)
def test_packages_are_what_java_and_kotlin_take(name: str, message: str) -> None:
    if not message:
        assert jvm_package(name) == name
        return
    with pytest.raises(InputError, match=f"--package cannot be .*{message}"):
        jvm_package(name)


@pytest.mark.parametrize("name", ["object", "native", "Flowers", "a-b", "../x", "", "ünder"])
def test_names_are_what_a_package_can_end_with(name: str) -> None:
    with pytest.raises(InputError, match="--name cannot be"):
        android_name(name)


@dataclass(frozen=True)
class Line:
    platform: str
    flag: str
    value: str
    message: str


@pytest.mark.parametrize(
    "line",
    [
        Line("python", "--package", "com.example.x", "--package says nothing to python; allowed: --platform android"),
        Line("android", "--package", "com.example.when", "when is a word of Java or Kotlin; try whens"),
        Line("android", "--package", "../../x", "allowed: two parts or more"),
        Line("python", "--api", "litert", "--api says nothing to python; allowed: --platform android"),
        Line("android", "--api", "snpe", "unknown --api 'snpe'; allowed: litert, mediapipe, tflite"),
        Line("android", "--api", "../android_tflite", "unknown --api"),
    ],
)
def test_a_package_or_an_api_that_cannot_be_is_one_line_and_leaves_nothing(
    line: Line, artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = small_wishes(tmp_path)
    words = ("--platform", line.platform, line.flag, line.value, "--labels", wishes.labels, "--allow-random")
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", *words)
    assert (done.code, done.out) == (2, "")
    assert line.message in done.err
    assert not (tmp_path / "app").exists()


def test_mediapipe_is_given_no_int8_ends(tmp_path: Path) -> None:
    artifact = artifact_with_ends(tmp_path, "int8")
    with pytest.raises(InputError, match="int8 ends, which mediapipe cannot feed; allowed: uint8, float32; "):
        make_bundle(artifact, "android", tmp_path / "app", small_wishes(tmp_path, api="mediapipe"))
    assert not (tmp_path / "app").exists()


# Answered by MediaPipe


@pytest.mark.slow
@pytest.mark.parametrize("io", ["float32", "uint8"])
def test_mediapipes_own_scores_are_the_golden_logits(io: IoType, tmp_path: Path) -> None:
    """By the same graph as on a phone, on the pictures of the model's size that the module hands over."""
    python = os.environ.get(MEDIAPIPE_VARIABLE)
    if python is None:
        pytest.skip(f"{MEDIAPIPE_VARIABLE} names no Python with mediapipe 1.2.2")
    wishes = small_wishes(tmp_path, api="mediapipe")
    made = make_bundle(artifact_with_ends(tmp_path, io), "android", tmp_path / "app", wishes)
    golden = read_record(made.path / made.record.golden, GoldenDocument)
    place = (made.path / made.record.golden).parent
    np.save(tmp_path / "seen.npy", np.stack([np.asarray(open_upright(place / case.seen)) for case in golden.cases]))
    # Without a network: it reports its use to its maker.
    command = ["unshare", "-n", python, str(READER), str(made.path / made.record.model), str(tmp_path / "seen.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for answers, case in zip(json.loads(done.stdout), golden.cases, strict=True):
        scores = {index: (label, score) for index, label, score in answers}
        assert scores.keys() == {row.index for row in case.top}
        for row in case.top:
            label, score = scores[row.index]
            assert label == row.label
            assert score == pytest.approx(row.logit, abs=golden.logit_tolerance)
