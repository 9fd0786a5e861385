"""Photos on disk: find them in a fixed order, and decode each to RGB or say why it cannot be used."""

import hashlib
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edgenet.errors import InputError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# What the decoder may try, whatever the suffix says: ImageNet itself holds PNG files that are called .JPEG.
_DECODERS = ("JPEG", "PNG", "BMP", "WEBP")
# Pictures that somebody may believe were used, so each is named. GIF is left out on purpose: the dither pattern of 256
# colours is a texture that no camera makes, and calibration would widen ranges for it.
_OTHER_PICTURES = frozenset((".gif", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2"))

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs: 256 MiB of RGB
MAX_SIZE_BYTES = 256 * 2**20
MAX_ASPECT = 20  # a crop rule enlarges the shorter side: a strip of 2 x 40000 pixels would grow to gigabytes


@dataclass(frozen=True)
class PhotoFile:
    """A file that should be a photo; `name` is its path inside the folder, with `/` on every system."""

    path: Path
    name: str


@dataclass(frozen=True)
class Photo:
    """A decoded photo, mode RGB; `sha256` is that of the file's bytes."""

    name: str
    sha256: str
    image: Image.Image


@dataclass(frozen=True)
class Skipped:
    """An image that was not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """The photos of a folder, sorted by name, and what was left out while looking."""

    files: tuple[PhotoFile, ...]
    skipped: tuple[Skipped, ...]


def find_photos(folder: Path) -> Listing:
    """Find the photos in `folder` and all folders below; hidden ones (`.name`) are not looked at.

    The order is that of the names' code points, the same on every file system. Links are followed; a folder that is
    reached a second time, as in a loop, is skipped and named. Raises InputError if `folder` cannot be listed.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{str(folder)!r} {what}", allowed="a folder of photos", mend="check the path")
    found = list(walk_photos(folder))
    files = sorted((item for item in found if isinstance(item, PhotoFile)), key=lambda file: file.name)
    skipped = sorted((item for item in found if isinstance(item, Skipped)), key=lambda item: item.name)
    return Listing(tuple(files), tuple(skipped))


def read_photos(files: Iterable[PhotoFile]) -> Iterator[Photo | Skipped]:
    """Decode `files` one after the other, in their order; one photo is in memory at a time."""
    return map(load_photo, files)


def load_photo(file: PhotoFile) -> Photo | Skipped:
    """Decode one photo to RGB, or say why it cannot be used.

    The camera's rotation tag (EXIF) is ignored, as ImageNet's training and evaluation pipelines do (TensorFlow's
    decoder, torchvision's and timm's loaders): a published accuracy can be met only by the same pixels.
    """
    try:
        content = _read(file.path)
    except _UnusableError as error:
        return Skipped(file.name, str(error))
    return decode_photo(file.name, content)


def decode_photo(name: str, content: bytes) -> Photo | Skipped:
    """Decode the bytes of one photo to RGB, or say why they cannot be used."""
    try:
        return Photo(name, hashlib.sha256(content).hexdigest(), _decode(content))
    except _UnusableError as error:
        return Skipped(name, str(error))


def printable_name(path: Path, folder: Path) -> str:
    """Return `path` inside `folder` with `/`; bytes that are no UTF-8 appear as escapes, so that JSON can hold it."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


class _UnusableError(Exception):
    """One image cannot be used; the text is the reason."""


def walk_photos(top: Path) -> Iterator[PhotoFile | Skipped]:
    """Yield the photos in `top` and all folders below as they are found, each folder in the order of its names.

    Only the names of one folder are in memory. Hidden files, links and loops are treated as by `find_photos`.
    """
    seen: dict[tuple[int, int], str] = {}
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        name = printable_name(folder, top)
        try:
            status = folder.stat()
            first_name = seen.setdefault((status.st_dev, status.st_ino), name)
            if first_name != name:
                yield Skipped(name, f"is the same folder as {first_name!r}")
                continue
            with os.scandir(folder) as entries:
                kinds = {entry.name: _is_folder(entry) for entry in entries if not entry.name.startswith(".")}
        except OSError as error:
            if folder == top:
                raise InputError(
                    f"cannot list {str(folder)!r}: {error.strerror}", mend="check its permissions"
                ) from error
            yield Skipped(name, f"cannot be listed: {error.strerror}")
            continue
        names = sorted(kinds)
        waiting.extend(folder / name for name in reversed(names) if kinds[name])
        yield from _pick((folder / name for name in names if not kinds[name]), top)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _pick(entries: Iterable[Path], top: Path) -> Iterator[PhotoFile | Skipped]:
    for entry in entries:
        suffix = entry.suffix.lower()
        if suffix in PHOTO_SUFFIXES:
            yield PhotoFile(entry, printable_name(entry, top))
        elif suffix in _OTHER_PICTURES:
            yield Skipped(printable_name(entry, top), f"{suffix} is not read; save it as JPEG or PNG")


def _read(path: Path) -> bytes:
    try:
        # A pipe or a device would block or never end.
        if path.exists() and not path.is_file():
            raise _UnusableError("not a regular file")
        size_bytes = path.stat().st_size
        if size_bytes > MAX_SIZE_BYTES:
            raise _UnusableError(f"{size_bytes} bytes, over the limit of {MAX_SIZE_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise _UnusableError(f"cannot be read: {error.strerror}") from error
    if not content:
        raise _UnusableError("empty file")
    return content


def open_upright(path: Path) -> Image.Image:
    """Decode a photo to RGB as an app gets it: turned upright by the camera's tag, of any shape and colour.

    Raise InputError for one that cannot be used.
    """
    try:
        return _opened(_read(path), _turned)
    except _UnusableError as error:
        raise InputError(f"{path}: {error}", allowed="a JPEG, PNG, BMP or WebP file") from error


def _decode(content: bytes) -> Image.Image:
    rgb = _opened(content, _as_stored)
    colours = rgb.getextrema()
    if all(low == high for low, high in colours):  # type: ignore[misc]  # RGB: three (low, high) pairs
        raise _UnusableError("constant: every pixel has the same colour")
    return rgb


def _opened(content: bytes, prepare: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Decode bytes to RGB; `prepare` is given the image before any pixel of it is decoded."""
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit, and about other oddities that do not hinder decoding.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(content), formats=_DECODERS) as image:
                _check_pixels(image)
                return _to_rgb(prepare(image))
    except UnidentifiedImageError as error:
        raise _UnusableError("not an image that can be read (JPEG, PNG, BMP, WebP)") from error
    except Image.DecompressionBombError as error:
        raise _UnusableError(f"over the limit of {MAX_PIXELS} pixels") from error
    # What Pillow's decoders raise for files that begin well and go on badly.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise _UnusableError(f"cannot be decoded: {error}") from error


def _as_stored(image: Image.Image) -> Image.Image:
    """Return a photo as ImageNet's pipelines take it; strips are refused before they are decoded."""
    if max(image.size) > MAX_ASPECT * min(image.size):
        size = f"{image.width} x {image.height}"
        raise _UnusableError(f"{size} pixels: a strip, not a photo (more than {MAX_ASPECT} to 1)")
    image.load()
    return image


def _turned(image: Image.Image) -> Image.Image:
    image.load()
    return ImageOps.exif_transpose(image)


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _UnusableError(f"{image.width} x {image.height} pixels, over the limit of {MAX_PIXELS}")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in 8-bit RGB as a viewer would show it."""
    if image.mode.startswith("I"):
        # 16-bit greys: Pillow's own conversion clips at 255 instead of scaling.
        grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "P" and image.palette is None:
        raise _UnusableError("cannot be decoded: its palette is missing")
    if image.has_transparency_data:
        # The colour below a transparent pixel is arbitrary, often black; a viewer shows the page: white.
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
