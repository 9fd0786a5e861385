"""Let a child process read an HDF5 file first: a damaged one can crash the HDF5 library, or keep it busy for ever.

Both happen inside C code, where no exception and no time limit of this process reaches. Whatever ends in an exception
is left to the caller, who reads the file again and reports it.
"""

import os
import subprocess
import sys
from pathlib import Path

from edgenet.errors import InputError

START_S = 20.0
BYTES_PER_SECOND = 5e6  # far slower than any disk: past it the library is not reading but going round in circles
_PROGRAM = """
import sys
from pathlib import Path
from edgenet.weights.keras_file import read_arrays
read_arrays(Path(sys.argv[1]))
"""


def refuse_deadly(path: Path, start_s: float = START_S) -> None:
    """Raise InputError where reading `path` as a Keras file kills a process or does not end in time."""
    limit_s = start_s + path.stat().st_size / BYTES_PER_SECOND
    # The child must find this very package, installed or not.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(path)],
            env=environment,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = f"{path} is damaged: the HDF5 library did not finish reading it in {limit_s:.0f} s"
        raise InputError(what, mend="get the file again") from error
    if done.returncode not in (0, 1):
        what = f"{path} is damaged: the HDF5 library died reading it (exit status {done.returncode})"
        raise InputError(what, mend="get the file again")
