"""Read the bytes of a model file from outside: a plain file of a size that its format can have."""

from pathlib import Path

from edgenet.errors import InputError

# Flatbuffers address with signed 32-bit offsets; it is protobuf's limit for one message as well.
LIMIT_BYTES = 2**31 - 1


def read_model_file(path: Path, kind: str) -> bytes:
    """Return a file's bytes, not looked at yet; `kind` says what is asked for: "a .tflite".

    Raise InputError for one that is missing, no plain file, or too large for its format.
    """
    if path.exists() and not path.is_file():  # a pipe or a device would never end
        raise InputError(f"{path} is not a file", allowed=f"{kind} file")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LIMIT_BYTES:
            raise InputError(f"{path} has {size_bytes} bytes", allowed=f"at most {LIMIT_BYTES} (2 GiB)")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", allowed=f"{kind} file") from error
