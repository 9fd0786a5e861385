"""iOS bundles: what is in them, what is refused, and their Swift compiled and run by a real Swift 6.0 on Linux.

Checked there: the manifest by SwiftPM; every source by the compiler, in the language modes of Swift 5 and 6, without a
warning; the pixels of all rules and filters; resources found by Bundle.module; the package's own XCTest of pixels and
logits. Not checked: anything of Apple's or of LiteRT's own. CoreGraphics, CoreML, CoreVideo, ImageIO, UIKit and
VideoToolbox are doubles by their signatures, LiteRT's Swift package is a double over the TensorFlow Lite C library 2.9,
and no Xcode, simulator or phone has seen a bundle.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgenet.artifact import Artifact
from edgenet.bundle.content import Content
from edgenet.bundle.make import make_bundle
from edgenet.bundle.names import default_swift_name, swift_name
from edgenet.bundle.record import BundleRecord, PhotoRecord, read_record
from edgenet.errors import InputError
from edgenet.photos import open_upright
from edgenet.precision import IoType
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.odd_pictures import ORIENTATION_TAG, write_odd_pictures
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
from tests.bundle.swift import Swift, find_swift
from tests.bundle.swift_doubles import DOUBLES
from tests.bundle.test_c_bundle import TFLITE_C_DIR
from tests.verbs import verb

NAME = "Lite0Classifier"
SOURCES, TESTS = f"Sources/{NAME}", f"Tests/{NAME}Tests"
VARIANTS: tuple[tuple[CropRule, Interpolation], ...] = tuple((rule, name) for rule in RULES for name in FILTERS)

# For each line of the first argument (variant, pixels, width, height, orientation, target) what is seen of it.
CROP = """import Foundation
%s
let variants: [(Int, Int, [UInt8], UInt32) -> [UInt8]] = [%s]
for line in try String(contentsOfFile: CommandLine.arguments[1], encoding: .utf8).split(separator: "\\n") {
    let words = line.split(separator: " ").map(String.init)
    let rgba = [UInt8](FileManager.default.contents(atPath: words[1])!)
    let seen = variants[Int(words[0])!](Int(words[2])!, Int(words[3])!, rgba, UInt32(words[4])!)
    try Data(seen).write(to: URL(fileURLWithPath: words[5]))
}
"""
CALL = "{{ V{0}.Preprocessing.see(V{0}.Photo(width: $0, height: $1, rgba: $2, orientation: .init(rawValue: $3)!)) }}"
# What an app may rely on, beside the bundle's own tests; it runs among these.
MORE = """import CoreVideo
import ImageIO
import UIKit
import XCTest

@testable import Lite0Classifier

final class MoreTests: XCTestCase {
    func testNothingFallsBackWithoutAWord() throws {
        let refusals = [Refusal(processor: .metal, reason: "it takes only a part of the model")]
        let classifier = try Classifier([.metal, .cpu])
        XCTAssertEqual(classifier.processor, .cpu)
        XCTAssertEqual(classifier.refusals, refusals)
        XCTAssertThrowsError(try Classifier([.metal])) {
            XCTAssertEqual($0 as? ClassifierError, .refused(refusals))
        }
    }

    func testFramesAreReadByTheirRows() throws {
        let bytes = (0..<2 * 20).map { UInt8($0) }
        let frame = CVPixelBuffer(format: kCVPixelFormatType_32BGRA, width: 3, height: 2, bytesPerRow: 20, bytes: bytes)
        let photo = try Photo(frame, orientation: .right)
        XCTAssertEqual(
            photo.rgba, [2, 1, 0, 255, 6, 5, 4, 255, 10, 9, 8, 255, 22, 21, 20, 255, 26, 25, 24, 255, 30, 29, 28, 255])
        XCTAssertEqual(photo.orientation, .right)
    }

