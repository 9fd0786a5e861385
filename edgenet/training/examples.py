"""Labelled images as a training knows them: where each lies, its class, and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgenet.errors import InputError
from edgenet.photos import Skipped

Part = Literal["train", "val"]
PARTS: tuple[Part, ...] = ("train", "val")
MOST_CLASSES = 100_000
SHOWN = 5  # names in one message


@dataclass(frozen=True)
class Example:
    """An image with its class: a whole file, or `length` bytes from `offset` of one."""

    name: str
    class_index: int
    path: Path
    part: Part | None = None  # None: the split is ours to make
    offset: int = 0
    length: int | None = None

    def read(self) -> bytes:
        """Return the image's bytes as they are stored."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read() if self.length is None else file.read(self.length)


@dataclass(frozen=True)
class ExampleSet:
    """Every example in the order of its name, the classes' names by index, and what was passed over."""

    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...]
    rule: str


def checked_classes(found: ExampleSet) -> ExampleSet:
    """Return the set if it has two classes or more and none of them is empty; raise InputError."""
    if len(found.labels) < 2:
        raise InputError(
            f"there is one class only: {some(found.labels)}",
            allowed="two classes or more",
            mend="one folder a class, below --data",
        )
    for part in PARTS if any(example.part for example in found.examples) else (None,):
        present = {example.class_index for example in found.examples if part in (None, example.part)}
        empty = [label for index, label in enumerate(found.labels) if index not in present]
        if empty:
            where = f" of {part}" if part else ""
            what = f"{len(empty)} classes{where} have no image: {some(empty)}"
            raise InputError(what, allowed="an image or more in each class", mend="fill them or take them away")
    return found


def some(names: Sequence[str]) -> str:
    """Return the first few names for a message."""
    shown = ", ".join(repr(name[:80]) for name in names[:SHOWN]) or "none"
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
