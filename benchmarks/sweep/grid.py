"""What a sweep is to do: variants, precisions, devices and what goes with them, from TOML or from flags."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from benchmarks.protocol import parse_protocol
from benchmarks.result import ProtocolRecord
from converters.calibration_source import BUILTIN
from converters.check.check import find_accelerator
from devices.inventory import resolve
from edgenet.errors import InputError
from edgenet.named_variant import named_variant
from edgenet.precision import Precision, parse_precisions
from edgenet.toml_file import Record, line_of, parse_toml

AUTO = "auto"
Count = Annotated[int, Field(ge=1, le=64)]
Words = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has lists
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]


class BenchmarkTable(Record):
    """`[benchmark]`: how devices are measured; see the flags of `edgenet benchmark`."""

    protocol: str = "standard"
    threads: Annotated[tuple[Count, ...], Field(strict=False, min_length=1)] = (1,)
    delegate: str = ""
    cooldown_s: Seconds | None = None
    timeout_s: Annotated[float, Field(ge=1, le=86400)] = 120.0


class SweepTable(Record):
    """A sweep.toml as it is written; paths in it are relative to its folder."""

    variants: Annotated[Words, Field(min_length=1)]
    precisions: Annotated[Words, Field(min_length=1)] = ("fp32", "w8a8")
    devices: Words = ()
    data: str = ""
    calib: str = BUILTIN
    samples: Annotated[int, Field(ge=16, le=100_000)] = 200
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    weights: str | dict[str, str] = AUTO
    check: Words = ()
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.01
    benchmark: BenchmarkTable = BenchmarkTable()


@dataclass(frozen=True)
class Grid:
    """A sweep in plain values; `weights` has one choice a variant, in their order, and `data` is "" for none."""

    variants: tuple[str, ...]
    precisions: tuple[Precision, ...]
    devices: tuple[str, ...]
    weights: tuple[str, ...]
    data: str
    calib: str
    samples: int
    seed: int
    targets: tuple[str, ...]
    max_unreadable: float
    protocol: ProtocolRecord
    threads: tuple[int, ...]
    delegate: str
    timeout_s: float

    def cells(self) -> list[tuple[str, Precision, str | None]]:
        """Return variant, precision and device of every cell, in the order that results have them."""
        devices: tuple[str | None, ...] = self.devices or (None,)
        return list(product(self.variants, self.precisions, devices))


@dataclass(frozen=True)
class _Source:
    """Where a table comes from: its file's name and text for messages, "" for flags, and the folder of its paths."""

    folder: Path
    name: str = ""
    text: str = ""

    def refused(self, word: str, what: str, allowed: str = "", mend: str = "") -> InputError:
        """Return the error that names the line in which a word stands."""
        place = f"{self.name}: {line_of(self.text, word)}" if self.name else ""
        return InputError(place + what, allowed=allowed, mend=mend)

    @contextmanager
    def at(self, word: str) -> Iterator[None]:
        """Put the line in which a word stands before what is wrong with it."""
        try:
            yield
        except InputError as error:
            raise self.refused(word, error.what, error.allowed, error.mend) from error

    def path(self, text: str) -> str:
        """Return a path or a pattern as an absolute one; "" stays. Raise InputError for what is not there."""
        if not text:
            return ""
        path = str(self.folder.absolute() / Path(text).expanduser())
        if not glob.glob(path) and not Path(path).exists():  # noqa: PTH207  # Path.glob takes no absolute pattern
            raise self.refused(text, f"{text!r} does not exist", mend="check the path")
        return path


def read_grid(path: Path) -> Grid:
    """Read a sweep.toml; raise InputError that names the line of what cannot be accepted."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", mend="name a sweep.toml, or use flags") from error
    values = parse_toml(content, str(path))
    source = _Source(path.parent, str(path), content.decode("utf-8-sig"))
    return _grid(_table(values, source), source)


def grid_of_values(values: Mapping[str, object]) -> Grid:
    """Return the grid of values by the keys of a sweep.toml, from flags or a script; raise InputError."""
    source = _Source(Path())
    return _grid(_table(values, source), source)


def _table(values: Mapping[str, object], source: _Source) -> SweepTable:
    try:
        return SweepTable.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        words = [str(part) for part in first["loc"] if not str(part).startswith(("str", "dict["))]
        keys = BenchmarkTable.model_fields if words[0] == "benchmark" else SweepTable.model_fields
        allowed = ", ".join(keys) if first["type"] == "extra_forbidden" else ""
        key = next(word for word in reversed(words) if not word.isdigit())
        raise source.refused(key, f"{'.'.join(words)}: {first['msg']}", allowed) from error


def _grid(table: SweepTable, source: _Source) -> Grid:
    variants = _variants(table, source)
    _check_devices(table, source)
    for target in table.check:
        with source.at(target):
            find_accelerator(target)
    with source.at("precisions"):
        precisions = parse_precisions(",".join(table.precisions))
    with source.at("protocol"):
        protocol = parse_protocol(table.benchmark.protocol, table.benchmark.cooldown_s)
    return Grid(
        variants=variants,
        precisions=precisions,
        devices=_once(table.devices, source),
        weights=_weights(table, variants, source),
        data=source.path(table.data),
        calib=table.calib if table.calib == BUILTIN else source.path(table.calib),
        samples=table.samples,
        seed=table.seed,
        targets=_once(table.check, source),
        max_unreadable=table.max_unreadable,
        protocol=protocol,
        threads=tuple(dict.fromkeys(table.benchmark.threads)),
        delegate=table.benchmark.delegate,
        timeout_s=table.benchmark.timeout_s,
    )


def _check_devices(table: SweepTable, source: _Source) -> None:
    names: dict[str, str] = {}
    for device in table.devices:
        with source.at(device):
            address = str(resolve(device)[0])
        if address in names and names[address] != device:
            what = f"{names[address]} and {device} are one device, {address}"
            raise source.refused(device, what, mend="name it once")
        names[address] = device


def _variants(table: SweepTable, source: _Source) -> tuple[str, ...]:
    names = []
    for text in table.variants:
        with source.at(text):
            names.append(named_variant(text).name)
    return _once(names, source)


def _once(names: Sequence[str], source: _Source) -> tuple[str, ...]:
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise source.refused(twice[0], f"{twice[0]} is named twice", mend="name it once")
    return tuple(names)


def _weights(table: SweepTable, variants: Sequence[str], source: _Source) -> tuple[str, ...]:
    """Return a choice of weights for each variant; files are absolute, so that they mean the same everywhere."""
    given = table.weights
    if isinstance(given, str):
        return (_choice(given, source),) * len(variants)
    chosen = {}
    for text, choice in given.items():
        with source.at(text):
            chosen[named_variant(text).name] = _choice(choice, source)
        if named_variant(text).name not in variants:
            raise source.refused(text, f"weights for {text}, which is none of the variants", ", ".join(variants))
    return tuple(chosen.get(name, AUTO) for name in variants)


def _choice(text: str, source: _Source) -> str:
    named = text in (AUTO, "packaged", "imagenet", "random") or text.startswith("random:")
    return text if named else source.path(text)
