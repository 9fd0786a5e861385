"""Kernel sums kept and biases corrected by the measured means: `compensate.py`, free of cost in the file."""

from collections.abc import Iterator
from dataclasses import replace

from converters.repair.climb import Climb
from converters.repair.recipe import Recipe


def propose(climb: Climb) -> Iterator[Recipe]:
    """Yield the recipe of a plain w8a8 file: what `--int8` writes without a repair."""
    yield replace(climb.best.made.recipe, bias_correction=True, rounding="kernel_sums")
