"""Android bundles: what is in them, what is refused, and their Kotlin compiled and run where no Android is needed."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgenet.artifact import Artifact
from edgenet.bundle.content import Content
from edgenet.bundle.make import make_bundle
from edgenet.bundle.names import android_name, jvm_package
from edgenet.bundle.record import BundleRecord, read_record
from edgenet.errors import InputError
from edgenet.photos import open_upright
from edgenet.precision import IoType
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.kotlin import compile_kotlin, find_kotlin, run_kotlin
from tests.bundle.kotlin_doubles import DOUBLES
from tests.bundle.odd_pictures import as_stored, write_odd_pictures
from tests.bundle.small import (
    FILTERS,
    RULES,
    artifact_with_ends,
    rendered,
    small_artifact,
    small_bundle,
    small_content,
    small_wishes,
)
from tests.verbs import verb

FOLDER = "com/example/lite0_classifier"
VARIANTS: tuple[tuple[CropRule, Interpolation], ...] = tuple((rule, name) for rule in RULES for name in FILTERS)

# For each line of the first argument (variant, pixels, width, height, degrees, mirrored, target) what is seen of it.
CROP = """package harness
import java.io.File
import java.nio.ByteBuffer
typealias See = (IntArray, Int, Int, Int, Boolean) -> ByteArray
val VARIANTS: List<See> = listOf(%s)
fun main(words: Array<String>) {
    for (line in File(words[0]).readLines()) {
        val (variant, pixels, width, height, rest) = line.split(" ", limit = 5)
        val (degrees, mirrored, target) = rest.split(" ")
        val bytes = ByteBuffer.wrap(File(pixels).readBytes()).asIntBuffer()
        val argb = IntArray(bytes.remaining()).also { bytes.get(it) }
        val see = VARIANTS[variant.toInt()]
        File(target).writeBytes(see(argb, width.toInt(), height.toInt(), degrees.toInt(), mirrored.toBoolean()))
    }
}
"""
MODULE = """package harness_module
import android.content.res.AssetManager
import android.graphics.Bitmap
import com.example.%s.*
import com.google.ai.edge.litert.Accelerator
import java.io.File
fun main() {
    PreprocessingTest().goldenPhotosAreSeenAsTheyMustBe()
    val assets = AssetManager(File("src/main/assets"))
    val classifier = Classifier.create(assets, Accelerator.NPU, Accelerator.GPU, Accelerator.CPU)
    println("${classifier.accelerator} ${classifier.refusals}")
    val grey = Bitmap(9, 7, IntArray(63) { 0xFF64C832.toInt() }, Bitmap.Config.HARDWARE)
    println(classifier.classify(grey, 3).joinToString(" | ") { "${it.index}:${it.label}:${it.logit}" })
    try { Classifier.create(assets, Accelerator.GPU) } catch (error: IllegalStateException) { println(error.message) }
    classifier.close()
}
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    return small_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a bundle is made from."""
    return small_content(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the Kotlin compiler."""
    return find_kotlin(tmp_path_factory.mktemp("kotlin"))


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
    source = (made.path / "src/main/kotlin" / FOLDER / "Classifier.kt").read_text(encoding="utf-8")
    assert written in source
    assert read in source


# Refused


