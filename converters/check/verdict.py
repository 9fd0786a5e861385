"""What is said of one op: where it will run, why, and what would change that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Place(IntEnum):
    """Where an op will run; the greater number is the worse place."""

    ACCELERATED = 0
    UNCERTAIN = 1  # the published rules leave it open: never guessed
    CPU = 2

    @property
    def words(self) -> str:
        """Return the place as tables show it."""
        return ("mapped", "may be unmapped", "CPU")[self]


@dataclass(frozen=True)
class Finding:
    """A rule that an op breaks, or may break; `whole_file` where the target then takes nothing of the file."""

    place: Place
    reason: str
    mend: str = ""
    whole_file: bool = False


@dataclass(frozen=True)
class Verdict:
    """Where one op will run; `reason` is empty for one that the target takes."""

    place: Place
    reason: str = ""
    mend: str = ""
    own: bool = True  # False: it is another op, before this one, that decides


TAKEN = Verdict(Place.ACCELERATED)


def cpu(reason: str, mend: str = "") -> Finding:
    """Return that the target does not take an op."""
    return Finding(Place.CPU, reason, mend)


def uncertain(reason: str, mend: str = "") -> Finding:
    """Return that no published rule says whether the target takes an op."""
    return Finding(Place.UNCERTAIN, reason, mend)


def refused(reason: str, mend: str = "") -> Finding:
    """Return that the target's tool refuses the whole file for this op."""
    return Finding(Place.CPU, reason, mend, whole_file=True)
