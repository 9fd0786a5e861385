"""A model as it came, opened: its graph as nodes, and the model itself ready to run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.foreign.nodes import Node
from edgenet.errors import InputError

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Original:
    """The output of the graph, and `run`: an image [1, side, side, 3] as the model takes it -> its answer [classes]."""

    title: str
    output: Node
    run: Run
    beside: tuple[str, ...] = ()  # other files in the same folder that hold weights of it


def square_side(height: Any, width: Any) -> int:
    """Return the side of an input of the given sides, 0 where neither is fixed; raise InputError if not square."""
    sides = {side if isinstance(side, int) and side > 0 else 0 for side in (height, width)}
    if len(sides) > 1:
        raise InputError(f"the model's image is {height} x {width}", allowed="a square, or sides that are not fixed")
    return sides.pop()
