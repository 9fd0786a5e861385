"""The .ort file of an .onnx file: what ONNX Runtime's builds for phones load, already optimized."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from converters.onnx_file.runner import PROVIDERS, OnnxRunner, onnx_runtime, session_options
from edgenet.errors import GateFailed
from edgenet.native_noise import quiet_native_stderr

# NCHWc blocks the channels of float tensors by the vector width of the processor that writes the file; without it the
# graph runs on any.
WRITTEN_LEVEL: Literal["all but NCHWc"] = "all but NCHWc"
MOST_OFF = 1e-4  # of the largest float logit
_LEFT_OUT = ["NchwcTransformer"]


def runtime_name() -> str:
    """Return which ONNX Runtime writes here; older ones may not read what it writes."""
    return f"onnxruntime {version('onnxruntime')}"


def ort_bytes(content: bytes) -> bytes:
    """Return an .onnx file as an .ort file that gives the same answer; raise GateFailed if it does not."""
    optimized = _written(content)
    runner = OnnxRunner(content)
    values = np.random.default_rng(0).integers(0, 256, runner.input.shape).astype(runner.input.dtype)
    runner.run(values)
    wanted = runner.view(0).astype(np.float64)
    (got,) = _session(optimized).run(None, {runner.input.name: values})
    allowed = 1 if runner.outputs[0].scale else MOST_OFF * float(np.abs(wanted).max())
    error = float(np.abs(got - wanted).max())
    if not error <= allowed:
        raise GateFailed(f"the .ort file is off the .onnx file by {error:.3g}", allowed=f"at most {allowed:.3g}")
    return optimized


def _session(optimized: bytes) -> Any:
    with quiet_native_stderr():
        return onnx_runtime().InferenceSession(optimized, session_options(threads=1), providers=PROVIDERS)


def _written(content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ort"
        options = session_options(threads=1)
        options.optimized_model_filepath = str(path)
        options.add_session_config_entry("session.save_model_format", "ORT")
        with quiet_native_stderr():
            onnx_runtime().InferenceSession(content, options, providers=PROVIDERS, disabled_optimizers=_LEFT_OUT)
        return path.read_bytes()
