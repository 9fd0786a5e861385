"""What edgenet writes runs alike under `tflite-runtime` 2.14, the last one that old devices can have.

It needs Python 3.11 or older and NumPy 1, so it lives in an environment of its own, whose Python is named by
EDGENET_OLD_RUNTIME_PYTHON:

    python3.11 -m venv old && old/bin/pip install tflite-runtime==2.14.0 'numpy<2'
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from converters import conversion
from converters.runtime import Runner, decode, encode_pixels
from edgenet.agreement import sqnr_db
from edgenet.precision import PRECISIONS, default_io
from edgenet.progress import silent
from tests.networks import FAMILY_HEADS, pictures, small_variant
from tests.test_integer_files import FLOORS

VARIABLE = "EDGENET_OLD_RUNTIME_PYTHON"
PROGRAM = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
answers = []
for values in np.load(sys.argv[2]):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
np.save(sys.argv[3], np.stack(answers))
"""
Logits = NDArray[np.float32]


@pytest.fixture(scope="module")
def python() -> str:
    """Return the Python of the old runtime's environment."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} names no Python with tflite-runtime 2.14; see the head of this file")
    return os.environ[VARIABLE]


def _old_answers(python: str, model: Path, runner: Runner, images: list[NDArray[np.uint8]], folder: Path) -> Logits:
    inputs, answers = folder / "inputs.npy", folder / "answers.npy"
    np.save(inputs, np.stack([encode_pixels(pixels, runner.input) for pixels in images]))
    arguments = [python, "-c", PROGRAM, str(model), str(inputs), str(answers)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return decode(np.load(answers), runner.outputs[0])


def _sqnr_db(reference: Logits, test: Logits) -> float:
    return sqnr_db(float(np.square(reference).sum()), float(np.square(reference - test).sum()))


@pytest.mark.parametrize("family", FAMILY_HEADS)
def test_every_precision_keeps_the_floor_of_the_new_runtime(python: str, family: str, tmp_path: Path) -> None:
    formats = tuple((precision, default_io(precision)) for precision in PRECISIONS)
    request = conversion.Request(small_variant(family), formats, "random", "builtin", samples=16, num_classes=10)
    images = pictures(4)
    artifacts = conversion.run(request, tmp_path, False, (), silent, lambda _: None)
    reference = np.stack([Runner(artifacts[0].path.read_bytes()).logits(pixels) for pixels in images])
    for artifact in artifacts:
        runner = Runner(artifact.path.read_bytes())
        answers = _old_answers(python, artifact.path, runner, images, tmp_path)
        assert _sqnr_db(reference, answers) >= FLOORS[artifact.manifest.precision], artifact.path.name
