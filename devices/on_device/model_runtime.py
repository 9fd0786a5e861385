"""One model under whatever runtime is here: ai-edge-litert, tflite-runtime or ONNX Runtime, behind the same words."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from devices.on_device.edgetpu import edgetpu_library_name, edgetpu_trouble
from devices.on_device.litert_profile import LitertProfile, ProfileError, paired_names

DELEGATE_MEND = "delegates: xnnpack, cpu (no delegate), edgetpu, or the path of a TFLite delegate library"


class ModelError(Exception):
    """A model, a runtime or a delegate that cannot be used; `kind` is missing-runtime, load, delegate or edgetpu."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load_model(path: Path, delegate: str, threads: int, batch: int) -> TfliteModel | OnnxModel:
    """Load a model file by its content: a TFLite file bears `TFL3` at its fifth byte; raise ModelError."""
    with path.open("rb") as file:
        is_tflite = file.read(8)[4:] == b"TFL3"
    return (TfliteModel if is_tflite else OnnxModel)(path, delegate, threads, batch)


class TfliteModel:
    """A .tflite file in ai-edge-litert's or tflite-runtime's interpreter."""

    def __init__(self, path: Path, delegate: str, threads: int, batch: int) -> None:
        module, self.runtime = tflite_runtime()
        self._path, self._batch = path, batch
        extra = _delegate_arguments(module, delegate)
        try:
            self._interpreter = module.Interpreter(model_path=str(path), num_threads=threads, **extra)
            (self._input,) = self._interpreter.get_input_details()
            if batch != self._input["shape"][0]:
                self._interpreter.resize_tensor_input(
                    self._input["index"], [batch, *self._input["shape"][1:]], strict=False
                )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError("load", first_line(error)) from error
        (self._input,) = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self.run = self._interpreter.invoke
        self._asked = delegate

    @property
    def input(self) -> tuple[tuple[int, ...], Any]:
        """The input's shape and NumPy type."""
        return tuple(int(size) for size in self._input["shape"]), self._input["dtype"]

    def feed(self, values: Any) -> None:
        """Set the input tensor."""
        self._interpreter.set_tensor(self._input["index"], values)

    def raw(self) -> Any:
        """Return the first output as it is, in steps where it is quantized."""
        return self._interpreter.get_tensor(self._outputs[0]["index"])

    def answer(self) -> Any:
        """Return the first output as float32, dequantized by its scale."""
        import numpy

        scale, zero_point = self._outputs[0]["quantization"]
        values = self.raw()
        if scale:
            return ((values.astype(numpy.float32) - zero_point) * numpy.float32(scale)).astype(numpy.float32)
        return values.astype(numpy.float32)

    @property
    def output_step(self) -> float:
        """The first output's scale, 0 where it is float."""
        return float(self._outputs[0]["quantization"][0])

    def coverage(self) -> dict[str, object]:
        """Return what the delegate took: nodes of the model's own graph, those delegated, and partitions."""
        details = self._interpreter._get_ops_details()
        partitions = [row for row in details if row["op_name"] == "DELEGATE"]
        own = [row for row in details if row["op_name"] != "DELEGATE"]
        taken = delegated_nodes(own, partitions)
        name = {"xnnpack": "XNNPACK", "edgetpu": "Edge TPU"}.get(self._asked, Path(self._asked).name)
        if self._asked == "edgetpu" or not partitions:
            # The Edge TPU's ops are custom ops of the file itself, not partitions.
            custom = sum("edgetpu" in row["op_name"] for row in own)
            return {
                "applied": name if custom else "",
                "nodes": len(own),
                "delegated_nodes": custom,
                "partitions": custom,
            }
        return {"applied": name, "nodes": len(own), "delegated_nodes": taken, "partitions": len(partitions)}

    def profile(self, runs: int) -> list[dict[str, object]]:
        """Return the mean time of each step on one thread over `runs`; raise ProfileError where there is none."""
        if self.runtime["name"] != "ai-edge-litert" or self._asked != "xnnpack" or self._batch != 1:
            raise ProfileError("per-op times come from ai-edge-litert with XNNPACK and batch 1 only")
        import ai_edge_litert

        events = LitertProfile(self._path, ai_edge_litert, self.runtime["version"]).events(runs)
        tensors = {row["index"]: str(row["name"]) for row in self._interpreter.get_tensor_details()}
        own = [row for row in self._interpreter._get_ops_details() if row["op_name"] != "DELEGATE"]
        layers = [(tensors[int(row["outputs"][0])], row["op_name"]) for row in own]
        names = paired_names([kind for kind, _ in events], layers)
        pairs = zip(names, events)  # noqa: B905  # not in Python 3.7
        return [{"name": name, "kind": kind, "mean_s": mean_s} for name, (kind, mean_s) in pairs]


