"""Images that cannot be used: the first ones by name, all of them counted, and how many are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgenet.errors import InputError
from edgenet.labelled.example import SHOWN
from edgenet.photos import Skipped

KEPT = 100  # names; all are counted


@dataclass
class SkippedCount:
    """How many images were passed over, and the first of them."""

    count: int = 0
    first: list[Skipped] = field(default_factory=list)

    def add(self, rows: Iterable[Skipped]) -> None:
        """Count more of them."""
        for row in rows:
            self.count += 1
            if len(self.first) < KEPT:
                self.first.append(row)

    def __iter__(self) -> Iterator[Skipped]:
        """Yield the first ones."""
        return iter(self.first)


def refuse_too_many(unreadable: SkippedCount, images: int, max_share: float, where: str) -> None:
    """Raise InputError, which names the first, if too large a share of `images` cannot be decoded.

    `where` says what the limit is called.
    """
    if unreadable.count <= max_share * images:
        return
    named = "; ".join(f"{row.name}: {row.reason}" for row in unreadable.first[:SHOWN])
    rest = f" and {unreadable.count - SHOWN} more" if unreadable.count > SHOWN else ""
    raise InputError(
        f"{unreadable.count} of {images} images cannot be used: {named}{rest}",
        allowed=f"{100 * max_share:g} % ({where})",
        mend="mend or remove them",
    )
