"""The C sources of a bundle: compiled without a warning, they see what our record sees, and answer as they must."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgenet.bundle.content import Content
from edgenet.bundle.make import make_bundle
from edgenet.bundle.record import GoldenDocument, read_record
from edgenet.photos import open_upright
from edgenet.precision import IoType, Precision
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.odd_pictures import write_odd_pictures
from tests.bundle.small import FILTERS, RULES, artifact_with_ends, rendered, small_bundle, small_content, small_wishes

TFLITE_C_DIR = "EDGENET_TFLITE_C_DIR"
FLAGS = (
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Werror",
    "-ffp-contract=off",
    "-fsanitize=undefined,address",
)
# Reads P6 from the first argument, writes what the network sees to the second.
HARNESS = """
#include <stdio.h>
#include <stdlib.h>
#include "small_photos.h"
int main(int count, char **arguments) {
    static uint8_t seen[SMALL_SIDE * SMALL_SIDE * 3];
    int width, height, levels;
    FILE *in = fopen(arguments[1], "rb"), *out = fopen(arguments[2], "wb");
    if (count != 3 || !in || !out || fscanf(in, "P6 %d %d %d", &width, &height, &levels) != 3) return 2;
    fgetc(in);
    const size_t size = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(size);
    if (!rgb || fread(rgb, 1, size, in) != size) return 2;
    if (small_crop(rgb, width, height, (size_t)width * 3, seen)) return 1;
    free(rgb);
    return fwrite(seen, 1, sizeof seen, out) != sizeof seen || fclose(out) || fclose(in);
}
"""

CALLER = """
#include <cstdio>
#include <vector>
#include "lite0_classifier.h"
int main(int count, char **arguments) {
    int width, height;
    FILE *in = std::fopen(arguments[count - 1], "rb");
    if (!in || std::fscanf(in, "P6 %d %d 255", &width, &height) != 2) return 2;
    std::fgetc(in);
    std::vector<unsigned char> rgb(static_cast<size_t>(width) * height * 3);
    if (std::fread(rgb.data(), 1, rgb.size(), in) != rgb.size()) return 2;
    lite0_classifier *classifier = lite0_classifier_create(arguments[1], 1);
    lite0_classifier_answer best[5];
    if (!classifier || lite0_classifier_classify(classifier, rgb.data(), width, height, width * 3u, best, 5)) return 1;
    for (const auto &answer : best) std::puts(answer.label);
    lite0_classifier_destroy(classifier);
}
"""

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a bundle is made from."""
    return small_content(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return twenty odd pictures."""
    return write_odd_pictures(tmp_path_factory.mktemp("odd"))


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("rule", RULES)
def test_c_sees_what_the_record_sees(
    content: Content, pictures: list[Path], rule: CropRule, interpolation: Interpolation, tmp_path: Path
) -> None:
    for name, source in rendered(content, "c", rule, interpolation).items():
        if "_photos" in name:
            (tmp_path / name).write_bytes(source)
    (tmp_path / "main.c").write_text(HARNESS, encoding="utf-8")
    sources = [str(tmp_path / "main.c"), str(tmp_path / "small_photos.c")]
    subprocess.run(["gcc", *FLAGS, "-o", str(tmp_path / "crop"), *sources, "-lm"], check=True)
    photos = content.photos.model_copy(update={"crop_rule": rule, "interpolation": interpolation})
    side = photos.side_px
    for path in pictures:
        photo = open_upright(path)
        photo.save(tmp_path / "photo.ppm", "PPM")
        subprocess.run([tmp_path / "crop", tmp_path / "photo.ppm", tmp_path / "seen"], check=True)
        seen = np.fromfile(tmp_path / "seen", dtype=np.uint8).reshape(side, side, 3)
        apart = np.abs(seen.astype(int) - crop_photo(photo, photos.to_preprocessing()).astype(int)).max()
        assert apart == 0, path.name


def _library() -> str:
    """Return the folder of the TensorFlow Lite C library."""
    folder = os.environ.get(TFLITE_C_DIR)
    if folder is None:
        pytest.skip(f"{TFLITE_C_DIR} names no folder with include/ and lib/ of the TensorFlow Lite C library")
    return folder


def _build(bundle: Path, folder: Path) -> Path:
    """Build a bundle without a warning and return the folder of the build."""
    build = folder / "build"
    environment = {**os.environ, "CFLAGS": "-Wall -Wextra -Wconversion -Werror"}
    command = ["cmake", "-S", str(bundle), "-B", str(build), f"-DTFLITE_C_DIR={_library()}"]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    subprocess.run(["cmake", "--build", str(build)], check=True, capture_output=True)
    return build


def _check_golden(bundle: Path, folder: Path) -> None:
    build = _build(bundle, folder)
    done = subprocess.run(["ctest", "--test-dir", str(build), "-V"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "every golden vector is met" in done.stdout


@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8"])
def test_the_golden_vectors_are_met_in_c(precision: Precision, tmp_path: Path) -> None:
    _library()
    _check_golden(small_bundle(tmp_path, "c", precision).path, tmp_path)


@pytest.mark.parametrize("io", ["uint8", "int8", "float32"])
def test_the_golden_vectors_of_integer_files_are_met_in_c(io: IoType, tmp_path: Path) -> None:
    """With a convolution for the dense op: the library at hand is TensorFlow Lite 2.9."""
    _library()
    artifact = artifact_with_ends(tmp_path, io, "edgetpu")
    _check_golden(make_bundle(artifact, "c", tmp_path / "app", small_wishes(tmp_path)).path, tmp_path)


def test_a_wrong_logit_fails_the_test_in_c(tmp_path: Path) -> None:
    _library()
    bundle = small_bundle(tmp_path, "c", "fp32").path
    golden = bundle / "golden" / "golden.txt"
    lines = golden.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].split()[0] + " 1000.0"
    golden.write_text("\n".join(lines) + "\n", encoding="utf-8")
    build = _build(bundle, tmp_path)
    done = subprocess.run([build / "golden_test", bundle], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1.ppm: the logit of class" in done.stderr


def test_a_photo_is_classified_in_c(tmp_path: Path) -> None:
    """Through the function that an app calls, from a program that is compiled as C++, too."""
    _library()
    bundle = small_bundle(tmp_path, "c", "fp32").path
    build = _build(bundle, tmp_path)
    (tmp_path / "main.cc").write_text(CALLER, encoding="utf-8")
    command = ["g++", "-I", str(bundle), "-o", str(tmp_path / "main"), str(tmp_path / "main.cc")]
    library = Path(_library()) / "lib"
    libraries = [str(build / "liblite0_classifier.a"), f"-L{library}", "-ltensorflowlite_c", f"-Wl,-rpath,{library}"]
    subprocess.run([*command, *libraries], check=True)
    words = [str(tmp_path / "main"), str(bundle / "assets"), str(bundle / "golden" / "1.ppm")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    document = read_record(bundle / "golden" / "golden.json", GoldenDocument)
    assert done.stdout.splitlines() == [row.label for row in document.cases[0].top]
