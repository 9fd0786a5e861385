"""Calibration images: which are used, which are named and left out, and that memory does not grow with them."""

import gc
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from converters.calibration_source import CalibrationSet, open_calibration, stretches
from converters.procedural import procedural_image
from edgenet.errors import InputError
from edgenet.preprocessing import Preprocessing, crop_photo

SIDE_PX = 64
RECORD = Preprocessing(SIDE_PX, "crop_then_resize", 0.875, "bilinear", (127.0,) * 3, (128.0,) * 3)


def some_pictures(count: int, side_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """Return different pictures [N, side, side, 3] that are quick to make."""
    y, x = np.mgrid[0:side_px, 0:side_px]
    return np.stack([np.stack([x * 3, y * 3, x + y + index], axis=2) for index in range(count)]).astype(np.uint8)


def _photo_folder(folder: Path, names: list[str]) -> str:
    for name, pixels in zip(names, some_pictures(len(names), 80), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name, "PNG", compress_level=1)
    return str(folder)


def array_file(folder: Path, images: NDArray[np.generic]) -> str:
    """Write an .npz file as a user would, and return its path."""
    path = folder / "photos.npz"
    np.savez(path, images=images)
    return str(path)


def _names(images: CalibrationSet) -> list[str]:
    return [file.name for file in images.manifest.files]


Source = Callable[[Path, int], str]  # (folder, count of images) -> the source to open
SOURCES: dict[str, Source] = {
    "builtin": lambda folder, count: "builtin",
    "folder": lambda folder, count: _photo_folder(folder, [f"{index:04}.png" for index in range(count)]),
    "array": lambda folder, count: array_file(folder, some_pictures(count)),
}
EACH_SOURCE = pytest.mark.parametrize("kind", SOURCES)


@EACH_SOURCE
def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind](tmp_path, 60)
    first, again, other = (open_calibration(source, RECORD, 20, seed) for seed in (1, 1, 2))
    assert first.manifest == again.manifest
    assert first.manifest.pixels_sha256 != other.manifest.pixels_sha256
    assert (first.manifest.kind, first.manifest.source, first.manifest.seed) == (kind, source, 1)
    assert (first.manifest.wanted, first.manifest.used, len(first)) == (20, 20, 20)


