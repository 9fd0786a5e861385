"""The metadata of a .tflite file: what MediaPipe, the Task Library and others read to feed it and to name its classes.

It is a flatbuffer of its own (`M001`) in one of the model's buffers, and files, the labels among them, as a zip behind
the model. Field numbers are those of TFLite's metadata_schema.fbs, version 1.5.0.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters import flatbuffer
from converters.edit import text
from converters.flatbuffer import Model

ENTRY_NAME, IDENTIFIER = "TFLITE_METADATA", b"M001"
MANIFEST_ENTRY = "EDGENET_MANIFEST"  # the identity of the manifest, 64 hex digits
AXIS_LABELS = 2  # AssociatedFileType
IMAGE, NORMALIZATION, THRESHOLD = 2, 1, 3  # ContentProperties; ProcessUnitOptions, twice
RGB = 1
# The oldest schema that has every field used here; `locale` and score thresholds came with the first.
MIN_PARSER_VERSION = "1.0.0"


@dataclass(frozen=True)
class LabelFile:
    """A file in the zip that names the classes: `locale` is an ISO 639-1 code, "" where none is told."""

    name: str
    locale: str = ""
    description: str = ""
    kind: int = AXIS_LABELS


@dataclass(frozen=True)
class TensorMetadata:
    """What is told of one input or output; empty tuples and None stand for what is not.

    The real value of an input is (pixel - mean) / std. `low` and `high` are what it may hold, `axes` the first and last
    axis that an image takes up.
    """

    name: str = ""
    description: str = ""
    size_px: tuple[int, int] | None = None  # width, height; None: no image
    axes: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    score_threshold: float | None = None
    files: tuple[LabelFile, ...] = ()


@dataclass(frozen=True)
class Metadata:
    """What a file tells of itself."""

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    license: str = ""
    min_parser_version: str = ""
    inputs: tuple[TensorMetadata, ...] = ()
    outputs: tuple[TensorMetadata, ...] = ()


def with_metadata(model: Model, metadata: Metadata, files: Mapping[str, bytes], manifest_identity: str) -> bytes:
    """Return a model as bytes with its metadata inside and `files` behind it; metadata that it had is replaced."""
    _set_entry(model, ENTRY_NAME, pack_metadata(metadata))
    _set_entry(model, MANIFEST_ENTRY, manifest_identity.encode())
    return _with_files(flatbuffer.write(model), files)


def _set_entry(model: Model, name: str, content: bytes) -> None:
    row = next((row for row in model.metadata or () if text(row.name) == name), None)
    if row is None:
        row = schema.MetadataT()
        row.name, row.buffer = name, len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.metadata = [*(model.metadata or []), row]
    model.buffers[row.buffer].data = np.frombuffer(content, dtype=np.uint8)


def _with_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return a model with files as a zip behind it: stored, which is all that phones' readers take."""
    if not files:
        return content
    stream = io.BytesIO()
    stream.write(content)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # its offsets count from the stream's beginning
        for name, file in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), file)  # dated 1980: the same files give the same bytes
    return stream.getvalue()


def pack_metadata(metadata: Metadata) -> bytes:
    """Return metadata as a flatbuffer: the same metadata gives the same bytes."""
    builder = flatbuffers.Builder(1024)
    subgraph = _table(builder, {
        2: _tables(builder, metadata.inputs, _tensor),
        3: _tables(builder, metadata.outputs, _tensor),
    }, size=10)  # fmt: skip
    texts = (metadata.name, metadata.description, metadata.version, metadata.author, metadata.license)
    fields = {place: _text(builder, words) for place, words in zip((0, 1, 2, 4, 5), texts, strict=True)}
    fields |= {3: _vector(builder, [subgraph]), 7: _text(builder, metadata.min_parser_version)}
    builder.Finish(_table(builder, fields, size=8), IDENTIFIER)
    return bytes(builder.Output())


def _tensor(builder: Any, tensor: TensorMetadata) -> int:
    fields = {
        0: _text(builder, tensor.name),
        1: _text(builder, tensor.description),
        3: _content(builder, tensor) if tensor.size_px or tensor.axes else 0,
        4: _units(builder, tensor),
        5: _table(builder, {0: _floats(builder, tensor.high), 1: _floats(builder, tensor.low)}, size=2)
        if tensor.low or tensor.high
        else 0,
        6: _tables(builder, tensor.files, _file),
    }
    return _table(builder, fields, size=7)


def _content(builder: Any, tensor: TensorMetadata) -> int:
    image = bounds = 0
    if tensor.size_px:
        width, height = tensor.size_px
        size = _table(builder, {}, size=2, numbers={0: ("Uint32", width), 1: ("Uint32", height)})
        image = _table(builder, {1: size}, size=2, numbers={0: ("Int8", RGB)})
    if tensor.axes:
        first, last = tensor.axes
        bounds = _table(builder, {}, size=2, numbers={0: ("Int32", first), 1: ("Int32", last)})
    return _table(builder, {1: image, 2: bounds}, size=3, numbers={0: ("Uint8", IMAGE)} if image else {})


def _units(builder: Any, tensor: TensorMetadata) -> int:
    units = []
    if tensor.mean or tensor.std:
        options = _table(builder, {0: _floats(builder, tensor.mean), 1: _floats(builder, tensor.std)}, size=2)
        units.append(_table(builder, {1: options}, size=2, numbers={0: ("Uint8", NORMALIZATION)}))
    if tensor.score_threshold is not None:
        options = _table(builder, {}, size=1, numbers={0: ("Float32", tensor.score_threshold)})
        units.append(_table(builder, {1: options}, size=2, numbers={0: ("Uint8", THRESHOLD)}))
    return _vector(builder, units) if units else 0


def _file(builder: Any, file: LabelFile) -> int:
    texts = {0: _text(builder, file.name), 1: _text(builder, file.description), 3: _text(builder, file.locale)}
    return _table(builder, texts, size=5, numbers={2: ("Int8", file.kind)})


def _text(builder: Any, words: str) -> int:
    return int(builder.CreateString(words)) if words else 0


def _floats(builder: Any, values: Sequence[float]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, dtype=np.float32))) if values else 0


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _tables(builder: Any, rows: Sequence[Any], write: Callable[[Any, Any], int]) -> int:
    return _vector(builder, [write(builder, row) for row in rows]) if rows else 0


def _table(
    builder: Any, offsets: Mapping[int, int], *, size: int, numbers: Mapping[int, tuple[str, float]] | None = None
) -> int:
    """Write a table of `size` fields: offsets of what was written before, and numbers with the names of their types."""
    builder.StartObject(size)
    for field, offset in sorted(offsets.items()):
        if offset:
            builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, (kind, value) in sorted((numbers or {}).items()):
        getattr(builder, f"Prepend{kind}Slot")(field, value, None)  # None: also a number that is the default is written
    return int(builder.EndObject())
