"""The first thing in a document that does not fit its record, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_fault(error: ValidationError, whole: str = "the document") -> str:
    """Return where the first fault stands and what it is; `whole` is what a fault of no single key is told of."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"
