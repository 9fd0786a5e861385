"""One labelled image: where its bytes lie, and its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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


def some(names: Sequence[str]) -> str:
    """Return the first few names for a message."""
    shown = ", ".join(repr(name[:80]) for name in names[:SHOWN]) or "none"
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
