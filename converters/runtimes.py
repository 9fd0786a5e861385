"""The runtimes that a file can be run by, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from converters.loaded import LoadedModel
from converters.onnx_file.runner import OnnxRunner
from converters.runtime import Kernels, Runner
from edgenet.errors import InputError

ALL = "all"
Format = Literal["tflite", "onnx"]


@dataclass(frozen=True)
class Runtime:
    """One way to run files of one format; `kernels` is which of the runtime's own, where it has a choice."""

    name: str
    format: Format
    packages: tuple[str, ...]  # the first one that is installed is what runs
    kernels: Kernels | None = None

    def load(self, content: bytes) -> LoadedModel:
        """Return a file loaded for one core; raise InputError, and MissingError if the runtime is not installed."""
        return OnnxRunner(content) if self.kernels is None else Runner(content, 1, self.kernels)

    def takes(self, file: str) -> bool:
        """Tell whether a file is of this runtime's format."""
        return file.endswith(f".{self.format}")

    def is_slow(self, precision: str) -> bool:
        """Tell whether it does one or two billion multiply-accumulates a second on a core, not ten or more.

        So do the reference kernels, and TFLite's only ones for int16 activations.
        """
        return self.kernels == "reference" or (precision == "w8a16" and self.format == "tflite")

    @property
    def version(self) -> str:
        """The package that runs it, with its version; "" where none is installed."""
        for package in self.packages:
            with suppress(PackageNotFoundError):
                return f"{package} {version(package)}"
        return ""


TFLITE_PACKAGES = ("ai-edge-litert", "tflite-runtime")
# In the order of the table: the first row of a precision is what its others are held against.
RUNTIMES = {
    row.name: row
    for row in (
        Runtime("xnnpack", "tflite", TFLITE_PACKAGES, "xnnpack"),
        Runtime("builtin", "tflite", TFLITE_PACKAGES, "builtin"),
        Runtime("reference", "tflite", TFLITE_PACKAGES, "reference"),
        Runtime("onnxruntime", "onnx", ("onnxruntime",)),
    )
}


@dataclass(frozen=True)
class Asked:
    """The runtimes that were asked for; `lenient`: by "all", so that one that cannot run is a row saying why."""

    runtimes: tuple[Runtime, ...]
    lenient: bool


def parse_runtimes(text: str) -> Asked:
    """Return the runtimes of "all" or of names with commas between, in the table's order; raise InputError."""
    if text == ALL:
        return Asked(tuple(RUNTIMES.values()), lenient=True)
    names = text.split(",")
    if not set(names) <= RUNTIMES.keys() or len(set(names)) < len(names):
        allowed = f"{ALL}, or names with commas between, each once: {', '.join(RUNTIMES)}"
        raise InputError(f"--runtimes cannot be {text!r}", allowed=allowed)
    return Asked(tuple(row for row in RUNTIMES.values() if row.name in names), lenient=False)


def check_formats(asked: Asked, files: Sequence[str]) -> tuple[str, ...]:
    """Return a note for each runtime without a file and each file without a runtime.

    Raise InputError for a runtime that was asked for by name and takes none of the files.
    """
    notes = []
    for runtime in asked.runtimes:
        if not any(map(runtime.takes, files)):
            what = f"{runtime.name} takes .{runtime.format} files, of which there are none"
            if not asked.lenient:
                raise InputError(what, mend=f"edgenet convert --format {runtime.format} writes one")
            notes.append(what)
    names = ", ".join(row.name for row in asked.runtimes)
    notes += [f"{file} is of no format that {names} takes" for file in files if not _any_takes(asked, file)]
    return tuple(notes)


def _any_takes(asked: Asked, file: str) -> bool:
    return any(runtime.takes(file) for runtime in asked.runtimes)
