"""Profiles of known boards and phones: published facts, each with the document that says so, in profiles/*.toml.

They are for reading beside measurements and for matching a device's own name; no measurement uses them.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgenet.errors import InputError
from edgenet.toml_file import Record, parse_record

FactName = Literal[
    "soc",
    "processor",
    "architecture",
    "cores",
    "max_frequency_hz",
    "memory_bytes",
    "accelerator",
    "usb",
    "throttle_c",
    "soft_limit_c",
    "governor",
    "cooling",
    "power",
]
TEXTS = ("soc", "processor", "architecture", "accelerator", "usb", "governor", "cooling", "power")
LISTS = ("memory_bytes", "max_frequency_hz")  # one a memory option, one a kind of core
# What a board adds to its name for each revision of its circuit.
REVISION = re.compile(r" rev [0-9.]+$")


class Fact(Record):
    """A value with the key of its source."""

    value: str | int | Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)]
    source: str


class Profile(Record):
    """What is published of one kind of device; frequencies in Hz, memory in bytes, temperatures in degrees Celsius."""

    title: str
    models: list[str]  # what the device calls itself, without the revision; empty for what is no device by itself
    sources: dict[str, str]  # key -> the document and where it is
    facts: Annotated[dict[FactName, Fact], Field(min_length=1)]

    @model_validator(mode="after")
    def _facts_fit(self) -> Profile:
        for name, fact in self.facts.items():
            expected = str if name in TEXTS else list if name in LISTS else int
            if not isinstance(fact.value, expected):
                raise ValueError(f"{name} has to be of type {expected.__name__}")
        used = {fact.source for fact in self.facts.values()}
        if used != set(self.sources):
            raise ValueError(f"sources named or used only: {', '.join(sorted(used ^ set(self.sources)))}")
        return self


@cache
def profiles() -> dict[str, Profile]:
    """Return all shipped profiles by name, sorted."""
    files = (resources.files("devices") / "profiles").iterdir()
    texts = {file.name.removesuffix(".toml"): file.read_bytes() for file in files if file.name.endswith(".toml")}
    return {name: parse_profile(texts[name], f"{name}.toml") for name in sorted(texts)}


def parse_profile(content: bytes, name: str) -> Profile:
    """Parse a profile; raise InputError with the first thing that is wrong in it."""
    return parse_record(Profile, content, name, "profile")


def find_profile(name: str) -> Profile:
    """Return a profile by its name; raise InputError for an unknown one."""
    known = profiles()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        mend = f"did you mean {close[0]}?" if close else "edgenet devices profiles shows them all"
        raise InputError(f"unknown profile {name!r}", allowed=", ".join(known), mend=mend)
    return known[name]


def match(model: str) -> str:
    """Return the name of the profile of what a device calls itself, "" where none is known.

    `model` is the device tree's, or Android's ro.product.model. Names have to be equal but for the revision: a Pixel 6
    Pro is no Pixel 6.
    """
    wanted = REVISION.sub("", model.strip("\0 ").casefold())
    found = (name for name, profile in profiles().items() if wanted in map(str.casefold, profile.models))
    return next(found, "")
