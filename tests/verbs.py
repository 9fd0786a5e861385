"""Run a verb of the command line inside the test's process, and look at all that it gave."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgenet.__main__ import main


@dataclass(frozen=True)
class Outcome:
    """An exit code, and what was printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Return what --json gave."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Run = Callable[..., Outcome]


def verb(name: str, capture: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a verb with the words it is given."""

    def run(*arguments: str | Path) -> Outcome:
        code = main([name, *map(str, arguments)])
        out, err = capture.readouterr()
        return Outcome(code, out, err)

    return run