@EACH_SOURCE
def test_a_set_can_be_gone_through_again_and_by_two_at_once(tmp_path: Path, kind: str) -> None:
    images = open_calibration(SOURCES[kind](tmp_path, 16), RECORD, 16)
    first, second = list(images), list(images)
    assert all(picture.shape == (SIDE_PX, SIDE_PX, 3) and picture.dtype == np.uint8 for picture in first)
    for one, other in zip(images, images, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(np.stack(first), np.stack(second))
    assert len({picture.tobytes() for picture in first}) == 16


def test_the_builtin_images_are_the_procedural_ones() -> None:
    images = open_calibration("builtin", RECORD, 17, seed=4)
    for index, picture in enumerate(images):
        np.testing.assert_array_equal(picture, procedural_image(index, SIDE_PX, 4))
    assert (images.manifest.files, images.manifest.skipped, images.manifest.notes) == ((), (), ())


def test_photos_are_cropped_as_the_record_says(tmp_path: Path) -> None:
    source = SOURCES["folder"](tmp_path, 16)
    for picture, pixels in zip(open_calibration(source, RECORD, 16), some_pictures(16, 80), strict=True):
        np.testing.assert_array_equal(picture, crop_photo(Image.fromarray(pixels), RECORD))


@pytest.mark.parametrize("seed", [0, 1, 2**32])
def test_class_folders_are_covered_evenly(tmp_path: Path, seed: int) -> None:
    source = _photo_folder(tmp_path, [f"{label:02}/{index}.png" for label in range(10) for index in range(8)])
    images = open_calibration(source, RECORD, 20, seed)
    assert Counter(name.split("/")[0] for name in _names(images)) == {f"{label:02}": 2 for label in range(10)}
    assert _names(images) == sorted(_names(images))


@pytest.mark.parametrize("count", [0, 1, 7, 100, 1000])
@pytest.mark.parametrize("wanted", [1, 7, 16, 100])
def test_stretches_cover_the_whole_without_overlap(count: int, wanted: int) -> None:
    parts = list(stretches(count, wanted, seed=3))
    assert len(parts) == min(count, wanted)
    for number, part in enumerate(parts):
        start, end = number * count // len(parts), (number + 1) * count // len(parts)
        assert start == part.begin <= part.first < part.end == end
        assert list(part.onward) == list(range(part.first, end))
        assert sorted(part.around) == list(range(start, end))
    assert parts == list(stretches(count, wanted, seed=3))


def test_every_image_of_a_stretch_is_drawn_by_some_seed() -> None:
    drawn = Counter(part.first for seed in range(200) for part in stretches(40, 10, seed))
    assert set(drawn) == set(range(40))
    assert max(drawn.values()) < 90  # of 200; 50 on the average


def test_fewer_images_than_wanted_are_all_used_and_said_to_be_few(tmp_path: Path) -> None:
    images = open_calibration(SOURCES["folder"](tmp_path, 30), RECORD, 200)
    assert (images.manifest.wanted, images.manifest.used, len(list(images))) == (200, 30, 30)
    assert images.manifest.notes == ("calibrated on 30 images only; 100 or more give steadier ranges",)
    assert len(set(_names(images))) == 30


def test_unusable_photos_are_named_and_counted(tmp_path: Path) -> None:
    source = SOURCES["folder"](tmp_path, 40)
    Image.new("RGB", (80, 80), "blue").save(tmp_path / "0000.png")
    (tmp_path / "0001.png").write_bytes(b"")
    (tmp_path / "0020.png").write_bytes((tmp_path / "0020.png").read_bytes()[:150])
    (tmp_path / "moving.gif").write_bytes(b"GIF89a")
    (tmp_path / "notes.txt").write_text("no photo")
    border = np.full((80, 80, 3), 9, dtype=np.uint8)
    border[:3] = 200
    Image.fromarray(border).save(tmp_path / "0021.png")
    images = open_calibration(source, RECORD, 40)
    assert images.manifest.used == 36
    reasons = {item.name: item.reason for item in images.manifest.skipped}
    assert reasons.keys() == {"0000.png", "0001.png", "0020.png", "0021.png", "moving.gif"}
    assert reasons["0000.png"] == "constant: every pixel has the same colour"
    assert reasons["0001.png"] == "empty file"
    assert reasons["0020.png"].startswith("cannot be decoded")
    assert reasons["0021.png"] == "constant: the cropped part has one colour"
    assert reasons["moving.gif"] == ".gif is not read; save it as JPEG or PNG"
    assert images.manifest.notes[-1].startswith("5 calibration images were skipped, the first: moving.gif (.gif")


@pytest.mark.parametrize("kind", ["folder", "array"])
def test_an_unusable_image_gives_way_to_the_next_of_its_stretch(tmp_path: Path, kind: str) -> None:
    first = next(part.first for part in stretches(200, 20, seed=0) if len(part.onward) > 1)
    pictures = some_pictures(200)
    pictures[first] = 7
    if kind == "array":
        source = array_file(tmp_path, pictures)
    else:
        source = str(tmp_path)
        for index, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(tmp_path / f"{index:04}.png", "PNG", compress_level=1)
    record = Preprocessing(SIDE_PX, "squash", 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3)
    images = open_calibration(source, record, 20)
    assert [item.name for item in images.manifest.skipped] == [
        f"{first:04}.png" if kind == "folder" else f"images[{first}]"
    ]
    assert images.manifest.used == 20
    wanted = [pictures[part.first if part.first != first else first + 1] for part in stretches(200, 20, seed=0)]
    np.testing.assert_array_equal(np.stack(list(images)), np.stack(wanted))


def test_a_photo_at_the_end_of_its_stretch_gives_way_to_one_before_it(tmp_path: Path) -> None:
    source = SOURCES["folder"](tmp_path, 40)
    lasts = [part.end - 1 for part in stretches(40, 16, seed=0) if part.end - part.begin > 1]
    for index in lasts:
        (tmp_path / f"{index:04}.png").write_bytes(b"")
    assert any(part.first in lasts for part in stretches(40, 16, seed=0))
    assert open_calibration(source, RECORD, 16).manifest.used == 16


def test_below_the_floor_the_reasons_are_told(tmp_path: Path) -> None:
    source = SOURCES["folder"](tmp_path, 22)
    for index in range(7):
        (tmp_path / f"{index:04}.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        open_calibration(source, RECORD)
    shown = "; ".join(f"{index:04}.png: empty file" for index in range(5))
    assert str(caught.value) == (
        f"{source!r} has 15 usable calibration images; 7 skipped ({shown} and 2 more); allowed: 16 or more, better 100"
    )


@EACH_SOURCE
@pytest.mark.parametrize("samples", [15, 1, 0, -1])
def test_fewer_samples_than_the_floor_are_refused(tmp_path: Path, kind: str, samples: int) -> None:
    with pytest.raises(InputError, match=f"{samples} samples are too few to calibrate on; allowed: 16 or more"):
        open_calibration(SOURCES[kind](tmp_path, 16), RECORD, samples)
    assert open_calibration(SOURCES[kind](tmp_path, 16), RECORD, 16).manifest.used == 16


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "gone' does not exist; allowed: a folder of photos, FILE.npz, builtin"),
        ("photo.jpg", "photo.jpg' is neither a folder nor an .npz file"),
        ("gone.npz", "gone.npz' does not exist"),
        ("empty", "empty' has 0 usable calibration images; allowed: 16 or more"),
    ],
)
def test_other_sources_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        open_calibration(str(tmp_path / name), RECORD)


