"""Write PyTorch checkpoints byte by byte, honest or hostile, without PyTorch."""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
MARK, TUPLE, REDUCE, PERSISTENT, STOP = b"(", b"t", b"R", b"Q", b"."
PROTOCOL = b"\x80\x02"


@dataclass(frozen=True)
class Tensor:
    """A tensor as a pickle describes it: a view of a storage."""

    key: str
    storage: str
    numel: int
    offset: int
    size: Sequence[int]
    stride: Sequence[int]
    view: tuple[str, int, int] | None = None


def whole(key: str, array: NDArray[np.generic], dtype: str = "") -> Tensor:
    """Describe a contiguous array that fills its storage."""
    stride = [step // array.itemsize for step in array.strides]
    return Tensor(key, STORAGES[dtype or str(array.dtype)], array.size, 0, array.shape, stride)


def plain(value: object) -> bytes:
    """Return the instructions that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def named(module: str, name: str) -> bytes:
    """Return the instruction that asks for a global."""
    return f"c{module}\n{name}\n".encode()


def tensor_code(tensor: Tensor, legacy: bool) -> bytes:
    """Return the instructions that rebuild a tensor."""
    identity = (
        plain("storage") + named("torch", tensor.storage) + plain(tensor.key) + plain("cpu") + plain(tensor.numel)
    )
    identity += plain(tensor.view) if legacy else b""
    arguments = MARK + identity + TUPLE + PERSISTENT + plain(tensor.offset)
    arguments += plain(tuple(tensor.size)) + plain(tuple(tensor.stride)) + plain(False)
    arguments += named("collections", "OrderedDict") + b")" + REDUCE
    return named("torch._utils", "_rebuild_tensor_v2") + MARK + arguments + TUPLE + REDUCE


def code(value: object, legacy: bool = False) -> bytes:
    """Return the instructions for nested dicts of tensors, raw instructions (bytes) and plain values."""
    if isinstance(value, Tensor):
        return tensor_code(value, legacy)
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        items = b"".join(plain(key) + code(item, legacy) for key, item in value.items())
        return named("collections", "OrderedDict") + b")" + REDUCE + MARK + items + b"u"
    return plain(value)


def zip_bytes(root: object, storages: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a checkpoint in the zip format."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", PROTOCOL + code(root) + STOP)
        archive.writestr("archive/byteorder", "little")
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return file.getvalue()


def legacy_bytes(root: object, storages: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Return a checkpoint in the legacy format; a storage is its number of values and its bytes."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, system)]
    body = PROTOCOL + code(root, legacy=True) + STOP
    tail = [struct.pack("<q", numel) + data for numel, data in storages.values()]
    return b"".join([*head, body, pickle.dumps(list(storages), 2), *tail])


def write(path: Path, data: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(data)
    return path
