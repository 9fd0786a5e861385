"""Ranges of least squared error, after the swish where a tensor feeds one."""

from collections.abc import Iterator
from dataclasses import replace

from converters.calibrate import METHODS
from converters.repair.climb import Climb
from converters.repair.recipe import Recipe


def propose(climb: Climb) -> Iterator[Recipe]:
    """Yield each way of choosing ranges that suits the calibration images."""
    recipe = climb.best.made.recipe
    for method in METHODS[climb.bench.images.manifest.kind]:
        if method != recipe.ranges:
            yield replace(recipe, ranges=method)
