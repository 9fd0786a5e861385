"""Read the metadata of any .tflite file, with every offset and length held against the file."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from io import BytesIO

from converters.check.bounded import Buffer, Table
from converters.metadata import (
    AXIS_LABELS,
    ENTRY_NAME,
    IDENTIFIER,
    IMAGE,
    MANIFEST_ENTRY,
    NORMALIZATION,
    THRESHOLD,
    LabelFile,
    Metadata,
    TensorMetadata,
)
from edgenet.artifact import DAMAGED
from edgenet.errors import InputError

LIMIT_FILES, LIMIT_FILE_BYTES = 100, 16 * 2**20


@dataclass(frozen=True)
class FoundMetadata:
    """The metadata of a file; `identity` is that of its manifest, "" where edgenet did not write the file."""

    metadata: Metadata
    files: dict[str, bytes]
    identity: str

    def labels(self) -> tuple[str, ...]:
        """Return the class names of the first label file that the outputs name and the zip holds, () if none."""
        for tensor in self.metadata.outputs:
            for file in tensor.files:
                if file.kind == AXIS_LABELS and file.name in self.files:
                    return tuple(self.files[file.name].decode("utf-8", "replace").splitlines())
        return ()


def read_metadata(content: bytes) -> FoundMetadata | None:
    """Return the metadata that a .tflite file holds, None for one without; raise InputError for one that is damaged."""
    entries = _entries(Buffer(content, "the file"))
    if ENTRY_NAME not in entries:
        return None
    packed = entries[ENTRY_NAME]
    if bytes(packed[4:8]) != IDENTIFIER:
        raise InputError("the file's metadata lack their mark M001: they are damaged")
    identity = bytes(entries.get(MANIFEST_ENTRY, b"")[:64]).decode("ascii", "replace")
    return FoundMetadata(unpack_metadata(packed), _files(content), identity)


def _entries(buffer: Buffer) -> dict[str, memoryview]:
    """Return the bytes of the model's metadata entries by name."""
    root = buffer.root()
    buffers = root.tables(4)
    found: dict[str, memoryview] = {}
    for row in root.tables(6):
        index = row.whole(1, "I")
        if index >= len(buffers):
            raise InputError(f"metadata in buffer {index} of {len(buffers)}: the file is damaged")
        found.setdefault(row.text(0), _data(buffers[index]))
    return found


def _data(buffer: Table) -> memoryview:
    """Return a buffer's bytes, which newer writers put behind the flatbuffer."""
    offset, size_bytes = buffer.whole(1, "Q"), buffer.whole(2, "Q")
    if offset <= 1:
        return buffer.data(0)
    buffer.buffer.check(offset, size_bytes)
    return buffer.buffer.content[offset : offset + size_bytes]


def unpack_metadata(content: bytes | memoryview) -> Metadata:
    """Return what a metadata flatbuffer says of its first subgraph; raise InputError for one that is damaged."""
    root = Buffer(content, "the file's metadata").root()
    subgraphs = root.tables(3)
    return Metadata(
        name=root.text(0),
        description=root.text(1),
        version=root.text(2),
        author=root.text(4),
        license=root.text(5),
        min_parser_version=root.text(7),
        inputs=tuple(map(_tensor, subgraphs[0].tables(2))) if subgraphs else (),
        outputs=tuple(map(_tensor, subgraphs[0].tables(3))) if subgraphs else (),
    )


def _tensor(table: Table) -> TensorMetadata:
    content, stats = table.table(3), table.table(5)
    normalization, threshold = _units(table)
    return TensorMetadata(
        name=table.text(0),
        description=table.text(1),
        size_px=_size(content) if content else None,
        axes=_axes(content) if content else None,
        mean=_floats(normalization, 0),
        std=_floats(normalization, 1),
        low=_floats(stats, 1),
        high=_floats(stats, 0),
        score_threshold=threshold,
        files=tuple(map(_file, table.tables(6))),
    )


def _units(table: Table) -> tuple[Table | None, float | None]:
    """Return the normalization and the score threshold among a tensor's process units."""
    normalization: Table | None = None
    threshold: float | None = None
    for unit in table.tables(4):
        kind, options = unit.whole(0, "B"), unit.table(1)
        if kind == NORMALIZATION and options:
            normalization = options
        elif kind == THRESHOLD and options:
            threshold = _finite(float(options.number(0, "f")))
    return normalization, threshold


def _size(content: Table) -> tuple[int, int] | None:
    image = content.table(1) if content.whole(0, "B") == IMAGE else None
    size = image.table(1) if image else None
    return (size.whole(0, "I"), size.whole(1, "I")) if size else None


def _axes(content: Table) -> tuple[int, int] | None:
    bounds = content.table(2)
    return (bounds.whole(0, "i"), bounds.whole(1, "i")) if bounds else None


def _floats(table: Table | None, field: int) -> tuple[float, ...]:
    if table is None:
        return ()
    return tuple(_finite(value) for value in table.numbers(field, "f"))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise InputError("the file's metadata hold a number that is none: they are damaged")
    return value


def _file(table: Table) -> LabelFile:
    return LabelFile(table.text(0), table.text(3), table.text(1), table.whole(2, "b"))


def _files(content: bytes) -> dict[str, bytes]:
    """Return what the zip behind a model holds; {} where there is none."""
    stream = BytesIO(content)
    if not zipfile.is_zipfile(stream):
        return {}
    try:
        with zipfile.ZipFile(stream) as archive:
            rows = archive.infolist()
            if len(rows) > LIMIT_FILES or sum(row.file_size for row in rows) > LIMIT_FILE_BYTES:
                allowed = f"{LIMIT_FILES} files of {LIMIT_FILE_BYTES // 2**20} MiB in all"
                raise InputError("too much lies in the zip behind the model", allowed=allowed)
            return {row.filename: _read(archive, row) for row in rows}
    except (*DAMAGED, NotImplementedError) as error:
        raise InputError(f"the zip behind the model cannot be read: {error}") from error


def _read(archive: zipfile.ZipFile, row: zipfile.ZipInfo) -> bytes:
    with archive.open(row) as file:
        content = file.read(row.file_size + 1)  # never more than the directory promised
    if len(content) != row.file_size:
        raise ValueError(f"{row.filename!r} is longer or shorter than it says")
    return content
