"""An .npz file of calibration images, read image by image straight out of the archive."""

import contextlib
import hashlib
import tokenize
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgenet.errors import InputError
from edgenet.photos import MAX_ASPECT, MAX_PIXELS, Skipped
from edgenet.preprocessing import Preprocessing, crop_photo

ARRAY_NAME = "images"
_FLOATS = tuple(np.dtype(f"{order}f{size}") for order in "<>" for size in (2, 4, 8))
_ALLOWED = f"an array {ARRAY_NAME!r} [N, H, W, 3], uint8 or float with values 0-255"
# NumPy packs in these two ways; other unpackers have errors, and appetites for memory, of their own.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FIRST_VERSION = (1, 0)  # later ones are for headers over 64 KiB, which no image array has and a bomb may


class ArrayFile:
    """The array `images` [N, H, W, 3] of an .npz file: raw RGB, uint8 or float with values 0-255.

    Images of exactly [side, side, 3] count as cropped already; others are cropped as a photo would be. Pickled objects
    are never loaded. Raises InputError if the file holds anything else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.sha256 = _sha256(path)
        with contextlib.ExitStack() as opened:
            self._archive = opened.enter_context(self._open_archive())
            self._stream = opened.enter_context(self._open_member())
            shape, self._dtype = self._read_header()
            self.count, self._shape = int(shape[0]), shape[1:]
            self._close = opened.pop_all().close
        self._next = 0

    def __enter__(self) -> "ArrayFile":
        """Return the file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the archive."""
        self._close()

    def name(self, index: int) -> str:
        """Return how messages speak of an image: images[3]."""
        return f"{ARRAY_NAME}[{index}]"

    def read(self, index: int, preprocessing: Preprocessing) -> NDArray[np.uint8] | Skipped:
        """Return one image [side, side, 3], or why it cannot be used; indices must not go back."""
        size_bytes = int(np.prod(self._shape)) * self._dtype.itemsize
        try:
            self._stream.seek((index - self._next) * size_bytes, 1)
            content = self._stream.read(size_bytes)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise self._broken(index, str(error)) from error
        if len(content) < size_bytes:
            raise self._broken(index, "the file ends there")
        self._next = index + 1
        values = np.frombuffer(content, dtype=self._dtype).reshape(self._shape)
        reason = _unusable(values)
        if reason:
            return Skipped(self.name(index), reason)
        pixels = np.rint(values).astype(np.uint8)
        side = preprocessing.side_px
        return pixels if pixels.shape == (side, side, 3) else crop_photo(Image.fromarray(pixels), preprocessing)

    def _broken(self, index: int, reason: str) -> InputError:
        return InputError(f"{self._path.name}: {self.name(index)} cannot be read: {reason}", mend="save the file again")

    def _open_archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except (OSError, NotImplementedError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{self._path.name} is not an .npz file: {error}", allowed=_ALLOWED) from error

    def _open_member(self) -> IO[bytes]:
        try:
            member = self._archive.getinfo(f"{ARRAY_NAME}.npy")
            if member.compress_type not in _PACKINGS:
                raise zipfile.BadZipFile(f"method {member.compress_type} is not one of NumPy's")
            return self._archive.open(member)
        except KeyError as error:
            held = ", ".join(name.removesuffix(".npy") for name in self._archive.namelist()[:10]) or "nothing"
            raise InputError(f"{self._path.name} holds {held}", allowed=_ALLOWED) from error
        except (OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
            raise InputError(f"{self._path.name} cannot be unpacked: {error}", allowed=_ALLOWED) from error

    def _read_header(self) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        try:
            version = np.lib.format.read_magic(self._stream)
            if version != _FIRST_VERSION:
                raise ValueError(f"format version {version}, not {_FIRST_VERSION}")
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(self._stream)
        except (ValueError, OSError, EOFError, tokenize.TokenError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{self._path.name}: {ARRAY_NAME!r} is no array: {error}", allowed=_ALLOWED) from error
        found = f"{self._path.name}: {ARRAY_NAME!r} is {dtype} {list(shape)}"
        if not (dtype == np.uint8 or dtype in _FLOATS):
            raise InputError(found, allowed=_ALLOWED, mend="convert it with .astype(np.uint8)")
        if len(shape) != 4 or shape[3] != 3 or min(shape) < 1:
            raise InputError(found, allowed=_ALLOWED, mend="channels come last, red first")
        if shape[1] * shape[2] > MAX_PIXELS or max(shape[1:3]) > MAX_ASPECT * min(shape[1:3]):
            raise InputError(found, allowed=f"at most {MAX_PIXELS} pixels an image and {MAX_ASPECT} to 1")
        if fortran_order:
            raise InputError(f"{found} in Fortran order", allowed=_ALLOWED, mend="save np.ascontiguousarray(images)")
        return shape, dtype


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}", mend="check its permissions") from error
    return digest.hexdigest()


def _unusable(values: NDArray[np.generic]) -> str:
    """Return why an image's values are no pixels, or ""."""
    if values.dtype == np.uint8:
        return ""
    with np.errstate(invalid="ignore"):  # of NaNs that signal
        numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        return "holds NaN or infinity"
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0 or high > 255:
        return f"values from {low:g} to {high:g}, not 0-255"
    if high <= 1:
        return f"values from {low:g} to {high:g}: scaled to 0-1, not 0-255"
    return ""
