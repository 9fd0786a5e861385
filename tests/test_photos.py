"""Each file of a folder is either used, with the pixels a viewer would show, or named with the reason why not."""

import hashlib
import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgenet.errors import InputError
from edgenet.photos import MAX_PIXELS, Photo, PhotoFile, Skipped, find_photos, load_photo, read_photos

WIDTH, HEIGHT = 60, 40


def _pixels() -> NDArray[np.uint8]:
    """Return a smooth picture [40, 60, 3]: JPEG changes it by a few levels only."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 4, y * 6, 128 + x - y], axis=2).astype(np.uint8)


def _encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


PICTURE = Image.fromarray(_pixels())
GREY = PICTURE.convert("L")
JPEG, PNG = _encoded(PICTURE, "JPEG", quality=95), _encoded(PICTURE)


def _load(folder: Path, content: bytes, name: str = "photo.jpg") -> Photo | Skipped:
    path = folder / name
    path.write_bytes(content)
    return load_photo(PhotoFile(path, name))


def _half_transparent() -> Image.Image:
    image = PICTURE.convert("RGBA")
    image.putalpha(
        Image.fromarray(np.where(np.arange(WIDTH) < WIDTH // 2, 255, 0).astype(np.uint8)[None].repeat(HEIGHT, 0))
    )
    return image


def _half_white() -> NDArray[np.uint8]:
    pixels = _pixels()
    pixels[:, WIDTH // 2 :] = 255
    return pixels


def _palette_with_hole() -> bytes:
    image = PICTURE.quantize(16)
    return _encoded(image, transparency=int(np.asarray(image)[0, 0]))


def _palette_with_white_hole() -> NDArray[np.uint8]:
    image = PICTURE.quantize(16)
    pixels = np.asarray(image.convert("RGB")).copy()
    pixels[np.asarray(image) == np.asarray(image)[0, 0]] = 255
    return pixels


def _grey(levels: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.repeat(levels.astype(np.uint8)[:, :, None], 3, axis=2)


# 0, 256, 512 … 65280: each level of 8 bits in 16.
WIDE = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)


@dataclass(frozen=True)
class Used:
    """A file that is used, and the pixels [40, 60, 3] to get from it."""

    id: str
    content: Callable[[], bytes]
    pixels: Callable[[], NDArray[np.uint8]] = _pixels
    tolerance: int = 0  # levels


USED = [
    Used("png", lambda: PNG),
    Used("bmp", lambda: _encoded(PICTURE, "BMP")),
    Used("webp", lambda: _encoded(PICTURE, "WEBP", lossless=True)),
    Used("jpeg", lambda: JPEG, tolerance=12),
    Used("progressive-jpeg", lambda: _encoded(PICTURE, "JPEG", quality=95, progressive=True), tolerance=12),
    # ImageNet's pipelines ignore the camera's rotation: 6 would turn the picture, and its size, by 90 degrees.
    Used("exif-rotated", lambda: _encoded(PICTURE, "JPEG", quality=95, exif=_orientation(6)), tolerance=12),
    Used("cmyk-jpeg", lambda: _encoded(PICTURE.convert("CMYK"), "JPEG", quality=95), tolerance=12),
    Used("grey-jpeg", lambda: _encoded(GREY, "JPEG", quality=95), lambda: _grey(np.asarray(GREY)), tolerance=4),
    Used("grey", lambda: _encoded(GREY), lambda: _grey(np.asarray(GREY))),
    Used("16-bit-grey", lambda: _encoded(Image.fromarray(WIDE)), lambda: _grey(WIDE >> 8)),
    Used("black-and-white", lambda: _encoded(GREY.convert("1")), lambda: _grey(np.asarray(GREY.convert("1")) * 255)),
    Used("palette", lambda: _encoded(PICTURE.quantize(16)), lambda: np.asarray(PICTURE.quantize(16).convert("RGB"))),
    Used("palette-with-transparent-colour", _palette_with_hole, _palette_with_white_hole),
    Used("alpha", lambda: _encoded(_half_transparent()), _half_white),
    Used(
        "grey-alpha",
        lambda: _encoded(_half_transparent().convert("LA")),
        lambda: np.where(_half_white() == 255, _half_white(), _grey(np.asarray(GREY))),
    ),
    Used("animated-webp", lambda: _animation("WEBP", lossless=True)),
    Used("animated-png", lambda: _animation("PNG")),
]


def _orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def _animation(form: str, **options: object) -> bytes:
    return _encoded(
        PICTURE, form, save_all=True, append_images=[PICTURE.transpose(Image.Transpose.ROTATE_180)], **options
    )


@pytest.mark.parametrize("case", USED, ids=lambda case: case.id)
def test_a_photo_is_read_as_a_viewer_would_show_it(tmp_path: Path, case: Used) -> None:
    content = case.content()
    photo = _load(tmp_path, content)  # always called .jpg: what counts is the content
    assert isinstance(photo, Photo)
    assert (photo.name, photo.image.mode, photo.image.size) == ("photo.jpg", "RGB", (WIDTH, HEIGHT))
    assert photo.sha256 == hashlib.sha256(content).hexdigest()
    difference = np.abs(np.asarray(photo.image).astype(int) - case.pixels().astype(int))
    assert difference.max() <= case.tolerance


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_of_size(width_px: int, height_px: int) -> bytes:
    """Return a PNG of a few hundred bytes that claims any size."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(bytes(10_000))) + _chunk(b"IEND", b"")