    func testAnswersAreTheSameFromManyThreads() throws {
        let classifier = try Classifier()
        let photo = try Golden().cases[0].photo
        let alone = try classifier.classify(photo)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            XCTAssertEqual(try? classifier.classify(photo), alone)
        }
        XCTAssertEqual(alone.map(\\.label).count, 5)
        XCTAssertEqual(try classifier.classify(photo, count: 99).reduce(0) { $0 + $1.probability }, 1, accuracy: 1e-5)
        XCTAssertThrowsError(try classifier.classify(UIImage(cgImage: nil, orientation: .left)))
    }
}
"""
FORMAT = {"version": 1, "lineLength": 120, "indentation": {"spaces": 4}}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a small network's w8a8 file."""
    return small_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a bundle is made from."""
    return small_content(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """Return a Swift to run."""
    yield from find_swift(tmp_path_factory.mktemp("swift"))


# What is in it


def test_the_package_holds_what_xcode_wants(tmp_path: Path) -> None:
    made = small_bundle(tmp_path, "ios")
    record = read_record(made.path / "bundle.json", BundleRecord)
    assert (record.platform, record.name) == ("ios", NAME)
    assert {row.file for row in record.files} >= {
        "Package.swift",
        "README.md",
        *(f"{SOURCES}/{name}.swift" for name in ("Classifier", "LiteRTModel", "Photos", "Preprocessing")),
        *(f"{SOURCES}/Resources/{name}" for name in ("labels.txt", "model.tflite", "preprocessing.json")),
        *(f"{TESTS}/{name}Tests.swift" for name in ("Classifier", "Photos", "Preprocessing")),
        f"{TESTS}/Golden/1.png",
        f"{TESTS}/Golden/golden.txt",
    }
    assert not list(made.path.rglob("*CoreML*"))
    text = (made.path / "README.md").read_text(encoding="utf-8")
    assert "RANDOM WEIGHTS" in text
    assert "coreML" not in text


def test_resources_are_the_very_bytes(content: Content, artifact: Artifact, tmp_path: Path) -> None:
    made = make_bundle(artifact, "ios", tmp_path / "app", small_wishes(tmp_path))
    resources = made.path / SOURCES / "Resources"
    assert (resources / "model.tflite").read_bytes() == content.model
    assert (resources / "labels.txt").read_text(encoding="utf-8").splitlines() == list(content.labels)
    assert read_record(resources / "preprocessing.json", PhotoRecord) == content.photos
    for name, picture in content.golden.pictures.items():
        assert (made.path / TESTS / "Golden" / name).read_bytes() == picture


def test_a_name_goes_to_its_places(artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = small_wishes(tmp_path).labels
    words = ("--platform", "ios", "--name", "Roses_2", "--labels", labels, "--allow-random")
    done = verb("bundle", capsys)(artifact.path, "--out", tmp_path / "app", *words)
    assert done.code == 0, done.err
    assert f"swift test --package-path {tmp_path / 'app'}" in done.err
    assert (tmp_path / "app/Sources/Roses_2/Resources/model.tflite").is_file()
    for path in (tmp_path / "app/Tests").rglob("*.swift"):
        assert "@testable import Roses_2\n" in path.read_text(encoding="utf-8"), path
    assert verb("bundle", capsys)("--check", tmp_path / "app").code == 0


def test_a_changed_source_and_a_changed_resource_are_named(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_bundle(artifact, "ios", tmp_path / "app", small_wishes(tmp_path))
    for name in ("Preprocessing.swift", "Resources/labels.txt"):
        path = made.path / SOURCES / name
        path.write_bytes(path.read_bytes() + b"\n")
    done = verb("bundle", capsys)("--check", made.path)
    assert done.code == 1
    assert f"{SOURCES}/Preprocessing.swift is not what was written" in done.err
    assert f"{SOURCES}/Resources/labels.txt is not what was written" in done.err


def test_labels_and_texts_of_others_stay_out_of_the_sources(artifact: Artifact, tmp_path: Path) -> None:
    labels = tmp_path / "names.txt"
    hostile = ['"); exit(1) //', "\\(evil)", *(f"class {number}" for number in range(8))]
    labels.write_text("".join(f"{line}\n" for line in hostile), encoding="utf-8")
    wishes = replace(small_wishes(tmp_path), labels=str(labels), author="*/ \\(evil)")
    made = make_bundle(artifact, "ios", tmp_path / "app", wishes)
    for path in [*made.path.rglob("*.swift"), made.path / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert "exit(1)" not in text, path
        assert "evil" not in text, path


@pytest.mark.parametrize(
    ("io", "written", "read"),
    [
        ("float32", "seen.map(Float.init)", "return try output.read()"),
        ("uint8", "try input.write(seen)\n", "let raw: [UInt8]"),
        ("int8", "Int8(truncatingIfNeeded: Int($0) - 128)", "let raw: [Int8]"),
    ],
)
def test_every_type_of_ends_is_fed_as_it_wants(io: IoType, written: str, read: str, tmp_path: Path) -> None:
    made = make_bundle(artifact_with_ends(tmp_path, io), "ios", tmp_path / "app", small_wishes(tmp_path))
    source = (made.path / SOURCES / "LiteRTModel.swift").read_text(encoding="utf-8")
    assert written in source
    assert read in source


# Names


NAMES = (
    ("Flowers", True), ("flowers", True), ("Roses_2", True), ("Class", False), ("func", False), ("Self", False),
    ("protocol", False), ("Any", False), ("Foundation", False), ("LiteRT", False), ("litert", False),
    ("Classifier", False), ("XCTest", False), ("2Roses", False), ("_Roses", False), ("a-b", False), ("a b", False),
    ("", False), ("../x", False), ('x", targets: [])', False), ("Flöwers", False), ("a\n", False), ("a" * 65, False),
)  # fmt: skip


@pytest.mark.parametrize(("name", "right"), NAMES)
def test_names_are_what_swift_takes(name: str, right: bool) -> None:
    if right:
        assert swift_name(name) == name
        return
    with pytest.raises(InputError, match="--name cannot be"):
        swift_name(name)


@pytest.mark.parametrize(
    ("variant", "name"),
    [("lite0", "Lite0Classifier"), ("v2-b0", "V2B0Classifier"), ("edgetpu-s", "EdgetpuSClassifier"),
     ("scaled:1.5", "Scaled15Classifier")],
)  # fmt: skip
def test_default_names_are_written_as_swift_writes_modules(variant: str, name: str) -> None:
    assert swift_name(default_swift_name(variant)) == name


# Compiled and run


def _as_stored(path: Path) -> tuple[np.ndarray, int]:
    """Return a picture as an app has it before it is turned, RGBA [height, width, 4], and its EXIF orientation."""
    with Image.open(path) as image:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        as_stored = orientation != 1 or image.has_transparency_data
        photo = image.convert("RGBA") if as_stored else open_upright(path).convert("RGBA")
    return np.asarray(photo), orientation


def _turned_pictures(folder: Path) -> list[Path]:
    """Write one picture under each of EXIF's eight orientations."""
    folder.mkdir()
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (70, 97, 3), dtype=np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        picture.save(folder / f"{orientation}.png", exif=exif)
    return sorted(folder.iterdir())


