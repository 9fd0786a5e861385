"""An .npz file of images: what it may hold, and that nothing else crashes, fills the memory or runs code."""

import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from converters.calibration_source import open_calibration
from edgenet.errors import EdgenetError, InputError
from edgenet.photos import Skipped
from edgenet.preprocessing import Preprocessing, crop_photo
from tests.test_calibration_source import RECORD, SIDE_PX, array_file, peak_of, some_pictures


@pytest.mark.parametrize("dtype", ["u1", "<f2", "<f4", "<f8", ">f4"])
def test_an_array_of_the_networks_side_is_taken_as_it_is(tmp_path: Path, dtype: str) -> None:
    pictures = some_pictures(16)
    images = open_calibration(array_file(tmp_path, pictures.astype(dtype)), RECORD)
    np.testing.assert_array_equal(np.stack(list(images)), pictures)
    assert [file.name for file in images.manifest.files] == ["photos.npz"]


def test_an_array_of_another_side_is_cropped_as_photos_are(tmp_path: Path) -> None:
    pictures = some_pictures(16, 80)
    for picture, pixels in zip(open_calibration(array_file(tmp_path, pictures), RECORD), pictures, strict=True):
        np.testing.assert_array_equal(picture, crop_photo(Image.fromarray(pixels), RECORD))


def test_compressed_arrays_and_other_arrays_beside_are_fine(tmp_path: Path) -> None:
    pictures, path = some_pictures(60), tmp_path / "photos.npz"
    np.savez_compressed(path, images=pictures, labels=np.arange(60))
    plain, packed = (
        open_calibration(array_file(tmp_path, pictures), RECORD, 20),
        open_calibration(str(path), RECORD, 20),
    )
    assert plain.manifest.pixels_sha256 == packed.manifest.pixels_sha256


def test_unusable_images_of_an_array_are_named(tmp_path: Path) -> None:
    pictures = some_pictures(24).astype(np.float32)
    pictures[0, 5, 5, 0] = np.nan
    pictures[1, 0, 0, 2] = np.inf
    pictures[2] = 77
    pictures[3, 9, 9, 1] = 255.5
    pictures[4, 9, 9, 1] = -1
    pictures[5] /= 255
    images = open_calibration(array_file(tmp_path, pictures), RECORD)
    assert images.manifest.used == 18
    assert images.manifest.skipped == (
        Skipped("images[0]", "holds NaN or infinity"),
        Skipped("images[1]", "holds NaN or infinity"),
        Skipped("images[2]", "constant: one colour"),
        Skipped("images[3]", "values from 0 to 255.5, not 0-255"),
        Skipped("images[4]", "values from -1 to 189, not 0-255"),
        Skipped("images[5]", "values from 0 to 0.741176: scaled to 0-1, not 0-255"),
    )


def _packed(content: bytes, packing: int = zipfile.ZIP_STORED, name: str = "images.npy") -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def _array(images: NDArray[np.generic]) -> bytes:
    stream = BytesIO()
    np.lib.format.write_array(stream, images)
    return stream.getvalue()


