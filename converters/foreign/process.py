"""Run the child that opens a model, under limits of time and memory, and bring back what it says."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.foreign.child import REQUEST, RESULT
from converters.screen import last_line
from edgenet.errors import GateFailed, InputError, MissingError

TIME_LIMIT_S = 600
MEMORY_LIMIT_BYTES = 24 * 2**30  # of address space, of which TensorFlow alone takes several GiB
ERRORS = {error.__name__: error for error in (GateFailed, InputError, MissingError)}

_CHILD = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from converters.foreign.child import main
main(Path(sys.argv[1]))
"""
# No GPU, no chatter of TensorFlow's, Keras 3 on TensorFlow.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}


def read_in_child(request: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Return the child's result; raise what it raised, or InputError where it died, hung or failed."""
    (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD.format(limit=MEMORY_LIMIT_BYTES), str(folder)],
            env={**os.environ, **_QUIET, "PYTHONPATH": paths},
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{name} could not be opened and run within {TIME_LIMIT_S} s") from error
    if done.returncode < 0:
        raise InputError(f"{name} killed the process that opened it (signal {-done.returncode})", mend="save it again")
    if done.returncode > 0:
        raise InputError(f"{name} cannot be opened: {last_line(done.stderr)}", mend="save it again")
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if "error" in result:
        raise ERRORS[result["error"]](result["what"], allowed=result["allowed"], mend=result["mend"])
    return result
