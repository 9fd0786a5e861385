"""Calibration images: photos of a folder, an array file, or the built-in procedural ones.

`open_calibration` reads its source once, keeps each image as the network sees it in a temporary file, and says what it
used and what it left out. Memory does not grow with the number of images, and a second pass costs no decoding.

From more images than are wanted one is taken from each of `samples` stretches of equal length of the sorted names,
drawn by the seed: class folders are covered evenly. An unusable one is replaced by the next of its stretch.
"""

import contextlib
import hashlib
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from converters.array_file import ArrayFile
from converters.procedural import procedural_image
from edgenet.errors import InputError, MissingError
from edgenet.photos import PhotoFile, Skipped, find_photos, load_photo
from edgenet.preprocessing import Preprocessing, crop_photo

BUILTIN = "builtin"
FLOOR = 16  # below this, ranges are an accident of what was drawn
ADVISED = 100  # from here on, ranges hardly move with more photos
_SHOWN = 5  # skipped images in one message

SourceKind = Literal["builtin", "folder", "array"]


@dataclass(frozen=True)
class SourceFile:
    """A file that was read, with the hash of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class SourceImage:
    """One usable image [side, side, 3] uint8 and the file it came from, if any."""

    name: str
    pixels: NDArray[np.uint8]
    file: SourceFile | None


@dataclass(frozen=True)
class CalibrationManifest:
    """What a calibration used: enough to repeat it, and to see whether another one used the same."""

    kind: SourceKind
    source: str  # as the user named it
    seed: int
    wanted: int  # images
    used: int  # images
    pixels_sha256: str  # of all pixels in order
    files: tuple[SourceFile, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]  # things the user must be told


class CalibrationSet:
    """Images [side, side, 3] uint8, raw RGB; to be gone through any number of times, one in memory at a time."""

    def __init__(self, store: IO[bytes], side_px: int, manifest: CalibrationManifest) -> None:
        self._store, self._side_px, self.manifest = store, side_px, manifest
        weakref.finalize(self, store.close)  # the temporary file goes with this object

    def __len__(self) -> int:
        """Return the number of images."""
        return self.manifest.used

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the images in order."""
        size_bytes = self._side_px**2 * 3
        for index in range(len(self)):
            self._store.seek(index * size_bytes)  # every time, since two passes may run at once
            content = self._store.read(size_bytes)
            yield np.frombuffer(content, dtype=np.uint8).reshape(self._side_px, self._side_px, 3)


def open_calibration(source: str, preprocessing: Preprocessing, samples: int = 200, seed: int = 0) -> CalibrationSet:
    """Read `samples` images (fewer if there are no more) from "builtin", a folder of photos, or an .npz file.

    The .npz file holds an array `images`, see `array_file.py`. Raises InputError for a source that cannot be read or
    has fewer than 16 usable images, MissingError where there is no room for the temporary file.
    """
    if samples < FLOOR:
        raise InputError(f"{samples} samples are too few to calibrate on", allowed=f"{FLOOR} or more")
    kind = _kind(source)
    store = _open_store()
    try:
        manifest = _fill(store, kind, source, _READERS[kind](source, preprocessing, samples, seed), samples, seed)
    except BaseException:
        with contextlib.suppress(OSError):  # what the disk had no room for, it has none for now
            store.close()
        raise
    return CalibrationSet(store, preprocessing.side_px, manifest)


def _kind(source: str) -> SourceKind:
    if source == BUILTIN:
        return "builtin"
    path = Path(source)
    if path.is_dir():
        return "folder"
    if path.is_file() and path.suffix.lower() == ".npz":
        return "array"
    what = "is neither a folder nor an .npz file" if path.exists() else "does not exist"
    raise InputError(f"calibration source {source!r} {what}", allowed="a folder of photos, FILE.npz, builtin")


def _fill(
    store: IO[bytes], kind: SourceKind, source: str, images: Iterator[SourceImage | Skipped], wanted: int, seed: int
) -> CalibrationManifest:
    digest, used = hashlib.sha256(), 0
    files: dict[SourceFile, None] = {}
    skipped: list[Skipped] = []
    for image in images:
        if isinstance(image, Skipped):
            skipped.append(image)
            continue
        content = image.pixels.tobytes()
        _write(store, content)
        digest.update(content)
        used += 1
        if image.file:
            files[image.file] = None
    _check_count(source, used, skipped)
    notes = _notes(kind, used, skipped)
    return CalibrationManifest(
        kind, source, seed, wanted, used, digest.hexdigest(), tuple(files), tuple(skipped), notes
    )  # fmt: skip


