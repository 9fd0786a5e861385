"""What is looked at in a Keras file before Keras opens it: only known layers, no code, no bomb, no link elsewhere.

A configuration names classes and functions that Keras then imports and calls. `safe_mode` stops the plainest abuse in
`.keras` files and nothing in `.h5` ones, so every name has to stand in a table here first.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet.errors import InputError
from edgenet.weights.keras_file import MAX_UNPACKED, WEIGHTS_ENTRY

if TYPE_CHECKING:
    import h5py

CONFIG_ENTRY, METADATA_ENTRY = "config.json", "metadata.json"
ENTRIES = {WEIGHTS_ENTRY, CONFIG_ENTRY, METADATA_ENTRY}
MODELS = ("Functional", "Sequential", "Model")

KNOWN_CLASSES = frozenset((
    *MODELS, "InputLayer", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization", "Activation",
    "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "AveragePooling2D", "MaxPooling2D", "Flatten",
    "Reshape", "Permute", "Rescaling", "Normalization", "LayerNormalization", "GroupNormalization", "Resizing",
    "CenterCrop", "ZeroPadding2D", "Cropping2D", "Multiply", "Add", "Subtract", "Average", "Concatenate", "Identity",
    "RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "RandomBrightness", "RandomTranslation",
    "RandomCrop", "RandomHeight", "RandomWidth",
    # operations on tensors as Keras 3 stores them: x / 255 and the like
    "Divide", "TrueDivide", "Cast",
    # initializers, regularizers, constraints, policies
    "Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal",
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "IdentityInitializer",
    "L1", "L2", "L1L2", "MaxNorm", "NonNeg", "UnitNorm", "DTypePolicy", "Policy", "SeedGenerator",
    # how Keras 3 writes values
    "__keras_tensor__", "__tuple__", "__numpy__", "__tensor__", "__ellipsis__", "slice", "TensorShape",
))  # fmt: skip
KNOWN_FUNCTIONS = frozenset(("silu", "swish", "relu", "relu6", "sigmoid", "softmax", "linear"))
HALF_POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
# Keras 2's name for an operation on tensors: it would call any function of TensorFlow.
TENSOR_OPERATION = "TFOpLambda"
KNOWN_OPERATIONS = frozenset((
    *("math.truediv", "math.divide", "math.multiply", "math.subtract", "math.add", "cast"),
    *("__operators__.add", "nn.relu6", "nn.silu", "nn.softmax"),
))  # fmt: skip


def read_config(path: Path) -> tuple[Mapping[str, Any], str]:
    """Return a whole model's configuration and the version of Keras that wrote it, once both are known to be harmless.

    Raise InputError that names the layer for a Lambda or a class of the user's own. A weights-only .h5 file has none.
    """
    import h5py

    if path.suffix.lower() == ".keras":
        unpacked, metadata, weights = _unzip(path)
        config = _text(unpacked)
        with h5py.File(io.BytesIO(weights), "r") as file:
            _refuse_links(file, len(weights))
        version = str(json.loads(metadata).get("keras_version", ""))
    else:
        with h5py.File(path, "r") as file:
            _refuse_links(file, path.stat().st_size)
            config, version = _text(file.attrs["model_config"]), _text(file.attrs.get("keras_version", ""))
    document = json.loads(config)
    document.pop("compile_config", None)  # the model is opened without its optimizer
    if document.get("class_name") not in MODELS:
        raise InputError(f"{path.name} holds a {document.get('class_name')}", allowed=", ".join(MODELS))
    for entry in _entries(document):
        _refuse_unknown(entry, path.name)
    return document, version


def layer_classes(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the class of every layer by name, those inside of nested models included."""
    rows = ((entry.get("config"), str(entry["class_name"])) for entry in _entries(document))
    return {str(config["name"]): kind for config, kind in rows if isinstance(config, dict) and "name" in config}


def half_layer(document: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first layer that computes in 16-bit floats, and its policy; None where there is none."""
    for entry in _entries(document):
        config = entry.get("config")
        policy = config.get("dtype") if isinstance(config, dict) else None
        if isinstance(policy, dict):
            policy = (policy.get("config") or {}).get("name")
        if isinstance(config, dict) and "name" in config and policy in HALF_POLICIES:
            return str(config["name"]), policy
    return None


def _unzip(path: Path) -> tuple[bytes, bytes, bytes]:
    size_bytes = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        odd = set(archive.namelist()) - ENTRIES
        if odd:
            raise InputError(f"{path.name} holds {sorted(odd)[0][:80]!r}", allowed=", ".join(sorted(ENTRIES)))
        if sum(row.file_size for row in archive.infolist()) > MAX_UNPACKED * size_bytes:
            raise InputError(f"{path.name} would unpack to far more than its {size_bytes} bytes")
        config, metadata, weights = (archive.read(name) for name in (CONFIG_ENTRY, METADATA_ENTRY, WEIGHTS_ENTRY))
        return config, metadata, weights


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _refuse_links(file: "h5py.File", size_bytes: int) -> None:
    """Raise InputError for what lies outside of the file, or claims to be larger than it is."""
    import h5py

    waiting: list[h5py.Group] = [file]
    seen = 0
    while waiting:
        group = waiting.pop()
        for name in group:
            seen += 1
            if not isinstance(group.get(name, getlink=True), h5py.HardLink) or seen > size_bytes:
                raise InputError(f"{name!r} in the HDF5 file is a link", mend="save the model again")
            member = group[name]
            if isinstance(member, h5py.Group):
                waiting.append(member)
            elif member.is_virtual or member.external or member.nbytes > size_bytes:
                raise InputError(f"{name!r} in the HDF5 file is no array of its own", mend="save the model again")


def _entries(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a configuration that names a class, however deep it lies."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _refuse_unknown(entry: Mapping[str, Any], name: str) -> None:
    kind, config = entry["class_name"], entry.get("config")
    layer = str(config.get("name", "?")) if isinstance(config, dict) else str(config)
    if kind == TENSOR_OPERATION and isinstance(config, dict) and config.get("function") in KNOWN_OPERATIONS:
        return
    if kind == "function" and config in KNOWN_FUNCTIONS:
        return
    module = entry.get("module") or "keras"
    ours = module == "builtins" or module.split(".")[0] in ("keras", "tf_keras")
    if kind in KNOWN_CLASSES and ours:
        return
    why = "code that comes with a file is never run" if kind == "Lambda" else "edgenet runs only layers that it knows"
    raise InputError(
        f"{name}: {layer[:80]} is a {str(kind)[:80]}: {why}",
        allowed="the layers of Keras' own EfficientNet, rescaling, augmentation, and a plain head",
        mend="rebuild the model without it and load the weights into that",
    )
