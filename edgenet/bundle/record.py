"""bundle.json: what a bundle holds, and the golden vectors that prove an app; strict, like every document of ours."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, ValidationError

from edgenet.errors import InputError
from edgenet.first_fault import first_fault
from edgenet.manifest import InputRecord, Record

BUNDLE_NAME = "bundle.json"
SCHEMA_VERSION = 1
LIMIT_BYTES = 16 * 2**20


def inner_path(path: str) -> str:
    """Return a path inside a bundle, with `/`; raise ValueError for one that leads out of it."""
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") for part in parts) or "\\" in path or ":" in path or "\0" in path:
        raise ValueError("not a path inside the bundle")
    if PurePosixPath(path).is_absolute():
        raise ValueError("not a path inside the bundle")
    return path


InnerPath = Annotated[str, AfterValidator(inner_path)]


class EndRecord(Record):
    """An input or output of the model; the real value is scale * (q - zero_point) where scale is not 0."""

    type: Literal["float32", "uint8", "int8"]
    shape: tuple[int, ...]
    scale: float
    zero_point: int


class PhotoRecord(InputRecord):
    """How an app makes the model's input of a photo; the pixels themselves go in, 0-255."""

    orientation: Literal["upright"] = "upright"  # turned by the camera's EXIF tag
    transparency: Literal["white"] = "white"  # what lies under transparent pixels


class FileRecord(Record):
    """A file of the bundle."""

    file: InnerPath
    sha256: str
    size_bytes: int


class AnswerRecord(Record):
    """One of the five best classes that the model must give."""

    index: int
    label: str
    logit: float


class GoldenRecord(Record):
    """A photo, what the network must see of it, and what it must answer."""

    photo: InnerPath  # PNG, beside golden.json
    seen: InnerPath  # PNG [side, side]
    width_px: int
    height_px: int
    top: tuple[AnswerRecord, ...]


class GoldenDocument(Record):
    """golden.json: the golden vectors, and how far an app may be from them."""

    schema_version: Literal[1] = 1
    pixel_tolerance: int  # levels, each pixel and channel of what the network sees
    logit_tolerance: float
    cases: tuple[GoldenRecord, ...]


class SourceRecord(Record):
    """The artifact that the model comes from."""

    file: str
    sha256: str
    identity: str  # of its manifest, as it stands in the model's metadata
    variant: str
    precision: str
    weights_source: str
    weights_sha256: str
    agreement: float | None  # share of images with the float network's top-1 class; None: it was not verified


class BundleRecord(Record):
    """Everything that a bundle promises."""

    schema_version: Literal[1] = 1
    platform: str
    api: str = ""  # whose source this is, where a platform has several; android: litert, mediapipe or tflite
    name: str
    edgenet_version: str
    warnings: tuple[str, ...]  # why it should not be shipped; (): nothing is known against it
    source: SourceRecord
    model: InnerPath
    labels: InnerPath
    golden: InnerPath  # golden.json
    num_classes: int
    input: EndRecord
    output: EndRecord
    photos: PhotoRecord
    files: tuple[FileRecord, ...]


Parsed = TypeVar("Parsed", bound=Record)


def read_record(path: Path, kind: type[Parsed]) -> Parsed:
    """Read one of a bundle's documents; raise InputError for one that is missing, too large or none."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes", allowed=f"at most {LIMIT_BYTES}")
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}", allowed="a folder that edgenet bundle wrote"
        ) from error
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error)}", mend="bundle again") from error


def document(record: Record) -> bytes:
    """Return a record as the bytes of its file."""
    return (record.model_dump_json(indent=2) + "\n").encode()