PACKAGES = (
    ("com.example.flowers", ""), ("org.Flowers2.a_b", ""), ("javas.x", ""), ("flowers", "allowed: two parts"),
    ("com.example.class", "class is a word"), ("com.fun.x", "fun is a word"), ("com.int.x", "int is a word"),
    ("com.true", "true is a word"), ("com..x", "allowed"), ("com.1x", "allowed"), ("com.x-y", "allowed"),
    ("com.x/../y", "allowed"), ('com.x"; evil()', "allowed"), ("com.ü", "allowed"), ("com.x\n", "allowed"),
    (".com.x", "allowed"), ("com.x.", "allowed"), ("com._x", "allowed"), ("a." * 60 + "b", "allowed"),
    ("java.flowers", "java belongs to others"), ("kotlin.flowers", "belongs to others"),
    ("com.google.ai.edge.litert", "belongs to others"), ("com.google.ai.edge.litert.x", "belongs to others"),
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
    package: str
    message: str


@pytest.mark.parametrize(
    "line",
    [
        Line("python", "com.example.x", "--package says nothing to python; allowed: --platform android"),
        Line("android", "com.example.when", "when is a word of Java or Kotlin; try whens"),
        Line("android", "../../x", "allowed: two parts or more"),
    ],
)
def test_a_package_that_cannot_be_is_one_line_and_leaves_nothing(
    line: Line, artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = small_wishes(tmp_path)
    words = ("--platform", line.platform, "--package", line.package, "--labels", wishes.labels, "--allow-random")
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", *words)
    assert (done.code, done.out) == (2, "")
    assert line.message in done.err
    assert not (tmp_path / "app").exists()


# Compiled and run


def _write(folder: Path, files: dict[str, str]) -> list[Path]:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


@pytest.mark.slow
def test_kotlin_sees_what_the_record_sees(content: Content, kotlin: Path, tmp_path: Path) -> None:
    """All rules and filters on twenty odd pictures, their rotation and transparency included."""
    sources = []
    for number, (rule, interpolation) in enumerate(VARIANTS):
        named = replace(content, wishes=replace(content.wishes, package=f"com.v{number}"))
        files = rendered(named, "android", rule, interpolation)
        text = files[f"src/main/kotlin/com/v{number}/Preprocessing.kt"].decode()
        sources += _write(tmp_path / f"v{number}", {"Preprocessing.kt": text})
    main = CROP % ", ".join(f"com.v{number}.Preprocessing::see" for number in range(len(VARIANTS)))
    compile_kotlin(kotlin, [*sources, *_write(tmp_path / "main", {"Crop.kt": main})], tmp_path / "classes")
    pictures = write_odd_pictures(tmp_path / "odd")
    lines = []
    for path in pictures:
        rgba, degrees, mirrored = as_stored(path)
        place = tmp_path / f"{path.name}.argb"
        place.write_bytes(rgba[..., [3, 0, 1, 2]].tobytes())
        height, width = rgba.shape[:2]
        lines += [
            f"{variant} {place} {width} {height} {degrees} {str(mirrored).lower()} {place}.{variant}"
            for variant in range(len(VARIANTS))
        ]
    (tmp_path / "lines").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    done = run_kotlin(kotlin, tmp_path / "classes", "harness.CropKt", tmp_path, str(tmp_path / "lines"))
    assert done.returncode == 0, done.stderr
    for variant, (rule, interpolation) in enumerate(VARIANTS):
        photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": interpolation})
        for path in pictures:
            seen = np.fromfile(tmp_path / f"{path.name}.argb.{variant}", dtype=np.uint8)
            expected = crop_photo(open_upright(path), photos.to_preprocessing()).reshape(-1)
            apart = np.abs(seen.astype(int) - expected.astype(int)).max()
            assert apart == 0, (path.name, rule, interpolation)


@pytest.mark.slow
@pytest.mark.parametrize("io", ["float32", "uint8", "int8"])
def test_the_whole_module_compiles_and_its_golden_pixels_are_met(io: IoType, kotlin: Path, tmp_path: Path) -> None:
    """Against doubles of Android, CameraX and LiteRT; what LiteRT itself answers is not asked here."""
    made = make_bundle(artifact_with_ends(tmp_path, io), "android", tmp_path / "app", small_wishes(tmp_path))
    doubles = _write(tmp_path / "doubles", DOUBLES)
    main = _write(tmp_path / "main", {"Module.kt": MODULE % made.record.name})
    compile_kotlin(kotlin, [*made.path.rglob("*.kt"), *doubles, *main], tmp_path / "classes")
    done = run_kotlin(kotlin, tmp_path / "classes", "harness_module.ModuleKt", made.path)
    assert done.returncode == 0, done.stderr
    chosen, answers, none = done.stdout.splitlines()
    refusals = "[Refusal(accelerator=NPU, reason=no NPU here), Refusal(accelerator=GPU, reason=no GPU here)]"
    assert chosen == f"CPU {refusals}"
    assert none == "no accelerator took the model: [Refusal(accelerator=GPU, reason=no GPU here)]"
    # The double answers with the first ten bytes of what it was fed: 100, 200, 50 again and again.
    fed = {"float32": 200.0, "uint8": 200.0, "int8": 72.0}[io]
    output = made.record.output
    logit = (fed - output.zero_point) * output.scale if output.scale else fed
    rows = [answer.split(":") for answer in answers.split(" | ")]
    assert [row[0] for row in rows] == ["1", "4", "7"]
    assert [row[1] for row in rows] == ["class b", "class e", "class h"]
    assert [float(row[2]) for row in rows] == pytest.approx([logit] * 3, rel=1e-6)
    wrong = made.path / "src/androidTest/assets/golden/1-seen.ppm"
    content = bytearray(wrong.read_bytes())
    content[-1] = (content[-1] + 2) % 256
    wrong.write_bytes(content)
    done = run_kotlin(kotlin, tmp_path / "classes", "harness_module.ModuleKt", made.path)
    assert done.returncode == 1
    assert "1.ppm: off by" in done.stderr
