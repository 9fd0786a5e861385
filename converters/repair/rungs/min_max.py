"""Ranges from minimum to maximum, weights to the nearest step: what the usual tools write. For the record."""

from collections.abc import Iterator

from converters.repair.climb import Climb
from converters.repair.recipe import Recipe


def propose(climb: Climb) -> Iterator[Recipe]:
    """Yield the recipe of the usual tools."""
    del climb
    yield Recipe("minmax", bias_correction=False, rounding="nearest")
