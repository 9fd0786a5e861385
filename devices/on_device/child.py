"""The process that loads one model and runs it when told: a crash ends this process and no other.

It reads one JSON command a line and answers each with one JSON line. A block of runs is timed by `perf_counter`, which
is one clock for all processes of a machine, with the input set beforehand and the garbage collector off.
"""

from __future__ import annotations

import base64
import ctypes
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from devices.on_device.edgetpu import edgetpu_library
from devices.on_device.litert_profile import ProfileError
from devices.on_device.model_runtime import (
    ModelError,
    OnnxModel,
    TfliteModel,
    first_line,
    load_model,
    onnx_runtime,
    tflite_runtime,
)

# The same as edgenet verify: another machine's kernels sum in another order.
FLOAT_TOLERANCE, INTEGER_STEPS = 5e-3, 3
# Other integer kernels round each layer otherwise. tflite-runtime 2.14's answers stood 0.98 (lite0 w8a8) to 1.24 times
# (b0 w8d) as far from the float network as the stored ones of XNNPACK; nonsense is 5 times as far or more.
LARGEST_ERROR_RATIO = 1.5
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def child_main() -> int:
    """Answer commands until the end of the input."""
    end_with_parent()
    # What native code prints must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    child = MeasuringChild()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer: dict[str, object] = getattr(child, "do_" + command.pop("do"))(**command)
        except ModelError as error:
            answer = {"error": error.kind, "message": str(error)}
        except MemoryError:
            answer = {"error": "memory", "message": "not enough memory for the model"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is gone, also in the middle of a run."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def set_affinity(cores: list[int]) -> None:
    """Run on these cores alone, the runtime's threads included; raise ModelError for cores that are not there."""
    there = os.sched_getaffinity(0)
    if not set(cores) <= there:
        asked, allowed = (" ".join(str(core) for core in sorted(row)) for row in (set(cores), there))
        raise ModelError("affinity", f"cores {asked} cannot be had; there are {allowed}")
    os.sched_setaffinity(0, cores)


def status_bytes(key: str) -> int:
    """Return a row of /proc/self/status in bytes; where there is none, the peak that the kernel counts."""
    try:
        rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(rows[key].split()[0]) * 1024
    except (OSError, KeyError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class MeasuringChild:
    """The commands that a measuring process knows; each returns what is answered."""

    def __init__(self) -> None:
        self._model: TfliteModel | OnnxModel
        self._golden: tuple[Any, Any, Any] | None = None

    def do_load(
        self, path: str, delegate: str, threads: int, batch: int, affinity: list[int], golden: str
    ) -> dict[str, object]:
        """Load a model and run it once; load_s includes allocation and delegates, not the runtime's import."""
        if affinity:
            set_affinity(affinity)
        _import_runtime(Path(path))
        before_bytes = status_bytes("VmRSS")
        started_s = time.perf_counter()
        self._model = load_model(Path(path), delegate, threads, batch)
        loaded_s = time.perf_counter()
        after_load_bytes = status_bytes("VmRSS")
        self._golden = read_golden(golden) if golden else None
        self._model.feed(self._input_values())
        first_s = time.perf_counter()
        self._model.run()
        ended_s = time.perf_counter()
        return {
            "load_s": loaded_s - started_s,
            "first_inference_s": ended_s - first_s,
            "coverage": self._model.coverage(),
            "runtime": self._model.runtime,
            "edgetpu": edgetpu_library(Path("/")) if delegate == "edgetpu" else None,
            "memory": {
                "before_load_bytes": before_bytes,
                "after_load_bytes": after_load_bytes,
                "after_first_inference_bytes": status_bytes("VmRSS"),
            },
        }

    def do_golden(self) -> dict[str, object]:
        """Run the golden inputs; answer with how far the answers are from the stored ones, and what is allowed."""
        import numpy

        if self._golden is None:
            return {"golden": None}
        pixels, logits, float_logits = self._golden
        shape, _ = self._model.input
        if pixels.shape[1:] != shape[1:]:
            raise ModelError("golden", f"golden inputs {list(pixels.shape)} do not fit the input {list(shape)}")
        answers = []
        for image in pixels:
            self._model.feed(self._encode(numpy.repeat(image[numpy.newaxis], shape[0], axis=0)))
            self._model.run()
            answers.append(self._model.answer()[0])
        self._model.feed(self._input_values())
        if numpy.shape(answers) != logits.shape:
            raise ModelError("golden", f"golden logits {list(logits.shape)} do not fit {list(numpy.shape(answers))}")
        return {"golden": compare_golden(numpy.stack(answers), logits, float_logits, self._model.output_step)}

    def do_answer(self, images: str, index: int) -> dict[str, object]:
        """Answer with the first output for one image of an .npy file [N, side, side, 3], as it is, in base64."""
        import numpy

        pixels = numpy.load(images, mmap_mode="r", allow_pickle=False)[index : index + 1]
        self._model.feed(self._encode(numpy.array(pixels)))
        self._model.run()
        values = self._model.raw()
        little = values.astype(values.dtype.newbyteorder("<"))
        return {"dtype": str(values.dtype), "values": base64.b64encode(little.tobytes()).decode()}

    def do_block(self, least_s: float, least_runs: int) -> dict[str, object]:
        """Run until both minima are reached; answer with each run's time."""
        run, clock = self._model.run, time.perf_counter
        samples_s: list[float] = []
        gc.collect()
        gc.disable()
        started_s = clock()
        end_s = started_s
        while end_s - started_s < least_s or len(samples_s) < least_runs:
            begin_s = clock()
            run()
            end_s = clock()
            samples_s.append(end_s - begin_s)
        gc.enable()
        return {"started_s": started_s, "samples_s": samples_s}

    def do_profile(self, runs: int) -> dict[str, object]:
        """Answer with the time of each op where the runtime tells it, else with the reason."""
        try:
            return {"ops": self._model.profile(runs), "ops_note": ""}
        except ProfileError as error:
            return {"ops": [], "ops_note": str(error)}

    def do_memory(self) -> dict[str, object]:
        """Answer with the process's peak."""
        return {"peak_rss_bytes": status_bytes("VmHWM")}

    def _input_values(self) -> Any:
        """Return the first golden image, else seeded noise, as the model takes it."""
        import numpy

        shape, _ = self._model.input
        if self._golden is not None and self._golden[0].shape[1:] == shape[1:]:
            return self._encode(numpy.repeat(self._golden[0][:1], shape[0], axis=0))
        return self._encode(numpy.random.RandomState(0).randint(0, 256, shape).astype(numpy.uint8))

    def _encode(self, pixels: Any) -> Any:
        """Return raw pixels as the model's input: uint8 as they are, int8 less 128, float32 0-255."""
        import numpy

        _, kind = self._model.input
        if kind == numpy.int8:
            return (pixels.astype(numpy.int16) - 128).astype(numpy.int8)
        return pixels.astype(kind)


def compare_golden(answers: Any, logits: Any, float_logits: Any, step: float) -> dict[str, object]:
    """Hold answers [N, classes] against the stored ones: equal but for rounding, or as near to the float network.

    `step` is the output's scale; where there is one, `equal_share` of the answers are the stored ones bit for bit, and
    none is further off than `most_steps`. `error_ratio` is the answers' root mean square distance from the float
    network over that of the stored ones, None where those are the float network's own.
    """
    import numpy

    worst = float(numpy.abs(answers - logits).max())
    tolerance = max(FLOAT_TOLERANCE * float(numpy.abs(logits).max()), INTEGER_STEPS * step)
    stored = float(numpy.square(logits - float_logits).mean()) ** 0.5
    steps = numpy.rint(numpy.abs(answers - logits) / (step or 1.0))
    ratio = float(numpy.square(answers - float_logits).mean()) ** 0.5 / stored if stored else None
    return {
        "images": len(answers),
        "max_abs_error": worst,
        "tolerance": tolerance,
        "error_ratio": ratio,
        "equal_share": float((steps == 0).mean()) if step else None,
        "most_steps": int(steps.max()) if step else None,
        "passed": worst <= tolerance or (ratio is not None and ratio <= LARGEST_ERROR_RATIO),  # False for NaN
    }


def read_golden(path: str) -> tuple[Any, Any, Any]:
    """Return golden pixels [N, side, side, 3], logits and float logits [N, classes]; raise ModelError if damaged."""
    import zipfile

    import numpy

    try:
        with numpy.load(path, allow_pickle=False) as arrays:
            return arrays["pixels"], arrays["logits"], arrays["float_logits"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError("golden", f"cannot read the golden vectors: {first_line(error)}") from error


def _import_runtime(path: Path) -> None:
    """Import the runtime before the clock starts: an app has it in memory already."""
    with path.open("rb") as file:
        (tflite_runtime if file.read(8)[4:] == b"TFL3" else onnx_runtime)()