def _open_store() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="edgenet-")
    except OSError as error:  # of a full disk, too: Python tries each folder for temporary files by writing to it
        raise _no_room(error) from error


def _write(store: IO[bytes], content: bytes) -> None:
    try:
        store.write(content)
        store.flush()
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> MissingError:
    return MissingError(
        f"no room for calibration images: {error.strerror}", mend="set TMPDIR to a folder with room for them"
    )


def _check_count(source: str, used: int, skipped: list[Skipped]) -> None:
    if used >= FLOOR:
        return
    named = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:_SHOWN])
    more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    reasons = f"; {len(skipped)} skipped ({named}{more})" if skipped else ""
    raise InputError(
        f"{source!r} has {used} usable calibration images{reasons}", allowed=f"{FLOOR} or more, better {ADVISED}"
    )


def _notes(kind: SourceKind, used: int, skipped: list[Skipped]) -> tuple[str, ...]:
    notes = []
    if kind != "builtin" and used < ADVISED:
        notes.append(f"calibrated on {used} images only; {ADVISED} or more give steadier ranges")
    if skipped:
        notes.append(
            f"{len(skipped)} calibration images were skipped, the first: {skipped[0].name} ({skipped[0].reason})"
        )
    return tuple(notes)


@dataclass(frozen=True)
class Stretch:
    """A part of the whole, `begin` to `end`, from which one image is taken: `first`, or the next that is usable."""

    begin: int
    first: int
    end: int

    @property
    def onward(self) -> range:
        """Return the candidates from the first to the end: for a source that cannot go back."""
        return range(self.first, self.end)

    @property
    def around(self) -> Iterator[int]:
        """Return all candidates, from the first to the end and then from the beginning."""
        return chain(self.onward, range(self.begin, self.first))


def stretches(count: int, wanted: int, seed: int) -> Iterator[Stretch]:
    """Yield min(count, wanted) stretches of equal length, a seeded place in each."""
    parts = min(count, wanted)
    # Raw draws: numpy promises the stream of a bit generator, not that of its distributions.
    draws = np.random.PCG64(seed).random_raw(parts) if parts else ()
    for part, draw in enumerate(draws):
        start, end = part * count // parts, (part + 1) * count // parts
        yield Stretch(start, start + ((int(draw) >> 32) * (end - start) >> 32), end)


def _read_builtin(_: str, preprocessing: Preprocessing, samples: int, seed: int) -> Iterator[SourceImage]:
    for index in range(samples):
        yield SourceImage(f"{BUILTIN}[{index}]", procedural_image(index, preprocessing.side_px, seed), None)


def _read_folder(source: str, preprocessing: Preprocessing, samples: int, seed: int) -> Iterator[SourceImage | Skipped]:
    listing = find_photos(Path(source))
    yield from listing.skipped
    for stretch in stretches(len(listing.files), samples, seed):
        for index in stretch.around:
            image = _read_photo(listing.files[index], preprocessing)
            yield image
            if isinstance(image, SourceImage):
                break


def _read_photo(file: PhotoFile, preprocessing: Preprocessing) -> SourceImage | Skipped:
    photo = load_photo(file)
    if isinstance(photo, Skipped):
        return photo
    pixels = crop_photo(photo.image, preprocessing)
    if is_constant(pixels):
        return Skipped(file.name, "constant: the cropped part has one colour")
    return SourceImage(file.name, pixels, SourceFile(photo.name, photo.sha256))


def is_constant(pixels: NDArray[np.uint8]) -> bool:
    """Return whether an image [H, W, 3] has one colour throughout."""
    return bool((pixels == pixels[0, 0]).all())


def _read_array(source: str, preprocessing: Preprocessing, samples: int, seed: int) -> Iterator[SourceImage | Skipped]:
    with ArrayFile(Path(source)) as array:
        file = SourceFile(Path(source).name, array.sha256)
        for stretch in stretches(array.count, samples, seed):
            for index in stretch.onward:
                pixels = array.read(index, preprocessing)
                if isinstance(pixels, Skipped):
                    yield pixels
                elif is_constant(pixels):
                    yield Skipped(array.name(index), "constant: one colour")
                else:
                    yield SourceImage(array.name(index), pixels, file)
                    break


_READERS: dict[SourceKind, Callable[[str, Preprocessing, int, int], Iterator[SourceImage | Skipped]]] = {
    "builtin": _read_builtin,
    "folder": _read_folder,
    "array": _read_array,
}
