"""Android bundles: what is in them, what is refused, and their Kotlin compiled and run where no Android is needed."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from edgenet.artifact import Artifact
from edgenet.bundle.android_module import APIS
from edgenet.bundle.content import Content
from edgenet.bundle.make import Bundle, make_bundle
from edgenet.bundle.names import android_name, jvm_package
from edgenet.bundle.record import BundleRecord, GoldenDocument, read_record
from edgenet.errors import InputError
from edgenet.photos import open_upright
from edgenet.precision import IO_TYPES, IoType
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.kotlin import compile_kotlin, find_kotlin, run_kotlin
from tests.bundle.kotlin_doubles import API_DOUBLES, DOUBLES
from tests.bundle.odd_pictures import write_odd_pictures
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

MEDIAPIPE_VARIABLE = "EDGENET_MEDIAPIPE_PYTHON"
READER = Path(__file__).resolve().parents[1] / "readers" / "mediapipe_answers.py"
FOLDER = "com/example/lite0_classifier"
VARIANTS: tuple[tuple[CropRule, Interpolation], ...] = tuple((rule, name) for rule in RULES for name in FILTERS)
TEXTS = (".kt", ".kts", ".pro", ".xml", ".md")
# EXIF orientation: degrees to turn clockwise, then whether left and right change places.
TURNS = {1: (0, False), 2: (0, True), 3: (180, False), 6: (90, False)}

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
MODULE = """package harness.%(module)s
import android.content.Context
import android.content.res.AssetManager
import android.graphics.Bitmap
import com.example.%(module)s.*
%(import)s
import java.io.File
import kotlin.concurrent.thread
fun main() {
    PreprocessingTest().goldenPhotosAreSeenAsTheyMustBe()
    val context = Context(AssetManager(File("src/main/assets")))
    val wanted = Accelerator.entries.filter { it.name != "NONE" }.reversed()
    val classifier = Classifier.create(context, *wanted.toTypedArray())
    println("${classifier.accelerator} ${classifier.refusals}")
    val grey = Bitmap(9, 7, IntArray(63) { 0xFF64C832.toInt() }, Bitmap.Config.HARDWARE)
    thread {
        println(classifier.classify(grey, 3).joinToString(" | ") { "${it.index}:${it.label}:${it.logit}" })
    }.join()
    try { Classifier.create(context, Accelerator.GPU) } catch (error: IllegalStateException) { println(error.message) }
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


# Compiled and run


def _write(folder: Path, files: dict[str, str]) -> list[Path]:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _pixels(path: Path) -> tuple[np.ndarray, int, bool]:
    """Return a picture as an app has it before it is turned: ARGB [height, width, 4], degrees, mirrored."""
    with Image.open(path) as image:
        orientation = image.getexif().get(0x0112, 1)
        as_stored = orientation != 1 or image.has_transparency_data
        photo = image.convert("RGBA") if as_stored else open_upright(path).convert("RGBA")
    rgba = np.asarray(photo)
    return rgba[..., [3, 0, 1, 2]], *TURNS[orientation]


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
        argb, degrees, mirrored = _pixels(path)
        place = tmp_path / f"{path.name}.argb"
        place.write_bytes(argb.tobytes())
        height, width = argb.shape[:2]
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


@dataclass(frozen=True)
class Module:
    """A module, and what its harness prints around the answers: which accelerator took the model, and none."""

    api: str
    io: IoType
    before: tuple[str, ...]
    after: tuple[str, ...]


LITERT = (
    ("CPU [Refusal(accelerator=NPU, reason=no NPU here), Refusal(accelerator=GPU, reason=no GPU here)]",),
    ("no accelerator took the model: [Refusal(accelerator=GPU, reason=no GPU here)]",),
)
MEDIAPIPE = (
    ("closed GPU", "CPU [Refusal(accelerator=GPU, reason=13: no GPU here)]"),
    (
        "closed GPU",
        "no accelerator took the model: [Refusal(accelerator=GPU, reason=13: no GPU here)]",
        "closed CPU",
    ),
)
NOT_LISTED = "Refusal(accelerator=GPU, reason=TensorFlow Lite does not list this phone's GPU)"
NOT_APPLIED = "Refusal(accelerator=NNAPI, reason=Internal error: Failed to apply delegate)"
TFLITE = (
    ("closed NNAPI", f"CPU [{NOT_APPLIED}, {NOT_LISTED}]"),
    (f"no accelerator took the model: [{NOT_LISTED}]", "closed true"),
)
MODULES = (
    Module("litert", "float32", *LITERT), Module("litert", "uint8", *LITERT), Module("litert", "int8", *LITERT),
    Module("mediapipe", "float32", *MEDIAPIPE), Module("mediapipe", "uint8", *MEDIAPIPE),
    Module("tflite", "float32", *TFLITE), Module("tflite", "uint8", *TFLITE), Module("tflite", "int8", *TFLITE),
)  # fmt: skip


@dataclass(frozen=True)
class Compiled:
    """All modules, compiled together, each in a package of its own; their bundles by module."""

    classes: Path
    bundles: dict[Module, Bundle]


def _name(module: Module) -> str:
    return f"{module.api}_{module.io}"


@pytest.fixture(scope="module")
def compiled(kotlin: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """Return every module, compiled against doubles of Android, CameraX and what runs the model."""
    folder = tmp_path_factory.mktemp("modules")
    doubles = [DOUBLES, *API_DOUBLES.values()]
    sources = [path for number, row in enumerate(doubles) for path in _write(folder / f"doubles{number}", row)]
    artifacts = {io: artifact_with_ends(folder / io, io) for io in IO_TYPES}
    bundles = {}
    for module in MODULES:
        wishes = small_wishes(folder, api=module.api, package=f"com.example.{_name(module)}")
        made = make_bundle(artifacts[module.io], "android", folder / _name(module), wishes)
        package = APIS[module.api].accelerator_package
        words = {"module": _name(module), "import": f"import {package}.Accelerator" if package else ""}
        main = _write(folder / f"{_name(module)}-main", {"Module.kt": MODULE % words})
        sources += [*made.path.rglob("*.kt"), *main]
        bundles[module] = made
    compile_kotlin(kotlin, sources, folder / "classes")
    return Compiled(folder / "classes", bundles)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_a_module_compiles_and_runs_its_model_as_it_says(
    module: Module, compiled: Compiled, kotlin: Path, tmp_path: Path
) -> None:
    """Against doubles: what the real ones answer is not asked here."""
    made = compiled.bundles[module]
    place = shutil.copytree(made.path, tmp_path / "app")
    main = f"harness.{_name(module)}.ModuleKt"
    done = run_kotlin(kotlin, compiled.classes, main, place)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    answers = lines.pop(len(module.before))
    assert tuple(lines) == module.before + module.after
    # The doubles answer with the first ten levels of what they were fed: 100, 200, 50 again and again.
    fed = {"float32": 200.0, "uint8": 200.0, "int8": 72.0}[module.io]
    output = made.record.output
    scores = module.api == "mediapipe" or not output.scale  # MediaPipe makes real values of what is quantized
    logit = fed if scores else (fed - output.zero_point) * output.scale
    rows = [answer.split(":") for answer in answers.split(" | ")]
    assert [row[0] for row in rows] == ["1", "4", "7"]
    assert [row[1] for row in rows] == ["class b", "class e", "class h"]
    assert [float(row[2]) for row in rows] == pytest.approx([logit] * 3, rel=1e-6)
    wrong = place / "src/androidTest/assets/golden/1-seen.ppm"
    content = bytearray(wrong.read_bytes())
    content[-1] = (content[-1] + 2) % 256
    wrong.write_bytes(content)
    done = run_kotlin(kotlin, compiled.classes, main, place)
    assert done.returncode == 1
    assert "1.ppm: off by" in done.stderr
