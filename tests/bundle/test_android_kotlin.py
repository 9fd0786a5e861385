"""The Kotlin of Android bundles, compiled and run where no Android is needed."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edgenet.bundle.android_module import APIS
from edgenet.bundle.content import Content
from edgenet.bundle.make import Bundle, make_bundle
from edgenet.photos import open_upright
from edgenet.precision import IO_TYPES, IoType
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.kotlin import compile_kotlin, find_kotlin, run_kotlin
from tests.bundle.kotlin_doubles import API_DOUBLES, DOUBLES
from tests.bundle.odd_pictures import as_stored, write_odd_pictures
from tests.bundle.small import FILTERS, RULES, artifact_with_ends, rendered, small_content, small_wishes

VARIANTS: tuple[tuple[CropRule, Interpolation], ...] = tuple((rule, name) for rule in RULES for name in FILTERS)
# EXIF orientation: degrees to turn clockwise, then whether left and right change places.
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
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a bundle is made from."""
    return small_content(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the Kotlin compiler."""
    return find_kotlin(tmp_path_factory.mktemp("kotlin"))


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
