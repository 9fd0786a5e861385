"""Look at a model file from outside in a child process, where a file made to crash can crash alone.

The runtime does not check a flatbuffer before it follows its offsets, and Python's reader believes every length it
finds. So both meet an unknown file for the first time in a child, under a time and a memory limit.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from converters.model_file import read_model_file
from edgenet.artifact import ONNX_SUFFIX
from edgenet.errors import InputError, MissingError

TIME_LIMIT_S = 120
MEMORY_LIMIT_BYTES = 12 * 2**30  # of address space; XNNPACK and the Python process itself take about 2 GiB of it

_CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from converters.screened import examine
print(json.dumps(examine(open(sys.argv[1], "rb").read(), {is_onnx})))
"""


def read_screened(path: Path) -> bytes:
    """Return the bytes of a .tflite or .onnx file that a child process has parsed, loaded and run once without harm.

    Raise InputError for a file that is missing, too large, no model, or that makes the child fail or die.
    """
    kind, runtime = ("an .onnx", "ONNX Runtime") if path.suffix == ONNX_SUFFIX else ("a .tflite", "TFLite")
    content = read_model_file(path, kind)
    verdict = _examine_in_child(path)
    if verdict:
        allowed = verdict.allowed or f"{kind} file that {runtime} can load and run"
        raise InputError(f"{path.name}: {verdict.what}", allowed=allowed, mend=verdict.mend)
    return content


def _examine_in_child(path: Path) -> InputError | None:
    """Return what is wrong with the file, None where nothing is."""
    command = [
        sys.executable,
        "-c",
        _CHILD.format(limit=MEMORY_LIMIT_BYTES, is_onnx=path.suffix == ONNX_SUFFIX),
        str(path),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIME_LIMIT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return InputError(f"the runtime did not finish within {TIME_LIMIT_S} s")
    if done.returncode < 0:
        signal = -done.returncode
        return InputError(f"the runtime died with signal {signal}: the file is damaged or made to do harm")
    if done.returncode > 0:
        return InputError(f"it cannot be parsed: {last_line(done.stderr)}")
    return _verdict(done.stdout)


def _verdict(output: str) -> InputError | None:
    document = json.loads(output)
    if document["missing"]:
        raise MissingError(document["missing"], mend="edgenet doctor shows how to get it")
    if not document["wrong"]:
        return None
    return InputError(document["wrong"], allowed=document["allowed"], mend=document["mend"])


def last_line(stderr: str) -> str:
    """Return the last line that a child printed, as much of it as a message can hold."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"