def _compile_crops(content: Content, swift: Swift) -> Path:
    """Compile Preprocessing.swift of each variant as a module of its own, and a program that calls them."""
    folder = swift.folder / "crop"
    folder.mkdir()
    modules = [f"V{number}" for number in range(len(VARIANTS))]
    flags = ("-O", "-wmo", "-swift-version", "6", "-warnings-as-errors", "-I", folder)
    for module, (rule, interpolation) in zip(modules, VARIANTS, strict=True):
        source = folder / f"{module}.swift"
        files = rendered(replace(content, name=NAME), "ios", rule, interpolation)
        source.write_bytes(files[f"{SOURCES}/Preprocessing.swift"])
        emit = ("-parse-as-library", "-emit-object", "-emit-module", "-emit-module-path")
        words = (*emit, folder / f"{module}.swiftmodule", "-module-name", module, "-o", folder / f"{module}.o")
        done = swift.run("swiftc", *flags, *words, source)
        assert done.returncode == 0, done.stderr
    calls = ", ".join(CALL.format(number) for number in range(len(modules)))
    main = folder / "main.swift"
    main.write_text(CROP % ("\n".join(f"import {module}" for module in modules), calls), encoding="utf-8")
    program = folder / "crops"
    done = swift.run("swiftc", *flags, main, *(folder / f"{module}.o" for module in modules), "-o", program)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.slow
