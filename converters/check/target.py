"""What is published of a target: its data file, targets/NAME.toml, read into a strict record."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field

from edgenet.toml_file import Record, parse_record

Whole = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]


class OperatorRule(Record):
    """What a target asks of one operator."""

    versions: Whole  # up to this one it is known
    uncertain_versions: Whole | None = None  # up to this one nothing published says
    rules: Annotated[list[str], Field(default_factory=list)]  # names of functions in the target's module
    uncertain: str = ""  # why nothing is certain of this operator


class Memory(Record):
    """The memory on the chip; `activation_share` is what the compiler needs of the bytes that tensors take at most."""

    on_chip_bytes: Whole
    activation_share: Positive


class Bus(Record):
    """A way from the host to the chip, with the host that it was measured on; fitted, not published."""

    title: str
    overhead_s: Positive
    bytes_per_s: Positive
    cpu_macs_per_s: Positive
    median_error: Positive  # leave-one-out, of the latency


class EstimateData(Record):
    """What a latency is estimated with."""

    cycle_s: Positive
    buses: dict[str, Bus]


class Target(Record):
    """One accelerator, as published; a source for whatever is said of it."""

    title: str
    accelerator: str  # what tables call the place
    sources: dict[str, str]
    types: list[str]  # of activations
    rules: list[str]  # that hold for every operator
    unknown_version: Literal["op", "file"]  # what is refused for an operator of a newer version
    operators: dict[str, OperatorRule]
    mends: dict[str, str]  # for operators that the target does not take, by name
    notes: dict[str, str] = Field(default_factory=dict)  # what to know of an operator that is taken
    memory: Memory | None = None
    estimate: EstimateData | None = None


@cache
def read_target(name: str) -> Target:
    """Return the data of a shipped target."""
    content = (resources.files("converters") / "check" / "targets" / f"{name}.toml").read_bytes()
    return parse_target(content, f"{name}.toml")


def parse_target(content: bytes, name: str) -> Target:
    """Parse a target's data file; raise InputError with the first thing that is wrong in it."""
    return parse_record(Target, content, name, "target")
