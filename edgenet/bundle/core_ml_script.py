"""Write a network as a Core ML package and prove the file; runs in a Python of its own, which has coremltools.

Usage: python -I core_ml_script.py FOLDER. It reads FOLDER/network.json and network.npz (`core_ml_network.py` wrote
them), and writes FOLDER/network.mlpackage and report.json. Core ML itself exists on Apple's systems only, so the file
is loaded again and its own program computed with NumPy, each value rounded to the type that the file gives it.
"""

from __future__ import annotations

import json
import sys
import uuid
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.milproto.load import load as load_program
from coremltools.converters.mil.mil import Function, Program, types
from coremltools.models.utils import load_spec
from numpy.typing import NDArray

Array = NDArray[np.float32]
IMAGE, LOGITS, SHARES, LABEL = "image", "logits", "probabilities", "classLabel"
TARGET = ct.target.iOS15
_RGB = 20  # ImageFeatureType.ColorSpace of Core ML's FeatureTypes.proto
_DATED = "com.github.apple.coremltools.conversion_date"


def main(folder: Path) -> None:
    """Write the package and the report."""
    network = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    with np.load(folder / "network.npz") as arrays:
        constants = dict(arrays)
    pixels = constants.pop("pixels")  # [N, side, side, 3]
    package = folder / "network.mlpackage"
    _convert(network, constants).save(str(package))
    _settle(package, network["about"])
    operations = _operations(package)
    report = _check(package, operations, network, constants)
    report["logits"] = [_logits(operations, image).tolist() for image in pixels]
    report["coremltools"] = ct.__version__
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


# From the steps of the network to a file


def _convert(network: dict[str, Any], constants: dict[str, Array]) -> Any:
    side = network["side_px"]
    image = mb.placeholder(shape=(1, 3, side, side), dtype=types.fp32)
    program = Program()
    with Function({IMAGE: image}, opset_version=TARGET) as function:
        values: dict[str, Any] = {**constants, IMAGE: function.inputs[IMAGE]}
        for step in network["steps"]:
            inputs = [values[name] for name in step["inputs"]]
            values[step["output"]] = _STEPS[step["op"]](step["output"], inputs, step["attributes"])
        logits = mb.identity(x=values[network["output"]], name=LOGITS)
        function.set_outputs([mb.softmax(x=logits, axis=1, name=SHARES), logits])
    program.add_function("main", function)
    return ct.convert(
        program,
        convert_to="mlprogram",
        inputs=[ct.ImageType(name=IMAGE, shape=(1, 3, side, side), color_layout=ct.colorlayout.RGB)],
        classifier_config=ct.ClassifierConfig(network["labels"], LABEL, SHARES),
        minimum_deployment_target=TARGET,
        compute_precision=ct.precision.FLOAT16,  # what the Neural Engine computes in
        skip_model_load=True,
    )


def _conv(name: str, inputs: list[Any], attributes: dict[str, Any]) -> Any:
    top, left, bottom, right = attributes["pads"]
    return mb.conv(
        x=inputs[0], weight=inputs[1], bias=_bias(inputs), groups=attributes["group"], strides=attributes["strides"],
        dilations=attributes["dilations"], pad_type="custom", pad=[top, bottom, left, right], name=name,
    )  # fmt: skip


def _bias(inputs: list[Any]) -> Any:
    return inputs[2] if len(inputs) > 2 else None


_STEPS: dict[str, Callable[[str, list[Any], dict[str, Any]], Any]] = {
    "Conv": _conv,
    "Gemm": lambda name, inputs, _: mb.linear(x=inputs[0], weight=inputs[1], bias=_bias(inputs), name=name),
    "Add": lambda name, inputs, _: mb.add(x=inputs[0], y=inputs[1], name=name),
    "Sub": lambda name, inputs, _: mb.sub(x=inputs[0], y=inputs[1], name=name),
    "Mul": lambda name, inputs, _: mb.mul(x=inputs[0], y=inputs[1], name=name),
    "Relu": lambda name, inputs, _: mb.relu(x=inputs[0], name=name),
    "Clip": lambda name, inputs, _: mb.clip(x=inputs[0], alpha=float(inputs[1]), beta=float(inputs[2]), name=name),
    "Sigmoid": lambda name, inputs, _: mb.sigmoid(x=inputs[0], name=name),
    "GlobalAveragePool": lambda name, inputs, _: mb.reduce_mean(x=inputs[0], axes=[2, 3], keep_dims=True, name=name),
    "Flatten": lambda name, inputs, _: mb.squeeze(x=inputs[0], axes=[2, 3], name=name),
}


def _settle(package: Path, about: dict[str, str]) -> None:
    """Say what the model is, and take out what differs between two conversions: a date, random ids, a map's order."""
    spec = load_spec(str(package))
    metadata = spec.description.metadata
    metadata.shortDescription, metadata.author = about["short_description"], about["author"]
    metadata.license = about["license"]
    metadata.userDefined.pop(_DATED, None)
    model = next(package.rglob("*.mlmodel"))
    model.write_bytes(spec.SerializeToString(deterministic=True))
    manifest = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
    ids = {
        old: str(uuid.uuid5(uuid.NAMESPACE_URL, sha256(_content(package / "Data" / item["path"])).hexdigest())).upper()
        for old, item in manifest["itemInfoEntries"].items()
    }
    manifest["itemInfoEntries"] = {ids[old]: item for old, item in sorted(manifest["itemInfoEntries"].items())}
    manifest["rootModelIdentifier"] = ids[manifest["rootModelIdentifier"]]
    text = json.dumps(manifest, indent=2, sort_keys=True)
    (package / "Manifest.json").write_text(f"{text}\n", encoding="utf-8")


