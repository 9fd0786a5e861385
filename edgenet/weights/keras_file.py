"""Keras files (.h5, .keras) read as arrays, without Keras: no layer is ever built, so no code in a file can run.

Three layouts are in use. `.h5`: one group a layer, with the attribute `weight_names`. Keras 3 (`.keras`,
`.weights.h5`): `layers/<class>_<number>/vars/<index>`, with the layer's name as an attribute. tf_keras the same, but
without the attribute: there the names come from `config.json`, and a bare `.weights.h5` has none.
"""

import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.weights.hdf5_guard import refuse_deadly

if TYPE_CHECKING:
    import h5py

WEIGHTS_ENTRY = "model.weights.h5"
MAX_UNPACKED = 10  # a zip entry this many times larger than its archive is a bomb: float weights hardly compress

# Layer class -> its variables in the order in which Keras stores them. Layers of other classes are passed over unless
# they hold variables.
VARIABLES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "normalization": ("mean", "variance", "count"),
}


@dataclass(frozen=True)
class KerasFile:
    """A file's arrays as `layer/variable` in Keras' layouts; `mean` and `variance` are its Normalization layer's.

    The layers are named as in the model, or `conv2d_3` (class and number) where the file has no names.
    """

    tensors: dict[str, NDArray[np.float32]]
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()


# Everything that damaged zip and HDF5 files have been seen to raise.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError),
    *(KeyError, RuntimeError, ValueError, TypeError, AttributeError),
)


def read_keras(path: Path) -> KerasFile:
    """Read a `.h5` or `.keras` file; raise InputError for a damaged one, even where it would hang or crash HDF5."""
    try:
        refuse_deadly(path)
        arrays = read_arrays(path)
    except _DAMAGE as error:
        raise InputError(f"{path} is no readable Keras file: {error}", mend="save it again") from error
    return _split_normalization(arrays)


def read_arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read every array of a file; a damaged file raises whatever the zip and HDF5 libraries raise."""
    import h5py

    if path.suffix.lower() == ".keras":
        weights, names = _unzip(path)
        with h5py.File(io.BytesIO(weights), "r") as file:
            return _collect(_read_layers(file, names, len(weights)), len(weights))
    size_bytes = path.stat().st_size
    with h5py.File(path, "r") as file:
        return _collect(_read(file, size_bytes), size_bytes)


def _collect(pairs: Iterator[tuple[str, NDArray[np.float32]]], size_bytes: int) -> dict[str, NDArray[np.float32]]:
    arrays: dict[str, NDArray[np.float32]] = {}
    total_bytes = 0
    for name, array in pairs:
        total_bytes += array.nbytes
        # One byte of the file can become one float32; more means that the same bytes are counted again and again.
        if name in arrays or total_bytes > 4 * size_bytes:
            raise ValueError(f"{name} is there twice" if name in arrays else "more values than the file can hold")
        arrays[name] = array
    return arrays


def _unzip(path: Path) -> tuple[bytes, dict[str, str]]:
    size_bytes = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        for name in (WEIGHTS_ENTRY, "config.json"):
            if archive.getinfo(name).file_size > MAX_UNPACKED * size_bytes:
                raise InputError(f"{path}: {name} would unpack to far more than the file's {size_bytes} bytes")
        return archive.read(WEIGHTS_ENTRY), _layer_names(archive.read("config.json"))


def _layer_names(config: bytes) -> dict[str, str]:
    """Return `conv2d_3` -> the layer's name for a functional model's config; {} for another kind of model."""
    try:
        layers = json.loads(config)["config"]["layers"]
    except (KeyError, TypeError, RecursionError):
        return {}
    counts: Counter[str] = Counter()
    names = {}
    for layer in layers:
        kind = _snake_case(str(layer["class_name"]))
        number, counts[kind] = counts[kind], counts[kind] + 1
        names[f"{kind}_{number}" if number else kind] = str(layer["config"]["name"])
    return names


def _snake_case(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def _read(file: "h5py.File", size_bytes: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    if "layers" in file:
        yield from _read_layers(file, {}, size_bytes)
        return
    root = _group(file, "model_weights") if "model_weights" in file else file
    for layer in _texts(root.attrs["layer_names"]):
        group = _group(root, layer)
        for path in _texts(group.attrs["weight_names"]):
            variable = path.rpartition("/")[2].removesuffix(":0")
            yield _key(layer, variable), _array(group, path, size_bytes)


def _read_layers(
    file: "h5py.File", names: dict[str, str], size_bytes: int
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Read `layers/<class>_<number>/vars/<index>`; random generators' states lie deeper and are not weights."""
    layers = _group(file, "layers")
    for label in layers:
        variables = _group(_group(layers, label), "vars")
        kind = re.sub(r"_\d+$", "", label)
        for index in variables:
            names_of_kind = VARIABLES.get(kind, ())
            variable = names_of_kind[int(index)] if int(index) < len(names_of_kind) else index
            layer = str(variables.attrs.get("name", names.get(label, label)))
            yield _key(layer, variable), _array(variables, index, size_bytes)


def _key(layer: str, variable: str) -> str:
    # Keras 2 calls a depthwise kernel by a name of its own.
    return f"{layer}/{'kernel' if variable == 'depthwise_kernel' else variable}"


def _texts(attribute: object) -> list[str]:
    return [item.decode() if isinstance(item, bytes) else str(item) for item in np.asarray(attribute).ravel()]


def _group(parent: "h5py.Group", name: str) -> "h5py.Group":
    import h5py

    child = _own(parent, name)
    if not isinstance(child, h5py.Group):
        raise ValueError(f"{name} is no group")
    return child


def _array(parent: "h5py.Group", path: str, size_bytes: int) -> NDArray[np.float32]:
    """Read one dataset; refuse what lies in another file or claims more bytes than this one has."""
    import h5py

    *folders, name = path.split("/")
    for folder in folders:
        parent = _group(parent, folder)
    dataset = _own(parent, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"{path} is no array of this file")
    if dataset.dtype.kind not in "fiu" or dataset.nbytes > size_bytes:
        raise ValueError(f"{path} has type {dataset.dtype}, shape {dataset.shape}")
    with np.errstate(over="ignore"):  # what becomes infinite is refused later by name
        return np.asarray(dataset[()]).astype(np.float32)


def _own(parent: "h5py.Group", name: str) -> object:
    """Return a member that is stored in this file itself: a soft or external link could name any path."""
    import h5py

    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is missing or a link")
    return parent[name]


def _split_normalization(arrays: dict[str, NDArray[np.float32]]) -> KerasFile:
    """Take mean, variance and count of the Normalization layer out: they are preprocessing, not weights."""
    pattern = re.compile(r"^normalization(?:_\d+)?/(mean|variance|count)$")
    found = {match[1]: arrays[name] for name in arrays if (match := pattern.match(name))}
    tensors = {name: array for name, array in arrays.items() if not pattern.match(name)}
    mean, variance = (tuple(float(x) for x in found.get(key, np.zeros(0)).ravel()) for key in ("mean", "variance"))
    return KerasFile(tensors, mean, variance)