def _png_without_palette() -> bytes:
    """Return a PNG whose pixels count the colours of a palette that is not there."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 3, 0, 0, 0))
    rows = b"".join(b"\0" + bytes(range(16)) for _ in range(16))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _gif() -> bytes:
    return _encoded(PICTURE, "GIF", save_all=True, append_images=[GREY])


@dataclass(frozen=True)
class Unusable:
    """A file that is skipped, and what the reason must say."""

    id: str
    content: Callable[[], bytes]
    reason: str


UNUSABLE = [
    Unusable("empty", lambda: b"", "empty file"),
    Unusable("text", lambda: b"not a photo at all\n" * 50, "not an image that can be read"),
    Unusable("one-byte", lambda: b"\xff", "not an image that can be read"),
    Unusable("gif-called-jpg", _gif, "not an image that can be read (JPEG, PNG, BMP, WebP)"),
    Unusable("tiff-called-jpg", lambda: _encoded(PICTURE, "TIFF"), "not an image that can be read"),
    Unusable("eps-called-jpg", lambda: _encoded(PICTURE, "EPS"), "not an image that can be read"),
    Unusable("truncated-jpeg", lambda: JPEG[:-200], "cannot be decoded: image file is truncated"),
    Unusable("jpeg-header-only", lambda: JPEG[:20], "not an image that can be read"),
    Unusable("truncated-png", lambda: PNG[: len(PNG) // 2], "cannot be decoded"),
    Unusable("png-of-zeros-behind-its-header", lambda: PNG[:50] + bytes(len(PNG) - 50), "cannot be decoded"),
    Unusable("truncated-bmp", lambda: _encoded(PICTURE, "BMP")[:2000], "cannot be decoded"),
    Unusable("constant", lambda: _encoded(Image.new("RGB", (50, 50), "red")), "every pixel has the same colour"),
    Unusable("transparent", lambda: _encoded(Image.new("RGBA", (50, 50), (1, 2, 3, 0))), "every pixel has the same"),
    Unusable("one-pixel", lambda: _encoded(Image.new("RGB", (1, 1))), "every pixel has the same colour"),
    Unusable("bomb-over-pillows-limit", lambda: _png_of_size(30_000, 30_000), f"over the limit of {MAX_PIXELS}"),
    Unusable("bomb-below-pillows-error", lambda: _png_of_size(10_000, 9_000), f"over the limit of {MAX_PIXELS}"),
    Unusable("huge-width", lambda: _png_of_size(2**31 - 1, 1), "over the limit"),
    Unusable("strip", lambda: _png_of_size(40_000, 2), "40000 x 2 pixels: a strip, not a photo"),
    Unusable("no-width", lambda: _png_of_size(0, 5), "not an image that can be read"),
    Unusable("palette-missing", _png_without_palette, "cannot be decoded: its palette is missing"),
]


@pytest.mark.parametrize("case", UNUSABLE, ids=lambda case: case.id)
def test_an_unusable_photo_is_named_with_one_line_of_reason(tmp_path: Path, case: Unusable) -> None:
    photo = _load(tmp_path, case.content(), "bad.jpg")
    assert isinstance(photo, Skipped)
    assert photo.name == "bad.jpg"
    assert case.reason in photo.reason
    assert photo.reason and "\n" not in photo.reason


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP"])
def test_damage_anywhere_gives_a_photo_or_a_reason_and_never_an_exception(tmp_path: Path, form: str) -> None:
    whole = _encoded(PICTURE, form)
    draws = random.Random(form)
    for _ in range(150):
        damaged = bytearray(whole[: draws.randrange(len(whole)) if draws.random() < 0.3 else None])
        for _ in range(draws.randrange(1, 6) if damaged else 0):
            damaged[
                draws.randrange(len(damaged)) if draws.random() < 0.5 else draws.randrange(min(60, len(damaged)))
            ] = draws.randrange(256)
        photo = _load(tmp_path, bytes(damaged))
        assert photo.image.mode == "RGB" if isinstance(photo, Photo) else photo.reason


def test_a_damaged_photo_does_not_stop_the_ones_behind_it(tmp_path: Path) -> None:
    for name, content in {"a.png": PNG, "b.png": PNG[:100], "c.png": PNG}.items():
        (tmp_path / name).write_bytes(content)
    kinds = [type(photo) for photo in read_photos(find_photos(tmp_path).files)]
    assert kinds == [Photo, Skipped, Photo]


def test_photos_are_found_in_the_order_of_their_names_whatever_their_depth(tmp_path: Path) -> None:
    names = ["b.JPG", "a/z.jpeg", "a/b/c.png", "a.bmp", "Z.webp", "ä.png", "a b\nc.png", "日本.jpg"]
    ignored = ["note.txt", "noextension", ".hidden.jpg", ".cache/a.jpg", "labels.csv", "jpg"]
    for name in names + ignored:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    listing = find_photos(tmp_path)
    assert [file.name for file in listing.files] == sorted(names)
    assert listing.skipped == ()
    assert all(isinstance(photo, Photo) for photo in read_photos(listing.files))


def test_pictures_of_other_formats_are_named(tmp_path: Path) -> None:
    for name in ("moving.GIF", "scan.tiff", "phone.heic"):
        (tmp_path / name).write_bytes(_gif())
    listing = find_photos(tmp_path)
    assert listing.files == ()
    assert {item.name: item.reason for item in listing.skipped} == {
        "moving.GIF": ".gif is not read; save it as JPEG or PNG",
        "phone.heic": ".heic is not read; save it as JPEG or PNG",
        "scan.tiff": ".tiff is not read; save it as JPEG or PNG",
    }


def test_a_name_that_is_no_utf_8_is_printable(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(PNG)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (file,) = find_photos(tmp_path).files
    assert file.name == "caf\\xe9.png"
    assert isinstance(load_photo(file), Photo)


def test_links_are_followed_and_loops_are_named(tmp_path: Path) -> None:
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    (photos / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    for path in (photos / "deep" / "a.png", elsewhere / "b.png"):
        path.write_bytes(PNG)
    (photos / "link.png").symlink_to(elsewhere / "b.png")
    (photos / "other").symlink_to(elsewhere)
    (photos / "deep" / "up").symlink_to(photos)
    listing = find_photos(photos)
    assert [file.name for file in listing.files] == ["deep/a.png", "link.png", "other/b.png"]
    assert listing.skipped == (Skipped("deep/up", "is the same folder as '.'"),)


def test_links_to_nothing_or_to_themselves_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    found = list(read_photos(find_photos(tmp_path).files))
    assert [item.name for item in found] == ["dangling.jpg", "self.jpg"]
    assert all(isinstance(item, Skipped) and item.reason.startswith("cannot be read: ") for item in found)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (photo,) = read_photos(find_photos(tmp_path).files)
    assert photo == Skipped("pipe.jpg", "not a regular file")


def test_a_folder_called_like_a_photo_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set.jpg").mkdir()
    (tmp_path / "set.jpg" / "a.png").write_bytes(PNG)
    assert [file.name for file in find_photos(tmp_path).files] == ["set.jpg/a.png"]


def test_a_file_over_the_size_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.jpg").open("wb") as stream:
        stream.truncate(2**28 + 1)  # a hole: takes no room on disk
    (photo,) = read_photos(find_photos(tmp_path).files)
    assert photo == Skipped("large.jpg", "268435457 bytes, over the limit of 268435456")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "secret.png").chmod(0)
    (tmp_path / "closed").mkdir(mode=0)
    listing = find_photos(tmp_path)
    (photo,) = read_photos(listing.files)
    assert photo == Skipped("secret.png", "cannot be read: Permission denied")
    assert listing.skipped == (Skipped("closed", "cannot be listed: Permission denied"),)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PNG)
    with pytest.raises(InputError, match=r"file' is not a folder; allowed: a folder of photos; check the path"):
        find_photos(tmp_path / "file")
    with pytest.raises(InputError, match=r"gone' does not exist"):
        find_photos(tmp_path / "gone")
