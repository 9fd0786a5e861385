"""Which files can be a model that was fine-tuned elsewhere, and their digest."""

import hashlib
from pathlib import Path
from typing import Literal

from edgenet.errors import InputError
from edgenet.weights.cache import file_digest

Kind = Literal["keras", "saved_model", "onnx"]
SUFFIXES: dict[str, Kind] = {".keras": "keras", ".h5": "keras", ".hdf5": "keras", ".onnx": "onnx"}
ALLOWED = f"a .manifest.json, a {', '.join(SUFFIXES)} file, or a SavedModel folder"
ELSEWHERE = {
    ".tflite": "edgenet quantize takes .tflite files",
    **dict.fromkeys((".pth", ".pt", ".safetensors"), "arrays without a network: --variant NAME --weights FILE"),
}


def kind_of(path: Path) -> Kind:
    """Return what kind of model lies at `path`; raise InputError for anything else."""
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise InputError(f"{path} is no SavedModel: it holds no saved_model.pb", allowed=ALLOWED)
        return "saved_model"
    if not path.is_file():
        raise InputError(f"{path} is no file", allowed=ALLOWED, mend="check the path")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: no model can be read from a {path.suffix or 'nameless'} file",
            allowed=ALLOWED,
            mend=ELSEWHERE.get(path.suffix.lower(), ""),
        )
    return SUFFIXES[path.suffix.lower()]


def digest(path: Path, beside: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of a file; of a folder, or a file with others beside it, that of all names and digests."""
    rows = [(name, path.parent / name) for name in (path.name, *beside)]
    if path.is_dir():
        files = sorted(row for row in path.rglob("*") if row.is_file() or row.is_symlink())
        link = next((row for row in files if row.is_symlink()), None)
        if link is not None:
            raise InputError(f"{link} is a link", allowed="files of the model's own")
        rows = [(row.relative_to(path).as_posix(), row) for row in files]
    elif not beside:
        return file_digest(path)
    total = hashlib.sha256()
    for name, row in rows:
        total.update(f"{name}\n{file_digest(row)}\n".encode())
    return total.hexdigest()
