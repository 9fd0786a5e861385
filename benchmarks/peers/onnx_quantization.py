"""Time lite0's int8 .onnx file against our .tflite file and against what onnxruntime.quantization makes.

    python -m benchmarks.peers.onnx_quantization [--calib DIR] [--json]

The peers are `quantize_static` as it comes (its own pre-processing first, every default), and with the settings that
its guide names for x86: u8 activations, s8 weights, a scale a channel. They start from our fp32 .onnx file and see the
images that our calibration sees. Each round loads every file afresh; ONNX Runtime runs as it comes but for its threads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.ratios import Ratio, Side, arguments, exit_with, interleaved, machine, quiet, show
from converters.api import convert
from converters.calibration_source import BUILTIN, CalibrationSet
from converters.loaded import TensorInfo, decode, encode_pixels
from converters.onnx_file.runner import OnnxRunner, onnx_runtime
from converters.probe import open_images
from converters.runtime import Runner
from edgenet.preprocessing import Preprocessing

VARIANT, SAMPLES = "lite0", 100
THREADS = (1, 2)
WARM_UPS, RUNS = 5, 40
BAR = 1.0  # of quantize_static's default
OURS, TFLITE, DEFAULT, ADVISED = "our .onnx", "our .tflite", "quantize_static", "quantize_static, u8s8 per channel"

Run = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Loaded:
    """A model ready to run; both ends are known."""

    run: Run
    input: TensorInfo
    output: TensorInfo

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits [classes] of raw pixels [side, side, 3]."""
        return decode(self.run(encode_pixels(pixels, self.input)), self.output).reshape(-1)


def loaded_onnx(content: bytes, threads: int) -> Loaded:
    """Load an .onnx file as a user of ONNX Runtime would."""
    onnxruntime = onnx_runtime()
    ends = OnnxRunner(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return Loaded(lambda values: session.run(None, {ends.input.name: values})[0], ends.input, ends.outputs[0])


def loaded_tflite(content: bytes, threads: int) -> Loaded:
    """Load a .tflite file with XNNPACK."""
    runner = Runner(content, threads)

    def run(values: NDArray[Any]) -> NDArray[Any]:
        runner.run(values)
        return runner.view(0).copy()

    return Loaded(run, runner.input, runner.outputs[0])


class Images:
    """Calibration images as `quantize_static` asks for them."""

    def __init__(self, images: CalibrationSet) -> None:
        self._images: Iterator[NDArray[np.uint8]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next image [1, side, side, 3] by the input's name; None after the last one."""
        pixels = next(self._images, None)
        return None if pixels is None else {"image": pixels[np.newaxis].astype(np.float32)}


def quantized_by_peer(content: bytes, images: CalibrationSet, **settings: Any) -> bytes:
    """Return an fp32 .onnx file as `quantize_static` makes an int8 one of it."""
    onnx_runtime()
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    CalibrationDataReader.register(Images)
    with tempfile.TemporaryDirectory() as folder, quiet():
        given, prepared, made = (Path(folder) / name for name in ("given.onnx", "prepared.onnx", "made.onnx"))
        given.write_bytes(content)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)  # every shape is a number already
        quantize_static(prepared, made, Images(images), **settings)
        return made.read_bytes()


def our_files(calib: str) -> tuple[dict[str, bytes], Preprocessing]:
    """Return our files by name, and the preprocessing that belongs to them."""
    with tempfile.TemporaryDirectory() as folder:
        artifacts = convert(VARIANT, "fp32,w8a8", format="both", calib=calib, samples=SAMPLES, out=folder, verify=False)
        contents = {row.path.name: row.path.read_bytes() for row in artifacts}
    return contents, artifacts[0].manifest.to_preprocessing()


def timed(load: Callable[[bytes, int], Loaded], content: bytes, threads: int, pixels: NDArray[np.uint8]) -> Side:
    """Return a side that loads a file and gives the median seconds of a run."""

    def side() -> float:
        with quiet():
            model = load(content, threads)
        values, runs = encode_pixels(pixels, model.input), []
        for _ in range(WARM_UPS + RUNS):
            start = perf_counter()
            model.run(values)
            runs.append(perf_counter() - start)
        return median(runs[WARM_UPS:])

    return side


def rows_of(threads: int, runs: Mapping[str, tuple[float, ...]]) -> list[Ratio]:
    """Return the table's rows for a number of threads."""
    title = f"{threads} thread{'s' if threads > 1 else ''}, our .onnx vs"
    bars = {TFLITE: None, DEFAULT: BAR, ADVISED: None}
    return [Ratio(f"{title} {peer}", runs[OURS], runs[peer], bar, "of theirs") for peer, bar in bars.items()]


def agreement(reference: Loaded, models: Mapping[str, Loaded], images: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    """Return the share of images on which each model has the top-1 class of the float one."""
    wanted = [int(reference.logits(pixels).argmax()) for pixels in images]
    return {
        name: float(np.mean([int(model.logits(pixels).argmax()) for pixels in images] == np.asarray(wanted)))
        for name, model in models.items()
    }


def main() -> int:
    """Print the ratios; return the exit code."""
    parser = arguments(str(__doc__))
    parser.add_argument("--calib", default=BUILTIN, metavar="SOURCE", help="a folder of photos, or builtin (default)")
    given, host = parser.parse_args(), machine()
    contents, preprocessing = our_files(given.calib)
    images, probe = open_images(given.calib, preprocessing, SAMPLES, 0)
    float_file = contents[f"{VARIANT}-fp32.onnx"]
    advised = _advised()
    files = {
        OURS: (loaded_onnx, contents[f"{VARIANT}-w8a8.onnx"]),
        TFLITE: (loaded_tflite, contents[f"{VARIANT}-w8a8.tflite"]),
        DEFAULT: (loaded_onnx, quantized_by_peer(float_file, images)),
        ADVISED: (loaded_onnx, quantized_by_peer(float_file, images, **advised)),
    }
    rows = []
    for threads in THREADS:
        sides = {name: timed(*file, threads, probe.images[0]) for name, file in files.items()}
        rows += rows_of(threads, interleaved(sides, given.rounds))
    models = {name: load(content, 1) for name, (load, content) in files.items()}
    shares = agreement(loaded_onnx(float_file, 1), models, probe.images)
    kept = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
    notes = [
        f"{VARIANT} w8a8, packaged weights, calibrated on {SAMPLES} images ({given.calib}); a round is the median of "
        f"{RUNS} runs of a file that was loaded for it",
        f"same top-1 as float on {probe.description}: {kept}",
    ]
    return show("onnx-quantization", host, rows, notes, given.json)


def _advised() -> dict[str, Any]:
    from onnxruntime.quantization import QuantType

    return {"per_channel": True, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}


if __name__ == "__main__":
    exit_with(main)
