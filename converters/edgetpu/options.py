"""What the Edge TPU compiler is asked for, and its command line for that (coral.ai, Edge TPU Compiler, table 1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgenet.errors import InputError

OUT = "out"  # the folder that the compiler writes to
MOST_SEGMENTS = 64
RUNTIMES = (10, 99)  # 10 was the first published one
SEARCHING = (16,)  # the version that brought --search_delegate and --timeout_sec
COMPILED_ENDING = "_edgetpu.tflite"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class CompilerOptions:
    """What one call of the compiler is asked for; 0 and () leave the choice to it."""

    timeout_s: float
    segments: int = 1
    minimum_runtime: int = 0
    search: bool = False  # try ever smaller beginnings of the graph until one compiles
    intermediate: tuple[str, ...] = ()  # tensors at which the part on the chip ends

    def __post_init__(self) -> None:
        """Refuse what no compiler takes; raise InputError."""
        low, high = RUNTIMES
        if not 1 <= self.segments <= MOST_SEGMENTS:
            raise InputError(f"--segments cannot be {self.segments}", allowed=f"1 to {MOST_SEGMENTS}")
        if self.minimum_runtime and not low <= self.minimum_runtime <= high:
            raise InputError(f"--min-runtime cannot be {self.minimum_runtime}", allowed=f"{low} to {high}")
        for name in self.intermediate:
            if not name or not name.isprintable() or "," in name or name.startswith("-"):
                raise InputError(
                    f"--intermediate cannot have {name!r}", allowed="names of tensors, with commas between"
                )
        if self.search and self.intermediate:
            raise InputError("--search beside --intermediate", mend="drop one: the search finds the tensors itself")
        if self.segments > 1 and self.intermediate:
            raise InputError("--segments beside --intermediate", mend="drop one: a pipeline needs the whole network")


def arguments(options: CompilerOptions, version: str, models: Sequence[str]) -> list[str]:
    """Return the compiler's arguments for models in its folder; raise InputError for what an old one cannot."""
    words = ["-o", OUT]
    if known(version) >= SEARCHING:
        words += ["-t", str(round(options.timeout_s))]
    if options.segments > 1:
        words += ["-n", str(options.segments)]
    if options.minimum_runtime:
        words += ["-m", str(options.minimum_runtime)]
    if options.search:
        if known(version) < SEARCHING:
            raise InputError(f"--search with compiler {version}, which cannot", allowed="16.0 or newer")
        words += ["-d"]
    if options.intermediate:
        words += ["-i", ",".join(options.intermediate)]
    return [*words, *models]


def known(version: str) -> tuple[int, ...]:
    """Return a version's numbers: 16.0.384591198 is (16, 0, 384591198)."""
    return tuple(int(word) for word in version.split("."))


def output_names(model: str, segments: int) -> list[tuple[str, str]]:
    """Return what the compiler calls its file and its operation log of a model, one pair a segment."""
    stem = model.removesuffix(".tflite")
    parts = [f"_segment_{index}_of_{segments}" for index in range(segments)] if segments > 1 else [""]
    return [(f"{stem}{part}{COMPILED_ENDING}", f"{stem}{part}_edgetpu.log") for part in parts]


def working_names(stems: Sequence[str]) -> list[str]:
    """Return names that no shell, log or option parser trips over: the stems themselves where they are such."""
    return [
        f"{stem if PLAIN_NAME.fullmatch(stem) else f'model-{number}'}.tflite" for number, stem in enumerate(stems, 1)
    ]