def peak_of(work: Callable[[], object]) -> int:
    """Return how many bytes `work` held at most, as Python and NumPy allocate them."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@EACH_SOURCE
def test_memory_does_not_grow_with_the_images(tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind](tmp_path, 250)

    def read(samples: int) -> int:
        return sum(int(picture[0, 0, 0]) for picture in open_calibration(source, RECORD, samples))

    read(16)  # what is loaded or cached on the first use
    few, many = (peak_of(lambda count=count: read(count)) for count in (50, 250))  # type: ignore[misc]  # bound now
    # 200 more images are 2.5 MB of pixels; their names and hashes are a twentieth of that.
    assert many - few < 600_000


def test_the_temporary_file_goes_with_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    opened = Path("/proc/self/fd")
    images = open_calibration("builtin", RECORD, 16)
    passing = iter(images)
    next(passing)
    assert not opened.is_dir() or any(str(folder) in _target(link) for link in opened.iterdir())
    del images, passing
    gc.collect()
    assert not opened.is_dir() or not any(str(folder) in _target(link) for link in opened.iterdir())
    with pytest.raises(InputError):
        open_calibration(SOURCES["folder"](tmp_path / "photos", 15), RECORD)
    assert list(folder.iterdir()) == []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # of the listing itself, closed by now
        return ""


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from converters.calibration_source import open_calibration
from edgenet.errors import MissingError
from edgenet.preprocessing import Preprocessing
record = Preprocessing(64, "squash", 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3)
try:
    open_calibration("builtin", record, 16)
except MissingError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to stand for a full disk")
@pytest.mark.parametrize("room_bytes", [0, 100_000, 16 * SIDE_PX * SIDE_PX * 3 - 1])
def test_a_full_disk_is_told(room_bytes: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(room_bytes)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("no room for calibration images: ")
    assert done.stdout.endswith("; set TMPDIR to a folder with room for them\n")
