"""Read .safetensors files as float32 NumPy arrays."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import InputError
from edgenet.weights.unwrap import strip_prefixes

DTYPES = ("F16", "BF16", "F32", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL")


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]:
    """Return the tensors by name and a note on each prefix taken off; raise InputError for a damaged file."""
    # NumPy has no bfloat16 of its own: importing ml_dtypes (a dependency of TensorFlow's) registers one.
    import ml_dtypes  # noqa: F401  # imported for what it registers
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, NDArray[np.float32]] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  # not a dict: it has no __iter__
                dtype = file.get_slice(name).get_dtype()
                if dtype not in DTYPES:
                    raise InputError(f"{path}: {name} has the type {dtype}", allowed=", ".join(DTYPES))
                with np.errstate(over="ignore"):  # what becomes infinite is refused later by name
                    tensors[name] = np.asarray(file.get_tensor(name)).astype(np.float32)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no readable .safetensors file: {error}", mend="get the file again") from error
    return strip_prefixes(tensors)
