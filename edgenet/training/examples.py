"""Labelled images as a training knows them: all of them, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass

from edgenet.errors import InputError
from edgenet.labelled.example import PARTS, Example, some
from edgenet.photos import Skipped


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