def test_swift_sees_what_the_record_sees(content: Content, swift: Swift, tmp_path: Path) -> None:
    """All rules and filters on twenty odd pictures and on all eight orientations, to the last bit."""
    program = _compile_crops(content, swift)
    pictures = [*write_odd_pictures(tmp_path / "odd"), *_turned_pictures(tmp_path / "turned")]
    lines = []
    for number, path in enumerate(pictures):
        rgba, orientation = _as_stored(path)
        place = program.parent / f"{number}.rgba"
        place.write_bytes(rgba.tobytes())
        shape = f"{rgba.shape[1]} {rgba.shape[0]} {orientation}"
        inside = swift.inside(place)
        lines += [f"{variant} {inside} {shape} {inside}.{variant}\n" for variant in range(len(VARIANTS))]
    (program.parent / "lines").write_text("".join(lines), encoding="utf-8")
    done = swift.run(program, program.parent / "lines")
    assert done.returncode == 0, done.stderr
    for variant, (rule, interpolation) in enumerate(VARIANTS):
        photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": interpolation})
        for number, path in enumerate(pictures):
            seen = np.fromfile(program.parent / f"{number}.rgba.{variant}", dtype=np.uint8)
            expected = crop_photo(open_upright(path), photos.to_preprocessing()).reshape(-1)
            apart = np.abs(seen.astype(int) - expected.astype(int)).max()
            assert apart == 0, (path.name, rule, interpolation)


