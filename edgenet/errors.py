"""What can go wrong for a reason the user can mend.

EdgenetError
├── GateFailed    exit 1   a check ran and the result is below the bar
├── InputError    exit 2   a flag, a file or a value is not acceptable
└── MissingError  exit 3   a tool, weights or a device is not here

The command line turns these, and only these, into one line and an exit code; anything else is a bug and keeps
its traceback.
"""

from typing import ClassVar


class EdgenetError(Exception):
    """A failure with what happened (the value included), what is allowed, and the mend."""

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, allowed: str = "", mend: str = "") -> None:
        self.what = what
        self.allowed = allowed
        self.mend = mend
        parts = [what, f"allowed: {allowed}" if allowed else "", mend]
        super().__init__("; ".join(part for part in parts if part))


class GateFailed(EdgenetError):
    """A measured result is below the gate that was asked for."""

    exit_code = 1


class InputError(EdgenetError):
    """A flag, a file or a value cannot be accepted."""

    exit_code = 2


class MissingError(EdgenetError):
    """A tool, weights or a device is not available here."""

    exit_code = 3
