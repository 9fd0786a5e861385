"""The float network of an artifact as a Core ML package, written and proven by a Python that has coremltools."""

from __future__ import annotations

import subprocess
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ConfigDict, ValidationError

from converters.reference import compressed_reference
from converters.runtime import load_runner
from edgenet.bundle.classify import best_answers
from edgenet.bundle.core_ml_network import network_of
from edgenet.bundle.golden import PIXEL_TOLERANCE
from edgenet.bundle.plain_golden import golden_text
from edgenet.bundle.record import AnswerRecord, GoldenDocument, document
from edgenet.errors import GateFailed, InputError, MissingError
from edgenet.manifest import Record

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

SCRIPT = Path(__file__).with_name("core_ml_script.py")
LONGEST_S = 3600.0  # a v2-xl on a small board
# Of the largest logit. As computed with NumPy, float16 costs 0.4 to 0.5 % (lite0, b0); Core ML may add up otherwise.
LOGIT_TOLERANCE = 0.02
WEIGHTS_TOLERANCE = 2.0**-11  # half a step of float16, of a layer's largest weight
_MEND = "python3 -m venv coreml && coreml/bin/pip install coremltools==9.0; then --core-ml coreml/bin/python"


class Report(Record):
    """What the script read in the file that it had written; logits [N, classes] as its program computes them."""

    model_config = ConfigDict(allow_inf_nan=True)  # float16 may overflow, and a file may hold other layers

    input: tuple[str, int, int, str]
    outputs: tuple[str, ...]
    predicted: tuple[str, str]
    labels: tuple[str, ...]
    specification: int
    weights_error: float
    logits: tuple[tuple[float, ...], ...]
    coremltools: str


class CoreMLDocument(Record):
    """core_ml.json: what the Core ML model is, and how it was proven."""

    schema_version: Literal[1] = 1
    precision: Literal["float16"] = "float16"
    coremltools: str
    specification: int
    input: tuple[str, int, int, str]  # name, width, height, colours; raw pixels 0-255
    outputs: tuple[str, ...]
    weights_error: float  # against the float network's, of a layer's largest weight
    logit_error: float  # of the file's program as NumPy computes it, against the float network
    not_run: str = "Core ML itself: it exists on Apple's systems only"
    golden: GoldenDocument  # what the float network answers


def core_ml_files(content: Content, package: str, golden: str) -> dict[str, bytes]:
    """Return the Core ML package, its document and its golden vectors, by their path inside the bundle.

    `package` and `golden` are folders there, which end with `/`. Raise InputError for a float network that cannot be
    had or written, MissingError for a Python without coremltools, GateFailed for a file that is not the network.
    """
    if len(set(content.labels)) < len(content.labels):
        raise InputError("--core-ml: two classes have one name", allowed="distinct names", mend="give --labels FILE")
    report = content.report
    report("float network", 0, 1)
    network = _float_network(content)
    runner = load_runner(network)
    pixels = np.stack([_seen(content, row.seen) for row in content.golden.document.cases])
    logits = np.stack([runner.logits(image) for image in pixels])
    report("Core ML", 0, 1)
    files, found = _written(content, network, pixels)
    report("Core ML", 1, 1)
    record = prove(content, found, logits)
    return {
        **{f"{package}{path}": file for path, file in files.items()},
        "core_ml.json": document(record),
        f"{golden}core_ml.txt": golden_text(record.golden),
    }


def _float_network(content: Content) -> bytes:
    try:
        return compressed_reference(content.artifact, None, "", lambda line: content.report(line, 0, 1))
    except InputError as error:
        mend = "write fp32 into the same folder, from the same weights"
        raise InputError(f"--core-ml wants the float network: {error.what}", mend=mend) from error


def _seen(content: Content, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(content.golden.pictures[name])))


def _written(content: Content, network: bytes, pixels: NDArray[np.uint8]) -> tuple[dict[str, bytes], Report]:
    """Return the package's files by their path inside it, and what the script says of them."""
    steps = network_of(network)
    manifest = content.manifest
    about = {
        "short_description": "; ".join([f"{manifest.variant}: the class of a photo", *content.warnings]),
        "author": content.wishes.author,
        "license": content.wishes.license,
    }
    with tempfile.TemporaryDirectory(prefix="edgenet-core-ml-") as name:
        folder = Path(name)
        (folder / "network.json").write_bytes(
            steps.document(side_px=content.photos.side_px, labels=content.labels, about=about)
        )
        (folder / "network.npz").write_bytes(steps.arrays(pixels))
        _run(content.wishes.core_ml, folder)
        package = folder / "network.mlpackage"
        members = (path for path in package.rglob("*") if path.is_file())
        files = {path.relative_to(package).as_posix(): path.read_bytes() for path in members}
        try:
            return files, Report.model_validate_json((folder / "report.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise MissingError(f"{content.wishes.core_ml} left no report of the Core ML model", mend=_MEND) from error


def _run(python: str, folder: Path) -> None:
    command = [python, "-I", str(SCRIPT), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LONGEST_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingError(f"--core-ml: cannot run {python}: {error}", mend=_MEND) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise MissingError(f"--core-ml: {python} could not write the model: {last}", mend=_MEND)


def prove(content: Content, found: Report, logits: NDArray[np.float32]) -> CoreMLDocument:
    """Return the document of a file that is the network; raise GateFailed for one that is not."""
    side = content.photos.side_px
    largest = float(np.abs(logits).max())
    error = float(np.abs(np.asarray(found.logits) - logits).max())
    failures = {
        f"its input is {found.input}": found.input != ("image", side, side, "RGB"),
        f"its outputs are {found.outputs}": found.outputs != (*found.predicted, "logits"),
        "its classes are others": found.labels != content.labels,
        f"weights are off by {found.weights_error:.3g} of the largest": not found.weights_error <= WEIGHTS_TOLERANCE,
        f"logits are off by {error:.3g}, {LOGIT_TOLERANCE * largest:.3g} is allowed": not (
            error <= LOGIT_TOLERANCE * largest
        ),
    }
    wrong = [line for line, failed in failures.items() if failed]
    if wrong:
        raise GateFailed(f"the Core ML model is not the float network: {'; '.join(wrong)}", mend="leave --core-ml out")
    return CoreMLDocument(
        coremltools=found.coremltools,
        specification=found.specification,
        input=found.input,
        outputs=found.outputs,
        weights_error=found.weights_error,
        logit_error=error,
        golden=_golden(content, logits, LOGIT_TOLERANCE * largest),
    )


def _golden(content: Content, logits: NDArray[np.float32], tolerance: float) -> GoldenDocument:
    cases = []
    for row, answer in zip(content.golden.document.cases, logits, strict=True):
        best = best_answers(answer, content.labels)
        top = tuple(AnswerRecord(index=one.index, label=one.label, logit=one.logit) for one in best)
        cases.append(row.model_copy(update={"top": top}))
    return GoldenDocument(pixel_tolerance=PIXEL_TOLERANCE, logit_tolerance=tolerance, cases=tuple(cases))