class OnnxModel:
    """An .onnx file in ONNX Runtime on the CPU."""

    def __init__(self, path: Path, delegate: str, threads: int, batch: int) -> None:
        self._module, self.runtime = onnx_runtime()
        if delegate != "cpu":
            raise ModelError("delegate", f"ONNX Runtime has no delegate {delegate!r} here; an .onnx file takes cpu")
        self._path, self._threads, self._batch = path, threads, batch
        self._session = self._open(None)
        (self._input,) = self._session.get_inputs()
        self._values: dict[str, Any] = {}
        self._answers: list[Any] = []
        facts = self._session.get_modelmeta().custom_metadata_map
        # ONNX has no place for the scale of an output but what the writer's own metadata say.
        self.output_step, self._zero_point = float(facts.get("output_scale", 0)), int(facts.get("output_zero_point", 0))

    def _open(self, profile_prefix: str | None) -> Any:
        options = self._module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 3
        if profile_prefix:
            options.enable_profiling, options.profile_file_prefix = True, profile_prefix
        try:
            return self._module.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exceptions share no other base, and all mean that it refused
            raise ModelError("load", first_line(error)) from error

    @property
    def input(self) -> tuple[tuple[int, ...], Any]:
        """The input's shape, with the batch in place of a free first dimension, and NumPy type."""
        import numpy

        kinds = {"tensor(float)": numpy.float32, "tensor(uint8)": numpy.uint8, "tensor(int8)": numpy.int8}
        shape = [size if isinstance(size, int) else self._batch for size in self._input.shape]
        if shape[0] != self._batch or self._input.type not in kinds:
            raise ModelError("load", f"the input is {self._input.type} {self._input.shape}, batch {self._batch}")
        return tuple(shape), kinds[self._input.type]

    def feed(self, values: Any) -> None:
        """Keep the input for the next run."""
        self._values = {self._input.name: values}

    def run(self) -> None:
        """Run once."""
        self._answers = self._session.run(None, self._values)

    def raw(self) -> Any:
        """Return the first output as it is."""
        return self._answers[0]

    def answer(self) -> Any:
        """Return the first output as float32, dequantized by the scale that the file's metadata tell."""
        import numpy

        values = self._answers[0].astype(numpy.float32)
        return (values - self._zero_point) * numpy.float32(self.output_step) if self.output_step else values

    def coverage(self) -> dict[str, object]:
        """Return the provider; ONNX Runtime does not tell nodes."""
        return {"applied": "CPUExecutionProvider", "nodes": None, "delegated_nodes": None, "partitions": None}

    def profile(self, runs: int) -> list[dict[str, object]]:
        """Return the mean time of each node over `runs`, from the runtime's own trace."""
        with tempfile.TemporaryDirectory() as folder:
            session = self._open(str(Path(folder) / "profile"))
            for _ in range(runs):
                session.run(None, self._values)
            events = json.loads(Path(session.end_profiling()).read_text())
        totals: dict[str, list[Any]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                row = totals.setdefault(event["name"][: -len("_kernel_time")], [event["args"]["op_name"], 0.0])
                row[1] += event["dur"] / 1e6
        return [{"name": name, "kind": kind, "mean_s": total / runs} for name, (kind, total) in totals.items()]


def delegated_nodes(own: list[Any], partitions: list[Any]) -> int:
    """Return how many of a graph's own nodes stand inside partitions: those between a partition's ends."""
    makers = {int(tensor): row for row in own for tensor in row["outputs"]}
    inside = set()
    for partition in partitions:
        edges = {int(tensor) for tensor in partition["inputs"]}
        waiting = [int(tensor) for tensor in partition["outputs"]]
        while waiting:
            tensor = waiting.pop()
            row = makers.get(tensor)
            if tensor in edges or row is None or row["index"] in inside:
                continue
            inside.add(row["index"])
            waiting += [int(tensor) for tensor in row["inputs"]]
    return len(inside)


def tflite_runtime() -> tuple[Any, dict[str, str]]:
    """Return the interpreter's module and what it is; raise ModelError where there is none."""
    try:
        import ai_edge_litert
        from ai_edge_litert import interpreter
    except ImportError:
        try:
            import tflite_runtime as package
            from tflite_runtime import interpreter
        except ImportError as error:
            message = f"no TFLite runtime here ({first_line(error)}); edgenet devices setup installs one"
            raise ModelError("missing-runtime", message) from error
        return interpreter, runtime_facts("tflite-runtime", package, "_pywrap_tensorflow_interpreter_wrapper*.so")
    return interpreter, runtime_facts("ai-edge-litert", ai_edge_litert, "libpywrap_litert_common.so")


def onnx_runtime() -> tuple[Any, dict[str, str]]:
    """Return onnxruntime, with its telemetry off, and what it is; raise ModelError where there is none."""
    # From 1.29 on its builds for Linux report names and hashes of models to their maker. It asks this at its import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError("missing-runtime", "no onnxruntime here; edgenet devices setup installs it") from error
    return onnxruntime, runtime_facts("onnxruntime", onnxruntime, "capi/onnxruntime_pybind11_state*.so")


def runtime_facts(name: str, package: Any, library: str) -> dict[str, str]:
    """Return a runtime's name, versions, and the SHA-256 of the library that does the work."""
    import platform

    import numpy

    (path,) = list(Path(package.__file__).parent.glob(library))[:1] or [Path(package.__file__)]
    return {
        "name": name,
        "version": getattr(package, "__version__", "") or _installed_version(name),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "python_version": platform.python_version(),
        "numpy_version": numpy.__version__,
    }


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _installed_version(name: str) -> str:
    try:
        from importlib.metadata import version
    except ImportError:  # Python 3.7
        return ""
    return version(name)


def _delegate_arguments(module: Any, delegate: str) -> dict[str, Any]:
    if delegate == "xnnpack":  # which the runtime applies by itself
        return {}
    if delegate == "cpu":
        resolver = getattr(module, "OpResolverType", None)
        if resolver is None:
            raise ModelError("delegate", "this runtime cannot run without its default delegate")
        return {"experimental_op_resolver_type": resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    library = edgetpu_library_name() if delegate == "edgetpu" else delegate
    if library == delegate and not Path(delegate).is_file():
        raise ModelError("delegate", f"no delegate {delegate!r}; {DELEGATE_MEND}")
    try:
        return {"experimental_delegates": [module.load_delegate(library)]}
    except (OSError, ValueError) as error:
        if delegate == "edgetpu":
            raise ModelError("edgetpu", edgetpu_trouble(Path("/"), first_line(error))) from error
        raise ModelError("delegate", f"{library} cannot be loaded: {first_line(error)}") from error
