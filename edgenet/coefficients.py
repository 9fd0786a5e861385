"""Coefficients of compound scaling as a record, with TOML as their file form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgenet.errors import InputError
from edgenet.toml_file import Record, parse_record
from edgenet.variants import (
    ALPHA_DEPTH,
    BETA_WIDTH,
    GAMMA_RESOLUTION,
    MOST_FACTOR,
    ScaledBase,
    Variant,
    scaled,
)

COEFFICIENTS_NAME = "scaling.toml"
Factor = Annotated[float, Field(ge=1, le=MOST_FACTOR)]


class Coefficients(Record):
    """What each step of phi multiplies: depth by alpha, width by beta, side by gamma; `base` is the variant at 0."""

    schema_version: Literal[1] = 1
    base: ScaledBase
    alpha: Factor
    beta: Factor
    gamma: Factor

    def variant(self, phi: float) -> Variant:
        """Return the variant at `phi`; raise InputError for a side that is too large."""
        return scaled(phi, self.alpha, self.beta, self.gamma, self.base)

    @property
    def product(self) -> float:
        """Return alpha * beta^2 * gamma^2: what one step of phi multiplies the work by, but for rounding."""
        return float(self.alpha * self.beta**2 * self.gamma**2)

    @property
    def title(self) -> str:
        """Return them for people."""
        return f"alpha {self.alpha:g}, beta {self.beta:g}, gamma {self.gamma:g}"

    @property
    def spelling(self) -> str:
        """Return how `scaled:PHI` is written with them, PHI left open."""
        return self.variant(0).name.replace("scaled-0", "scaled:PHI")


def paper(base: ScaledBase) -> Coefficients:
    """Return the coefficients of arXiv 1905.11946."""
    return Coefficients(base=base, alpha=ALPHA_DEPTH, beta=BETA_WIDTH, gamma=GAMMA_RESOLUTION)


def read_coefficients(path: Path) -> Coefficients:
    """Read a scaling.toml, or that of a folder; raise InputError for one that is missing or none."""
    file = path / COEFFICIENTS_NAME if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the coefficients {file}: {error.strerror}", mend="edgenet scale --search writes them"
        ) from error
    return parse_record(Coefficients, content, str(file), "coefficients")


def pack_coefficients(coefficients: Coefficients, found_by: str) -> bytes:
    """Return a scaling.toml's bytes; `found_by` is a line on where the numbers come from."""
    lines = [
        f"# {found_by}",
        "schema_version = 1",
        f'base = "{coefficients.base}"  # the variant at phi 0',
        f"alpha = {float(coefficients.alpha)!r}  # depth, for each step of phi",
        f"beta = {float(coefficients.beta)!r}  # width",
        f"gamma = {float(coefficients.gamma)!r}  # side",
    ]
    return ("\n".join(lines) + "\n").encode()
