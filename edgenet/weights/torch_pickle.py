"""PyTorch checkpoints (.pth, .pt), both formats, read without PyTorch.

The zip format (since PyTorch 1.6) is `<name>/data.pkl` and one stored entry `<name>/data/<key>` a storage. The legacy
format is one stream: magic number, protocol, system, the pickle, the storages' keys, then each storage.
Layout after PyTorch's `torch/serialization.py`; no line of it runs here.
"""

import io
import math
import mmap
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.weights.pickle_machine import RESAVE, Global, run_pickle
from edgenet.weights.unwrap import unwrap

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_DIMENSIONS = 8

# Storage class -> NumPy type. bfloat16 is the upper half of a float32 and is widened by hand.
DTYPES: dict[str, str] = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class Storage:
    """A run of values of one type; `offset` and `numel` count values."""

    key: str
    dtype: str
    offset: int
    numel: int

    @property
    def item_bytes(self) -> int:
        """Return the size of one value."""
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class TensorView:
    """A tensor as a file describes it: a strided view of a storage. Nothing of it is trusted yet."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Return the number of values."""
        return math.prod(self.size)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file under its own names, and what had to be unwrapped to find them."""

    tensors: dict[str, NDArray[np.float32]]
    notes: tuple[str, ...]


Storages = Mapping[str, bytes]


def read_torch(path: Path) -> Checkpoint:
    """Read the state dict of a .pth or .pt file as float32.

    Raises InputError for a damaged file, a pickle that asks for more than tensors, and a tensor outside its storage.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            if size_bytes == 0:
                raise InputError(f"{path} is empty", mend="get the file again")
            if file.peek(4).startswith(b"PK"):
                root, storages = _read_zip(file, str(path), size_bytes)
            else:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
                    root, storages = _read_legacy(stream, str(path), size_bytes)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    views, notes = unwrap(root, TensorView, str(path))
    # An honest file stores each value in one byte at least; views that repeat one storage over and over do not.
    if sum(view.numel for view in views.values()) > size_bytes:
        raise InputError(f"{path} describes more values than its {size_bytes} bytes can hold", mend=RESAVE)
    return Checkpoint({name: _materialise(f"{path}: {name}", view, storages) for name, view in views.items()}, notes)


# Everything that reading a damaged zip file has been seen to raise.
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError, OSError)


