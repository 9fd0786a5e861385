"""The C sources of a bundle: compiled without a warning, they see what our record sees, and answer as they must."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgenet.bundle.content import Content
from edgenet.photos import open_upright
from edgenet.preprocessing import CropRule, Interpolation, crop_photo
from tests.bundle.odd_pictures import write_odd_pictures
from tests.bundle.small import FILTERS, RULES, rendered, small_bundle, small_content

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


@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8"])
def test_the_golden_vectors_are_met_in_c(precision: str, tmp_path: Path) -> None:
    library = _library()
    bundle = small_bundle(tmp_path, "c", precision)  # type: ignore[arg-type]  # a Precision
    build = tmp_path / "build"
    environment = {**os.environ, "CFLAGS": "-Wall -Wextra -Wconversion -Werror"}
    subprocess.run(
        ["cmake", "-S", str(bundle.path), "-B", str(build), f"-DTFLITE_C_DIR={library}"],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    subprocess.run(["cmake", "--build", str(build)], check=True, capture_output=True)
    done = subprocess.run(["ctest", "--test-dir", str(build), "-V"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "every golden vector is met" in done.stdout


def test_a_wrong_pixel_or_logit_fails_the_test_in_c(tmp_path: Path) -> None:
    library = _library()
    bundle = small_bundle(tmp_path, "c", "fp32")
    golden = bundle.path / "golden" / "golden.txt"
    lines = golden.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].split()[0] + " 1000.0"
    golden.write_text("\n".join(lines) + "\n", encoding="utf-8")
    build = tmp_path / "build"
    command = ["cmake", "-S", str(bundle.path), "-B", str(build), f"-DTFLITE_C_DIR={library}"]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", str(build)], check=True, capture_output=True)
    done = subprocess.run([build / "golden_test", bundle.path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1.ppm: the logit of class" in done.stderr
