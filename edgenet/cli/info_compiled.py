"""`edgenet info FILE` of what the Edge TPU compiler wrote: no runtime without libedgetpu can load it, so it is read."""

from __future__ import annotations

from pathlib import Path

from converters.check.check import check_graph, naming
from converters.check.compiled import may_be_compiled, read_packages
from converters.check.graph import Tensor, read_graph
from converters.model_file import read_model_file
from edgenet.artifact import sha256
from edgenet.cli.check import show_report
from edgenet.cli.console import emit_json, next_command, show


def is_compiled(path: Path) -> bool:
    """Return whether a file holds an op of the Edge TPU compiler; a file that is no model holds none."""
    if not path.is_file():
        return False
    content = read_model_file(path, "a .tflite")
    if not may_be_compiled(content):
        return False
    with naming(path):
        return bool(read_packages(read_graph(content)))


def show_compiled(path: Path, as_json: bool) -> None:
    """Show what a compiled file holds; raise InputError for one that is damaged."""
    content = read_model_file(path, "a .tflite")
    with naming(path):
        graph = read_graph(content)
        report = check_graph(graph, "edgetpu", path.name)
    if as_json:
        ends = {"inputs": list(map(_end, graph.inputs)), "outputs": list(map(_end, graph.outputs))}
        emit_json({**report.document(), "path": str(path), "sha256": sha256(content), **ends})
        return
    show(f"{path.name}: {len(content) / 1e6:.1f} MB, sha256 {sha256(content)}")
    for word, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            show(f"{word}: {tensor.name} {tensor.type} {list(tensor.shape)}")
    show_report(report)
    next_command(f"edgenet benchmark {path} --delegate edgetpu")


def _end(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "type": tensor.type, "shape": list(tensor.shape)}