def _claim(shape: str, descr: str = "'|u1'") -> bytes:
    """Return a file of a few bytes whose header claims any shape."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return _packed(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(5000))


def _objects() -> NDArray[np.generic]:
    return np.asarray([{"pickled": True}, None], dtype=object)


PICTURES = some_pictures(16)
NO_ARRAY = "'images' is no array"


@dataclass(frozen=True)
class BadArray:
    """A file called .npz, and what the refusal must say."""

    id: str
    content: Callable[[], bytes]
    message: str


BAD_ARRAYS = [
    BadArray("empty", lambda: b"", "photos.npz is not an .npz file"),
    BadArray("text", lambda: b"images", "photos.npz is not an .npz file"),
    BadArray("npy", lambda: _array(PICTURES), "photos.npz is not an .npz file"),
    BadArray("truncated", lambda: _packed(_array(PICTURES))[:-200], "photos.npz is not an .npz file"),
    BadArray(
        "other-name", lambda: _packed(_array(PICTURES), name="x.npy"), "photos.npz holds x; allowed: an array 'images'"
    ),
    BadArray("no-member", lambda: b"PK\x05\x06" + bytes(18), "photos.npz holds nothing"),
    BadArray("packed-otherwise", lambda: _packed(_array(PICTURES), zipfile.ZIP_LZMA), "cannot be unpacked: method 14"),
    BadArray("empty-member", lambda: _packed(b""), NO_ARRAY),
    BadArray("text-member", lambda: _packed(b"images" * 100), NO_ARRAY),
    BadArray("objects", lambda: _packed(_array(_objects())), "'images' is object [2]; allowed: an array"),
    BadArray("whole-numbers", lambda: _packed(_array(PICTURES.astype(np.int64))), "is int64 [16, 64, 64, 3]"),
    BadArray("signed", lambda: _packed(_array(PICTURES.view(np.int8))), "convert it with .astype(np.uint8)"),
    BadArray("truth", lambda: _packed(_array(PICTURES > 9)), "is bool [16, 64, 64, 3]"),
    BadArray("complex", lambda: _packed(_array(PICTURES.astype(np.complex64))), "is complex64"),
    BadArray(
        "channels-first", lambda: _packed(_array(PICTURES.reshape(16, 3, 64, 64))), "channels come last, red first"
    ),
    BadArray("grey", lambda: _packed(_array(PICTURES[..., 0])), "is uint8 [16, 64, 64]"),
    BadArray("four-channels", lambda: _packed(_array(PICTURES.repeat(2, 3)[..., :4])), "is uint8 [16, 64, 64, 4]"),
    BadArray("no-image", lambda: _packed(_array(PICTURES[:0])), "is uint8 [0, 64, 64, 3]"),
    BadArray("no-pixel", lambda: _packed(_array(PICTURES[:, :0])), "is uint8 [16, 0, 64, 3]"),
    BadArray("fortran", lambda: _packed(_array(np.asfortranarray(PICTURES))), "save np.ascontiguousarray(images)"),
    BadArray("too-few", lambda: _packed(_array(PICTURES[:15])), "has 15 usable calibration images"),
    BadArray("strips", lambda: _packed(_array(np.zeros((16, 2, 50, 3), np.uint8))), "and 20 to 1"),
    BadArray("huge-images", lambda: _claim("(16, 100000, 100000, 3)"), "at most 89478485 pixels an image"),
    BadArray("huge-count", lambda: _claim(f"({10**30}, 64, 64, 3)"), "cannot be read: the file ends there"),
    BadArray("negative-count", lambda: _claim("(-16, 64, 64, 3)"), "is uint8 [-16, 64, 64, 3]"),
    BadArray("negative-size", lambda: _claim("(16, -64, -64, 3)"), "is uint8 [16, -64, -64, 3]"),
    BadArray("truth-as-count", lambda: _claim("(True, 8, 8, 3)"), "0 usable calibration images"),
    BadArray("count-of-fractions", lambda: _claim("(16.0, 64, 64, 3)"), NO_ARRAY),
    BadArray("open-bracket", lambda: _claim("(16, 64, 64, 3"), NO_ARRAY),
    BadArray("code", lambda: _claim("(__import__('os').getpid(), 64, 64, 3)"), NO_ARRAY),
    BadArray("nested", lambda: _claim("(" * 400 + ")" * 400), NO_ARRAY),
    BadArray("fields", lambda: _claim("(16, 64, 64, 3)", "[('red', '<f4')]"), "convert it with"),
    BadArray("later-version", lambda: _packed(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31)), "(2, 0), not (1, 0)"),
]


@pytest.mark.parametrize("case", BAD_ARRAYS, ids=lambda case: case.id)
def test_a_wrong_array_file_is_refused_in_one_line(tmp_path: Path, case: BadArray) -> None:
    path = tmp_path / "photos.npz"
    path.write_bytes(case.content())
    with pytest.raises(InputError) as caught:
        open_calibration(str(path), RECORD)
    assert case.message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")  # damage may look like a file of Python 2
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_anywhere_in_an_array_file_is_refused_or_harmless(tmp_path: Path, packing: int) -> None:
    record = Preprocessing(16, "squash", 1.0, "bilinear", (0.0,) * 3, (1.0,) * 3)
    whole, path = _packed(_array(some_pictures(20, 16)), packing), tmp_path / "photos.npz"
    draws, refused = random.Random(packing), 0
    for _ in range(120):
        damaged = bytearray(whole[: draws.randrange(len(whole)) if draws.random() < 0.2 else None])
        for _ in range(draws.randrange(1, 6) if damaged else 0):
            first = draws.choice((0, 0, max(0, len(damaged) - 130)))  # both directories of the archive, or anywhere
            last = draws.choice((len(damaged), min(len(damaged), first + 200)))
            damaged[draws.randrange(first, last)] = draws.randrange(256)
        path.write_bytes(damaged)
        try:
            assert len(list(open_calibration(str(path), record, 16))) == 16
        except EdgenetError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_a_bomb_is_read_image_by_image(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w") as member,
    ):
        member.write(_header_of((8000, SIDE_PX, SIDE_PX, 3)))
        for _ in range(8):  # 98 MB of zeros
            member.write(bytes(1000 * SIDE_PX * SIDE_PX * 3))
    assert path.stat().st_size < 1_000_000

    def read() -> None:
        with pytest.raises(InputError, match="has 0 usable calibration images; 8000 skipped"):
            open_calibration(str(path), RECORD, 8000)

    assert peak_of(read) < 10_000_000


def _header_of(shape: tuple[int, ...]) -> bytes:
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()
