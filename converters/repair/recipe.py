"""A recipe: everything that is chosen between a float network and its w8a8 file, as a record and as TOML.

The same network, calibration images and recipe give the same bytes. The repair ladder proposes recipes; `--recipe FILE`
takes one that was written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from converters.ranges import RangeMethod
from edgenet.errors import InputError
from edgenet.toml_file import Record, parse_toml, read_toml

SCHEMA_VERSION = 1
# nearest: each weight to the nearest step. kernel_sums: the sum of each k x k kernel is kept (compensate.py).
# learned: each layer's weights are fitted to what the quantized layers before it hand on (learned_rounding.py).
Rounding = Literal["nearest", "kernel_sums", "learned"]
# fp32: float weights and arithmetic. w8: float arithmetic on the 8-bit weights. w8a16: 16-bit activations, for NPUs.
LayerPrecision = Literal["fp32", "w8", "w8a16"]
LayerOp = Literal["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]


@dataclass(frozen=True)
class LayerRule:
    """Layers by a pattern of their names (`blocks.0.*`), by their op, or both, and what is other for them.

    Where several rules fit a layer, the last one that says something counts.
    """

    layers: str
    precision: LayerPrecision | None = None  # None: 8 bits, like the rest
    rounding: Rounding | None = None  # None: that of the recipe
    op: str = ""  # CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED; "": any


@dataclass(frozen=True)
class Recipe:
    """How a w8a8 file is made."""

    ranges: RangeMethod
    bias_correction: bool = True
    rounding: Rounding = "kernel_sums"
    equalize: tuple[str, ...] = ()  # patterns of layers whose channels are brought to one size
    rules: tuple[LayerRule, ...] = ()

    @property
    def in_8_bits(self) -> Recipe:
        """Return the recipe without what leaves 8 bits."""
        return replace(self, rules=tuple(replace(rule, precision=None) for rule in self.rules if rule.rounding))

    @property
    def form(self) -> Recipe:
        """Return the recipe of a file with the same ops, whatever their constants: all that leaves 8 bits as here."""
        rules = tuple(replace(rule, rounding=None) for rule in self.rules if rule.precision)
        return Recipe("minmax", equalize=self.equalize, rules=rules)

    @property
    def toml(self) -> str:
        """Return the recipe as the text of a file that `--recipe` takes."""
        names = ", ".join(_quoted(name) for name in self.equalize)
        lines = [
            f"schema_version = {SCHEMA_VERSION}",
            f'ranges = "{self.ranges}"',
            f"bias_correction = {str(self.bias_correction).lower()}",
            f'rounding = "{self.rounding}"',
            f"equalize = [{names}]",
        ]
        for rule in self.rules:
            lines += ["", "[[layer]]", f"name = {_quoted(rule.layers)}"]
            for key, value in (("op", rule.op), ("precision", rule.precision), ("rounding", rule.rounding)):
                lines += [f'{key} = "{value}"'] if value else []
        return "\n".join(lines) + "\n"


class _Layer(Record):
    name: Annotated[str, Field(min_length=1)] = "*"
    op: LayerOp | None = None
    precision: LayerPrecision | None = None
    rounding: Rounding | None = None

    @model_validator(mode="after")
    def _says_something(self) -> _Layer:
        if self.precision is None and self.rounding is None:
            raise ValueError("neither precision nor rounding")
        return self


class _Document(Record):
    schema_version: Literal[1]
    ranges: RangeMethod
    bias_correction: bool = True
    rounding: Rounding = "kernel_sums"
    equalize: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    layer: list[_Layer] = Field(default_factory=list)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file; raise InputError that names what is wrong in it."""
    if not path.is_file():
        raise InputError(f"cannot read the recipe {path}: no such file", mend="edgenet convert --int8 prints one")
    return _parsed(read_toml(path), path.name)


def recipe_of_text(text: str) -> Recipe:
    """Parse the recipe that a manifest holds; raise InputError that names what is wrong in it."""
    return _parsed(parse_toml(text.encode(), "the manifest's recipe"), "the manifest's recipe")


def _parsed(table: dict[str, object], name: str) -> Recipe:
    try:
        document = _Document.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{name}: {place}: {first['msg']}, not {first['input']!r}",
            allowed=f"ranges: {_listed(RangeMethod)}; rounding: {_listed(Rounding)}; "
            f"precision: {_listed(LayerPrecision)}; op: {_listed(LayerOp)}",
            mend="edgenet convert --int8 prints a recipe to start from",
        ) from error
    rules = tuple(LayerRule(row.name, row.precision, row.rounding, row.op or "") for row in document.layer)
    return Recipe(document.ranges, document.bias_correction, document.rounding, tuple(document.equalize), rules)


def matching(pattern: str, names: Iterable[str], what: str) -> list[str]:
    """Return the names that a pattern fits; raise InputError if it fits none of them."""
    names = list(names)
    # Other tools' layer names may hold characters that mean something in a pattern.
    found = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        some = ", ".join(names[:4]) or "none"
        raise InputError(
            f"the recipe's {pattern!r} is no {what}", allowed=f"{some}, ..., or a pattern: blocks.0.*",
            mend="edgenet info VARIANT --layers names them",
        )  # fmt: skip
    return found


def layer_precisions(recipe: Recipe, ops: Mapping[str, str]) -> dict[str, LayerPrecision]:
    """Return the layers that leave 8 bits, of those whose ops are given; raise InputError for a rule that fits none."""
    return {name: rule.precision for rule in recipe.rules for name in _fitting(rule, ops) if rule.precision}


def layer_roundings(recipe: Recipe, ops: Mapping[str, str]) -> dict[str, Rounding]:
    """Return how the weights of each layer are rounded; raise InputError for a rule that fits no layer."""
    own = {name: rule.rounding for rule in recipe.rules for name in _fitting(rule, ops) if rule.rounding}
    return dict.fromkeys(ops, recipe.rounding) | own


def _fitting(rule: LayerRule, ops: Mapping[str, str]) -> list[str]:
    names = [name for name, op in ops.items() if rule.op in ("", op)]
    if not names:
        known = ", ".join(sorted(set(ops.values())))
        raise InputError(f"the recipe's op {rule.op} is that of no layer", allowed=known, mend="take the rule out")
    return matching(rule.layers, names, "layer" if not rule.op else f"layer of the op {rule.op}")


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _listed(literal: object) -> str:
    return ", ".join(get_args(literal))
