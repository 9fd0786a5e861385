"""What the Edge TPU compiler prints, as numbers: its version, and for each model its memory and its counts.

The text comes from a program that is not ours, perhaps on another machine: so many bytes of it are looked at, a line
that is none of the known ones says nothing, and a number that is too long is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgenet.errors import GateFailed

LIMIT_BYTES = 4 << 20  # a search over a large graph prints the tensors of each try
LIMIT_MODELS = 256
LONGEST_TOLD = 300
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(B|KiB|MiB|GiB)", re.ASCII)
VERSION = re.compile(r"Edge TPU Compiler version (\d{1,9}(?:\.\d{1,12}){1,3})", re.ASCII)
COMPILED = re.compile(r"Models? compiled successfully in (\d{1,12}) ms[.!]?", re.ASCII)
WHOLE = re.compile(r"\d{1,9}", re.ASCII)
# What stands before the colon -> the field. Version 2.0 says "available", later ones "remaining".
SIZES = {
    "Input size": "input_bytes",
    "Output size": "output_bytes",
    "On-chip memory used for caching model parameters": "cached_bytes",
    "On-chip memory remaining for caching model parameters": "remaining_bytes",
    "On-chip memory available for caching model parameters": "available_bytes",
    "Off-chip memory used for streaming uncached model parameters": "streamed_bytes",
}
COUNTS = {
    "Number of Edge TPU subgraphs": "subgraphs",
    "Total number of operations": "operations",
    "Number of operations that will run on Edge TPU": "mapped_operations",
    "Number of operations that will run on CPU": "cpu_operations",
}


@dataclass
class ModelLog:
    """What is printed of one model; sizes as they are rounded there. What is not printed is missing in `numbers`."""

    input_name: str
    numbers: dict[str, int] = field(default_factory=dict)  # by the names in SIZES and COUNTS


@dataclass(frozen=True)
class CompilerLog:
    """What the compiler printed; "" and None where it did not come to that."""

    version: str
    compile_s: float | None  # None: it does not say that it compiled
    models: tuple[ModelLog, ...]

    def of(self, name: str) -> dict[str, int]:
        """Return the numbers of the model with a file name, none where it is not told of."""
        found = (row.numbers for row in self.models if row.input_name.rpartition("/")[2] == name)
        return next(found, {})


def parse_log(content: bytes) -> CompilerLog:
    """Return what the compiler printed; text that is none of its own gives an empty log."""
    version, compile_s = "", None
    models: list[ModelLog] = []
    for line in lines(content):
        if found := VERSION.fullmatch(line):
            version = found[1]
        elif found := COMPILED.fullmatch(line):
            compile_s = int(found[1]) / 1000
        name, colon, value = line.partition(": ")
        if name == "Input model" and colon and len(models) < LIMIT_MODELS:
            models.append(ModelLog(value[:LONGEST_TOLD]))
        elif models:
            _take(models[-1].numbers, name, value)
    return CompilerLog(version, compile_s, tuple(models))


def lines(content: bytes) -> list[str]:
    """Return the lines of the part of a log that is looked at, without blanks at their ends and what moves a cursor."""
    text = content[:LIMIT_BYTES].decode("utf-8", "replace")
    return ["".join(letter if letter.isprintable() else " " for letter in line).strip() for line in text.splitlines()]


def parse_version(content: bytes) -> str:
    """Return the version that `--version` printed; raise GateFailed where it is no Edge TPU compiler."""
    version = parse_log(content).version
    if version:
        return version
    told = " ".join(lines(content[:LONGEST_TOLD]))
    raise GateFailed(
        f"what was called does not say that it is the Edge TPU compiler, but {told!r}",
        allowed="Edge TPU Compiler version N",
        mend="name another one with --compiler",
    )


def _take(numbers: dict[str, int], name: str, value: str) -> None:
    if name in SIZES and (found := SIZE.fullmatch(value)):
        numbers[SIZES[name]] = round(float(found[1]) * UNITS[found[2]])
    elif name in COUNTS and WHOLE.fullmatch(value):
        numbers[COUNTS[name]] = int(value)
