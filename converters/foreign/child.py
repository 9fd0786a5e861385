"""The child process that opens a model of a stranger, recognises it, and runs it: what may crash crashes here.

It reads `request.json` in its folder and writes `result.json`, with the tensors and the answers where it succeeds.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from converters.foreign.nodes import Graph, Input
from converters.foreign.normalization import Given, Settled, settle
from converters.foreign.original import Original
from converters.foreign.parts import convolutions, front, head, others, refuse_others
from converters.foreign.recognise import recognise
from converters.foreign.tensors import read_tensors
from converters.procedural import procedural_image
from edgenet.errors import EdgenetError
from edgenet.layers import expand
from edgenet.variants import Variant, parse_variant

IMAGES, IMAGE_SEED = 3, 11
REQUEST, RESULT, TENSORS, ANSWERS = "request.json", "result.json", "tensors.safetensors", "answers.safetensors"


def main(folder: Path) -> None:
    """Do what `folder`'s request asks and write what came of it, an error included."""
    warnings.simplefilter("ignore")  # of Keras and TensorFlow about the file's age
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    try:
        result = _read(request, folder)
    except EdgenetError as error:
        result = {"error": type(error).__name__, "what": error.what, "allowed": error.allowed, "mend": error.mend}
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")


def _open(kind: str, path: Path, side_px: int) -> Original:
    if kind == "onnx":
        from converters.foreign.onnx_original import open_onnx

        return open_onnx(path, side_px)
    from converters.foreign.keras_original import open_keras, open_saved_model

    return open_saved_model(path) if kind == "saved_model" else open_keras(path)


def _recognised(path: Path, request: dict[str, Any]) -> tuple[Original, Graph, Variant]:
    """Return the opened model, its graph and its variant; the sides of an open ONNX graph become the variant's own."""
    wanted = parse_variant(request["variant"]) if request["variant"] else None
    original = _open(request["kind"], path, request["side_px"])
    graph = Graph(original.output)
    variant = recognise(convolutions(graph), wanted, path.name, others(graph))
    open_sides = any(isinstance(node, Input) and not node.side_px for node in graph.nodes)
    if request["kind"] != "onnx" or request["side_px"] or not open_sides:
        return original, graph, variant
    fixed = _open("onnx", path, variant.side_px)
    return fixed, Graph(fixed.output), variant


def _read(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = Path(request["path"])
    original, graph, variant = _recognised(path, request)
    found = convolutions(graph)
    end = head(graph, found[-1])
    image, own = front(graph, found[0])
    refuse_others(graph)
    side_px = image.side_px or request["side_px"] or variant.side_px
    num_classes = len(end.dense.weight)
    read = read_tensors(expand(variant, num_classes, side_px), found, end)
    settled = settle(own, Given(**request["given"]), variant, path.name)
    # safetensors writes the memory as it lies: a transposed view would come back wrong.
    save_file({name: np.ascontiguousarray(row) for name, row in read.tensors.items()}, folder / TENSORS)
    _answer(original, settled, side_px, folder)
    return {
        "title": original.title,
        "beside": original.beside,
        "variant": variant.name,
        "num_classes": num_classes,
        "side_px": side_px,
        "side_is_fixed": bool(image.side_px),
        "padding": read.convention.padding,
        "batch_norm_epsilon": read.convention.batch_norm_epsilon,
        "folded": read.folded,
        "softmax": end.softmax,
        "settled": asdict(settled),
    }


def _answer(original: Original, settled: Settled, side_px: int, folder: Path) -> None:
    """Run the model itself on a few images and keep both."""
    pixels = np.stack([procedural_image(index, side_px, IMAGE_SEED) for index in range(IMAGES)])
    scale, shift = (np.asarray(row, np.float32) for row in (settled.scale, settled.shift))
    answers = [original.run(row[np.newaxis].astype(np.float32) * scale + shift) for row in pixels]
    save_file({"pixels": pixels, "answers": np.stack(answers).astype(np.float32)}, folder / ANSWERS)
