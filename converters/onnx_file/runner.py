"""ONNX Runtime behind the face that all runtimes have here: load a file's bytes, run images through it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from converters.loaded import LoadedModel, first_line
from converters.onnx_file.document import all_nodes, parse
from converters.onnx_file.ends import input_end, output_ends
from edgenet.errors import InputError, MissingError
from edgenet.native_noise import quiet_native_stderr

if TYPE_CHECKING:
    from onnx import ModelProto

_SILENT = 4  # of ONNX Runtime's log levels: what goes wrong is raised as an exception as well
KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # those of ONNX Runtime's own kernels
PROVIDERS = ["CPUExecutionProvider"]


class OnnxRunner(LoadedModel):
    """One loaded .onnx model of one input and one or more outputs."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        model = parse(content)
        check_ops(model)
        self.input, self.outputs = input_end(model.graph), output_ends(model.graph)
        self._session = _session(content, threads)
        self._values: list[NDArray[Any]] = []

    def run(self, values: NDArray[Any]) -> None:
        """Set the input tensor as it is (no scaling) and run the model."""
        self.check(values)
        try:
            self._values = self._session.run(None, {self.input.name: values})
        except _errors() as error:
            raise InputError(f"ONNX Runtime cannot run the model: {first_line(error)}") from error

    def view(self, output: int) -> NDArray[Any]:
        """Return an output of the last run."""
        return self._values[output]


def onnx_runtime() -> Any:
    """Return ONNX Runtime's module with its telemetry off; raise MissingError where it is not installed."""
    # From 1.29 on its builds for Linux report names and hashes of models to their maker. It asks this at its import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError("ONNX Runtime is not installed", mend="pip install onnxruntime") from error
    return onnxruntime


def _errors() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises; its exceptions have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [row for row in vars(state).values() if isinstance(row, type) and issubclass(row, Exception)]
    return (*kinds, ValueError, RuntimeError, TypeError)


def session_options(threads: int) -> Any:
    """Return the settings under which ONNX Runtime loads files here; raise MissingError where it is not installed."""
    options = onnx_runtime().SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, _SILENT
    # Signed activations are for Arm; elsewhere they would run as float without this, and answer otherwise than there.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    return options


def _session(content: bytes, threads: int) -> Any:
    options = session_options(threads)
    try:
        with quiet_native_stderr():
            return onnx_runtime().InferenceSession(content, options, providers=PROVIDERS)
    except _errors() as error:
        raise InputError(f"ONNX Runtime cannot load the model: {first_line(error)}") from error


def check_ops(model: ModelProto) -> None:
    """Raise InputError, which names op and tensor, for an op that ONNX Runtime cannot know."""
    from onnx import defs

    opsets = {row.domain: int(row.version) for row in model.opset_import}
    if opsets.get("", 0) > defs.onnx_opset_version():
        newest = f"at most {defs.onnx_opset_version()}"
        raise InputError(f"the model is of opset {opsets['']}", allowed=newest, mend="export it for an older opset")
    own = {(row.domain, row.name) for row in model.functions}  # which bring what they are made of
    for node in all_nodes(model.graph):
        tensor = next(iter(node.output), "")
        if (node.domain, node.op_type) in own:
            continue
        if node.domain not in KNOWN_DOMAINS:
            raise InputError(f"op {node.op_type!r} of {node.domain!r} (tensor {tensor!r}) is in no runtime here")
        opset = opsets.get(node.domain, 0)
        if node.domain == "" and not defs.has(node.op_type, opset, ""):
            raise InputError(f"op {node.op_type!r} (tensor {tensor!r}) is in no opset {opset}")
