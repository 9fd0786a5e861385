"""The grid of coefficients that a search tries: every triple of a TOML file's values that keeps the constraint."""

from __future__ import annotations

from importlib import resources
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgenet.coefficients import Coefficients, Factor
from edgenet.errors import InputError
from edgenet.toml_file import Record, parse_record
from edgenet.variants import ScaledBase

GRID_NAME = "grid.toml"
FEWEST, MOST = 2, 200  # candidates
Values = Annotated[list[Factor], Field(min_length=1, max_length=50)]


class Grid(Record):
    """Values of each factor, and what alpha * beta^2 * gamma^2 has to be within `tolerance`."""

    schema_version: Literal[1] = 1
    alpha: Values
    beta: Values
    gamma: Values
    product: Annotated[float, Field(ge=1, le=16)]
    tolerance: Annotated[float, Field(ge=0, le=1)]


def shipped_grid() -> str:
    """Return the TOML of the grid that edgenet brings along."""
    return resources.files("edgenet.scaling").joinpath(GRID_NAME).read_text(encoding="utf-8")


def read_grid_text(path: Path) -> str:
    """Return the text of a grid of the user's own; raise InputError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the grid {path}: {reason}", mend="check --grid") from error


def candidates(text: str, name: str, base: ScaledBase) -> tuple[Coefficients, ...]:
    """Return the candidates of a grid's TOML in its order; raise InputError for a grid with less than two."""
    grid = parse_record(Grid, text.encode(), name, "grid")
    rows = (
        Coefficients(base=base, alpha=alpha, beta=beta, gamma=gamma)
        for alpha, beta, gamma in product(*(sorted(set(values)) for values in (grid.alpha, grid.beta, grid.gamma)))
    )
    found = tuple(row for row in rows if abs(row.product - grid.product) <= grid.tolerance)
    if not FEWEST <= len(found) <= MOST:
        raise InputError(
            f"{name}: {len(found)} triples have alpha * beta^2 * gamma^2 within {grid.tolerance:g} of {grid.product:g}",
            allowed=f"{FEWEST} to {MOST} of them",
            mend="add values, or change the tolerance",
        )
    return found
