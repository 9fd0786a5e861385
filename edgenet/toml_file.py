"""Read a TOML file with messages that name the place, and the strict record that its tables have to fit."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edgenet.errors import InputError
from edgenet.first_fault import first_fault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Parsed = TypeVar("Parsed", bound=Record)


def parse_record(record: type[Parsed], content: bytes, name: str, kind: str) -> Parsed:
    """Parse the TOML of a shipped `kind` of record; raise InputError with the first thing that is wrong in it."""
    try:
        return record.model_validate(parse_toml(content, name))
    except ValidationError as error:
        fault = first_fault(error, f"the {kind}")
        raise InputError(f"{name}: {fault}", mend=f"see the shipped {kind}s") from error


def read_toml(path: Path) -> dict[str, object]:
    """Return what a TOML file holds; raise InputError for one that cannot be read or is no TOML."""
    try:
        return parse_toml(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}", mend="change its permissions, or delete it"
        ) from error


def parse_toml(content: bytes, name: str) -> dict[str, object]:
    """Return what TOML text holds; raise InputError that names the line."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text", mend="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is no TOML: {error}", mend="mend that line") from error
    except RecursionError:
        raise InputError(f"{name} is nested too deep", allowed="tables of plain values") from None


def line_of(text: str, word: str) -> str:
    """Return "line N: " of the first line of a TOML text that a key begins or a quoted value stands in, "" for none."""
    key = re.compile(rf"""\s*["']?{re.escape(word)}["']?\s*=|\s*\[+[^\]]*\b{re.escape(word)}["']?\s*\]""")
    value = re.compile(rf"""=.*["']{re.escape(word)}["']|^\s*["']{re.escape(word)}["']""")
    lines = text.splitlines()
    for pattern in (key.match, value.search):
        for number, line in enumerate(lines, 1):
            if pattern(line):
                return f"line {number}: "
    return ""