@dataclass(frozen=True)
class Workshop:
    """Where SwiftPM builds a bundle, with the doubles in the place of LiteRT's package."""

    swift: Swift
    package: Path
    libraries: Path

    def lay(self, bundle: Path) -> None:
        """Put a bundle there; what was built of the one before stays for the compiler to judge."""
        for name in ("Sources", "Tests"):
            shutil.rmtree(self.package / name, ignore_errors=True)
            shutil.copytree(bundle / name, self.package / name)
        shutil.copy(bundle / "Package.swift", self.package / "Package.swift")

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of SwiftPM on it."""
        return self.swift.run(program, "--package-path", self.package, *words, libraries=self.libraries)


@pytest.fixture(scope="module")
def workshop(swift: Swift) -> Workshop:
    """Return the place where bundles are built; its LiteRT answers through the TensorFlow Lite C library."""
    library = os.environ.get(TFLITE_C_DIR)
    if library is None:
        pytest.skip(f"{TFLITE_C_DIR} names no folder with include/ and lib/ of the TensorFlow Lite C library")
    libraries = Path(shutil.copytree(Path(library) / "lib", swift.folder / "lib"))
    doubles = swift.folder / "LiteRT"
    for name, text in DOUBLES.items():
        path = doubles / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("LIBRARY", swift.inside(libraries)), encoding="utf-8")
    shutil.copytree(Path(library) / "include/tensorflow", doubles / "Sources/CTensorFlowLite/include/tensorflow")
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for words in (("init", "-q", "-b", "release/2.3.0"), ("add", "-A"), (*author, "commit", "-q", "-m", "doubles")):
        done = swift.run("git", "-C", doubles, *words)
        assert done.returncode == 0, done.stderr
    made = Workshop(swift, swift.folder / "app", libraries)
    mirror = ("--original", "https://github.com/google-ai-edge/LiteRT", "--mirror", f"file://{swift.inside(doubles)}")
    made.package.mkdir()
    (made.package / "Package.swift").write_text("// swift-tools-version: 5.9\n", encoding="utf-8")
    done = made.run("swift-package", "config", "set-mirror", *mirror)
    assert done.returncode == 0, done.stderr
    return made


# The double of ImageIO decodes nothing.
NOT_HERE = ("--skip", "PhotosTests/testPicturesAreDecodedToTheirPixels")


@pytest.mark.slow
@pytest.mark.parametrize("io", ["fp32", "uint8", "int8", "float32"])
def test_the_golden_vectors_are_met_in_swift(io: Any, workshop: Workshop, tmp_path: Path) -> None:
    """By the package's own XCTest; 8-bit files with a convolution for the dense op, which TensorFlow Lite 2.9 knows."""
    artifact = small_artifact(tmp_path, "fp32") if io == "fp32" else artifact_with_ends(tmp_path, io, "edgetpu")
    made = make_bundle(artifact, "ios", tmp_path / "app", small_wishes(tmp_path))
    workshop.lay(made.path)
    (workshop.package / TESTS / "MoreTests.swift").write_text(MORE, encoding="utf-8")
    done = workshop.run("swift-test", *NOT_HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning:" not in done.stdout + done.stderr
    for test in ("ClassifierTests.testGoldenVectorsAreMet", "PreprocessingTests.testGoldenPhotosAreSeenAsTheyMustBe",
                 "MoreTests.testNothingFallsBackWithoutAWord", "MoreTests.testFramesAreReadByTheirRows"):  # fmt: skip
        assert f"Test Case '{test}' passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_a_wrong_logit_and_a_wrong_pixel_fail_the_tests_in_swift(workshop: Workshop, tmp_path: Path) -> None:
    made = small_bundle(tmp_path, "ios", "fp32")
    workshop.lay(made.path)
    golden = workshop.package / TESTS / "Golden"
    lines = (golden / "golden.txt").read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].split()[0] + " 1000.0"
    (golden / "golden.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    seen = bytearray((golden / "2-seen.ppm").read_bytes())
    seen[-1] = (seen[-1] + 2) % 256
    (golden / "2-seen.ppm").write_bytes(seen)
    done = workshop.run("swift-test", *NOT_HERE)
    assert done.returncode == 1
    assert "1.ppm: the logit of class" in done.stdout
    assert "2.ppm: off by 2 levels" in done.stdout


@pytest.mark.slow
def test_the_sources_are_swift_6_and_formatted(content: Content, workshop: Workshop, tmp_path: Path) -> None:
    """In the language mode of Swift 6, where a data race is an error, that for Core ML too; by swift-format, strictly.

    The package's tests are not built in that mode: what SwiftPM writes to find them on Linux does not compile in it.
    """
    workshop.lay(small_bundle(tmp_path, "ios", "fp32").path)
    wishes = replace(content.wishes, core_ml="python")
    for name, file in rendered(replace(content, name=NAME, wishes=wishes), "ios", "squash", "bilinear").items():
        (workshop.package / name).write_bytes(file)
    (workshop.package / SOURCES / "Resources" / f"{NAME}.mlpackage").mkdir()
    six = ("--scratch-path", f"{workshop.swift.inside(workshop.package)}/.six", "-Xswiftc", "-swift-version")
    done = workshop.run("swift-build", *six, "-Xswiftc", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CoreMLModel.swift" in done.stdout
    assert "warning:" not in done.stdout + done.stderr
    rules = workshop.swift.folder / "format.json"
    rules.write_text(json.dumps(FORMAT), encoding="utf-8")
    lint = ("swift-format", "lint", "--strict", "--recursive", "--configuration", rules)
    # It loses the first letters of an absolute path.
    done = workshop.swift.run(*lint, "app/Sources", "app/Tests", "app/Package.swift")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_broken_source_is_refused_by_the_compiler(workshop: Workshop, tmp_path: Path) -> None:
    """What the compiler says of the sources above means something."""
    workshop.lay(small_bundle(tmp_path, "ios", "fp32").path)
    path = workshop.package / SOURCES / "Classifier.swift"
    path.write_text(path.read_text(encoding="utf-8").replace("[Answer]", "[Answers]"), encoding="utf-8")
    done = workshop.run("swift-build")
    assert done.returncode == 1
    assert "cannot find type 'Answers' in scope" in done.stdout + done.stderr