def _read_zip(file: io.BufferedReader, what: str, size_bytes: int) -> tuple[object, Storages]:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _refuse_bomb(entries, what, size_bytes)
            pickles = [entry.filename for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise InputError(f"{what} is a zip file without one data.pkl", mend="is it a PyTorch checkpoint?")
            folder = pickles[0].removesuffix("data.pkl")
            contents = {
                entry.filename.removeprefix(folder): archive.read(entry)
                for entry in entries
                if entry.filename.startswith(folder)
            }
    except _ZIP_ERRORS as error:
        raise InputError(f"{what} is damaged: {error}", mend="get the file again") from error
    if contents.get("byteorder", b"little") != b"little":
        raise InputError(f"{what} was written on a big-endian machine", allowed="little-endian", mend=RESAVE)
    root = run_pickle(io.BytesIO(contents["data.pkl"]), what, _globals(), lambda pid: _storage(pid, what, {}))
    return root, {name.removeprefix("data/"): data for name, data in contents.items() if name.startswith("data/")}


def _refuse_bomb(entries: list[zipfile.ZipInfo], what: str, size_bytes: int) -> None:
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(
            f"{what} is a compressed zip file", allowed="entries stored as PyTorch stores them", mend=RESAVE
        )
    if sum(entry.file_size for entry in entries) > size_bytes:
        raise InputError(
            f"{what} is damaged: its entries claim more bytes than the file has", mend="get the file again"
        )


def _read_legacy(stream: mmap.mmap, what: str, size_bytes: int) -> tuple[object, Storages]:
    seen: dict[str, Storage] = {}

    def part() -> object:
        return run_pickle(stream, what, _globals(), lambda pid: _storage(pid, what, seen))

    if part() != LEGACY_MAGIC or part() != LEGACY_PROTOCOL:
        raise InputError(f"{what} is not a PyTorch checkpoint", allowed="files written by torch.save")
    system = part()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError(f"{what} was written on a big-endian machine", allowed="little-endian", mend=RESAVE)
    root, keys = part(), part()
    if not isinstance(keys, list):
        raise InputError(f"{what} is damaged: no list of storages", mend="get the file again")
    return root, {str(key): _read_storage(stream, str(key), seen, what, size_bytes) for key in keys}


def _read_storage(stream: mmap.mmap, key: str, seen: Mapping[str, Storage], what: str, size_bytes: int) -> bytes:
    numel = int.from_bytes(stream.read(8), "little", signed=True)
    if key not in seen or not 0 <= numel <= size_bytes:
        raise InputError(f"{what} is damaged: storage {key[:40]!r} cannot be read", mend="get the file again")
    return stream.read(numel * seen[key].item_bytes)


def _globals() -> dict[str, Global]:
    """Return everything that a checkpoint may ask for."""
    builders: dict[str, Callable[..., object]] = {
        "collections.OrderedDict": _build_dict,
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils._rebuild_tensor": _rebuild_tensor,
        "torch._utils._rebuild_parameter": _rebuild_parameter,
    }
    builders |= {f"torch.{name}": _refuse_call for name in DTYPES}
    return {name: Global(name, build) for name, build in builders.items()}


def _refuse_call(*_: object) -> object:
    raise TypeError("a storage's type is a label, not a function")


def _build_dict(pairs: object = ()) -> dict[object, object]:
    if not isinstance(pairs, (list, tuple)) or not all(_is_text_pair(pair) for pair in pairs):
        raise TypeError("not a list of (text, value) pairs")
    return dict(pairs)


def _is_text_pair(pair: object) -> bool:
    return isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> TensorView:
    if not isinstance(storage, Storage) or not _is_count(offset):
        raise TypeError("not a storage and an offset")
    for numbers in (size, stride):
        if not isinstance(numbers, tuple) or len(numbers) > MAX_DIMENSIONS or not all(map(_is_count, numbers)):
            raise TypeError("not a shape")
    return TensorView(storage, offset, size, stride)  # type: ignore[arg-type]  # the types were tested above


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**48


def _storage(persistent_id: object, what: str, seen: dict[str, Storage]) -> Storage:
    """Read ('storage', type, key, device, numel[, (view key, offset, numel)]); the last one is legacy's."""
    match persistent_id:
        case ("storage", Global(name=name), str(key), _, int(numel)):
            storage = Storage(key, _dtype(name, what), 0, numel)
        case ("storage", Global(name=name), str(key), _, int(numel), None):
            storage = Storage(key, _dtype(name, what), 0, numel)
        case ("storage", Global(name=name), str(key), _, int(), (str(), int(offset), int(numel))):
            storage = Storage(key, _dtype(name, what), offset, numel)
        case _:
            raise InputError(f"{what} is damaged: it names a storage in an unknown way", mend=RESAVE)
    seen[key] = storage
    return storage


def _dtype(name: str, what: str) -> str:
    dtype = DTYPES.get(name.removeprefix("torch."))
    if dtype is None:
        raise InputError(f"{what}: {name} is no storage type", allowed=", ".join(DTYPES), mend=RESAVE)
    return dtype


def _materialise(what: str, view: TensorView, storages: Storages) -> NDArray[np.float32]:
    """Copy a view out of its storage as float32, after checking that it lies inside."""
    data, storage = storages.get(view.storage.key, b""), view.storage
    here = len(data) // storage.item_bytes - storage.offset
    last = view.offset + sum((n - 1) * step for n, step in zip(view.size, view.stride, strict=False))
    bad_shape = len(view.size) != len(view.stride) or not 0 <= storage.numel <= here or storage.offset < 0
    if bad_shape or (view.numel and last >= storage.numel):
        raise InputError(
            f"{what}: a tensor of shape {list(view.size)}, strides {list(view.stride)} at {view.offset} does not lie "
            f"in its storage of {max(here, 0)} values",
            mend="the file is damaged or was cut short; get it again",
        )
    if not view.numel:
        return np.zeros(view.size, np.float32)
    raw_dtype = np.dtype("<u2" if storage.dtype == "bfloat16" else storage.dtype)
    flat = np.frombuffer(data, raw_dtype, storage.numel, storage.offset * storage.item_bytes)
    strides = [step * storage.item_bytes for step in view.stride]
    strided = np.lib.stride_tricks.as_strided(flat[view.offset :], view.size, strides)
    if storage.dtype == "bfloat16":
        return (strided.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):  # a double too large for float32 becomes infinite, which is refused later by name
        return strided.astype(np.float32)