def _content(path: Path) -> bytes:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files if file.is_file())


# What is in the file


def _check(
    package: Path, operations: list[Any], network: dict[str, Any], constants: dict[str, Array]
) -> dict[str, Any]:
    """Return what the file says of its ends, and how far its weights are from ours, as shares of the largest."""
    spec = load_spec(str(package))
    [image] = spec.description.input
    kind = image.type.imageType
    [classify] = [row for row in operations if row.op_type == "classify"]
    return {
        "input": [image.name, kind.width, kind.height, "RGB" if kind.colorSpace == _RGB else str(kind.colorSpace)],
        "outputs": [row.name for row in spec.description.output],
        "predicted": [spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName],
        "labels": [str(row) for row in classify.inputs["classes"].val],
        "specification": spec.specificationVersion,
        "weights_error": _weights_error(operations, network, constants),
    }


def _weights_error(operations: list[Any], network: dict[str, Any], constants: dict[str, Array]) -> float:
    """Return the largest difference of a layer's weights, in shares of its largest; the layers in their order."""
    ours = [constants[step["inputs"][1]] for step in network["steps"] if step["op"] in ("Conv", "Gemm")]
    theirs = [_value(row.inputs["weight"]) for row in operations if row.op_type in ("conv", "linear")]
    if [row.shape for row in ours] != [row.shape for row in theirs]:
        return float("inf")
    return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)) for a, b in zip(ours, theirs, strict=True))


def _operations(package: Path) -> list[Any]:
    spec = load_spec(str(package))
    weights = next(package.rglob("weights"))
    program = load_program(spec, specification_version=spec.specificationVersion, file_weights_dir=str(weights))
    return list(program.functions["main"].operations)


# What the file answers


def _logits(operations: list[Any], image: NDArray[np.uint8]) -> Array:
    """Compute the file's program for an image [side, side, 3] and return its logits [classes]."""
    values: dict[str, Array] = {IMAGE: image.transpose(2, 0, 1)[np.newaxis].astype(np.float32)}
    for operation in operations:
        if operation.op_type in ("const", "classify"):
            continue
        given = {
            name: values[var.name] if var.name in values else _value(var)
            for name, var in operation.inputs.items()
            if not isinstance(var, (list, tuple)) and var is not None
        }
        with np.errstate(over="ignore"):
            result = np.asarray(_OPERATIONS[operation.op_type](given), dtype=np.float32)
            [output] = operation.outputs
            if output.dtype == types.fp16:
                result = result.astype(np.float16).astype(np.float32)
        values[output.name] = result
    return np.asarray(values[LOGITS][0], dtype=np.float32)


def _value(var: Any) -> Any:
    value = np.asarray(var.val)
    return value.astype(np.float32) if np.issubdtype(value.dtype, np.floating) else value


def _convolved(given: dict[str, Any]) -> Array:
    x, weight, groups = given["x"], given["weight"], int(given.get("groups", 1))
    top, bottom, left, right = (int(edge) for edge in given["pad"])
    padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right)))
    (down, across), (high, wide) = (int(step) for step in given["strides"]), weight.shape[2:]
    rows, columns = ((size - kernel) // step + 1 for size, kernel, step in zip(
        padded.shape[1:], (high, wide), (down, across), strict=True))  # fmt: skip
    parts = padded.reshape(groups, -1, *padded.shape[1:])
    kernels = weight.reshape(groups, -1, *weight.shape[1:])  # [groups, O / groups, I / groups, kH, kW]
    total = np.zeros((groups, kernels.shape[1], rows * columns), dtype=np.float32)
    for i in range(high):
        for j in range(wide):
            window = parts[:, :, i : i + down * rows : down, j : j + across * columns : across]
            total += kernels[..., i, j] @ np.ascontiguousarray(window[:, :, :rows, :columns]).reshape(
                groups, -1, rows * columns
            )
    bias = np.asarray(given.get("bias", np.float32(0)))
    return np.asarray(total.reshape(1, -1, rows, columns) + bias.reshape(1, -1, 1, 1), dtype=np.float32)


def _softmax(given: dict[str, Any]) -> Array:
    shares = np.exp(given["x"] - given["x"].max())
    return np.asarray(shares / shares.sum(), dtype=np.float32)


_OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "conv": _convolved,
    "linear": lambda given: given["x"] @ given["weight"].T + given.get("bias", 0),
    "add": lambda given: given["x"] + given["y"],
    "sub": lambda given: given["x"] - given["y"],
    "mul": lambda given: given["x"] * given["y"],
    "relu": lambda given: np.maximum(given["x"], 0),
    "relu6": lambda given: np.clip(given["x"], 0, 6),
    "clip": lambda given: np.clip(given["x"], given["alpha"], given["beta"]),
    "sigmoid": lambda given: 1 / (1 + np.exp(-given["x"])),
    "silu": lambda given: given["x"] / (1 + np.exp(-given["x"])),
    "reduce_mean": lambda given: given["x"].mean(axis=tuple(given["axes"]), keepdims=bool(given["keep_dims"])),
    "squeeze": lambda given: np.squeeze(given["x"], tuple(int(axis) for axis in given["axes"])),
    "softmax": _softmax,
    "identity": lambda given: given["x"],
    "cast": lambda given: given["x"],
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
