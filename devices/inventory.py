"""The inventory: devices by name, in `devices.toml` here and in the user's configuration folder.

    [devices.pi4]
    address = "ssh://pi@192.168.1.20"
    profile = "raspberry-pi-4"

What ~/.ssh/config says of the host holds as well, so that users, ports and jump hosts need not be said twice. Only
`identity_file` and `known_hosts` can stand here too: an inventory that travels with a project, or one of a CI, has
keys and hosts of its own.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from devices.address import FORMS, NAME, Address, Kind, is_address, parse, shown
from edgenet.atomic import write_files
from edgenet.errors import InputError
from edgenet.toml_file import Record, parse_toml, read_toml

FILE = "devices.toml"
RESERVED = ("local", "adb")
SECRET = re.compile(r"pass(word|wd|phrase)?|pin|secret|token|(private_?)?key", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What each key is of use for; `address` and `profile` are for all.
KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "python": ("local", "ssh", "adb"),
    "identity_file": ("ssh",),
    "known_hosts": ("ssh",),
    "benchmark_binary": ("adb",),
}


class Table(Record):
    """One `[devices.NAME]` as it is written; "" is what is not there."""

    address: str
    profile: str = ""
    python: str = ""
    identity_file: str = ""
    known_hosts: str = ""
    benchmark_binary: str = ""


@dataclass(frozen=True)
class Entry:
    """One device of the inventory; "" is what it does not say.

    `python` is the interpreter on the device; the other paths are of this machine and absolute.
    """

    name: str
    address: Address
    source: Path  # the file that it stands in
    profile: str = ""
    python: str = ""
    identity_file: str = ""
    known_hosts: str = ""
    benchmark_binary: str = ""  # the runtime's own benchmark_model, built for the device


def inventory_files() -> tuple[Path, Path]:
    """Return where inventories may stand, the nearer first; neither needs to exist."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(FILE).absolute(), folder / "edgenet" / FILE


def read_inventory() -> list[Entry]:
    """Return all devices of all inventories, the nearer file's first; the first of a name is the one that counts."""
    return [entry for path in inventory_files() if path.exists() for entry in _entries(read_toml(path), path)]


def resolve(text: str) -> tuple[Address, Entry | None]:
    """Return the address that a --device names, with its entry if it is a name; raise InputError."""
    if is_address(text):
        return parse(text), None
    entries = read_inventory()
    for entry in entries:  # nearer first, so that a project can say what a name means in it
        if entry.name == text:
            return entry.address, entry
    names = list(dict.fromkeys(entry.name for entry in entries))
    close = get_close_matches(text, [*names, *RESERVED], n=1)
    mend = f"did you mean {close[0]}?" if close else f"edgenet devices add {_example(text)} ssh://USER@HOST"
    raise InputError(f"unknown device {shown(text)}", allowed=", ".join([FORMS, *names]), mend=mend)


def add(name: str, address: str, profile: str) -> Entry:
    """Append a device to the nearest inventory that exists, or begin the user's own; raise InputError.

    What stands there stays as it is, comments included. A name that any inventory has is refused.
    """
    here, users = inventory_files()
    path = here if here.exists() else users
    for known in read_inventory():
        if known.name == name:
            raise InputError(
                f"{name} is {known.address} in {known.source} already", mend="take another name, or change it there"
            )
    old = path.read_bytes() if path.exists() else b""
    values = {"address": address, **({"profile": profile} if profile else {})}
    _entry(name, values, path)  # before it is pasted into text
    separator = "" if not old else "\n" if old.endswith(b"\n") else "\n\n"
    lines = [f"[devices.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    content = old + (separator + "\n".join(lines) + "\n").encode()
    try:
        written = _entries(parse_toml(content, str(path)), path)
    except InputError as error:
        raise InputError(f"cannot append to {path}: {error.what}", mend="write it there by hand") from error
    _write(path, content)
    return written[-1]


def _write(path: Path, content: bytes) -> None:
    place = path.resolve()  # a link stays one
    mode = place.stat().st_mode if place.exists() else 0o644
    try:
        write_files({place: content})
        place.chmod(mode)
    except InputError as error:
        raise InputError(error.what, mend=f"{place.parent} has to be a folder that you may write to") from error


def _example(text: str) -> str:
    return text if NAME.fullmatch(text) else "NAME"


def _entries(document: dict[str, object], path: Path) -> list[Entry]:
    for key in document:
        if key != "devices":
            raise _unknown(key, ["devices"], str(path))
    tables = document.get("devices", {})
    if not isinstance(tables, dict):
        raise InputError(f"{path}: devices is no table", allowed="[devices.NAME]")
    return [_entry(name, table, path) for name, table in tables.items()]


def _entry(name: str, table: object, path: Path) -> Entry:
    where = f"{path}: devices.{shown(name)[1:-1]}"
    if not NAME.fullmatch(name) or name in RESERVED:
        raise InputError(
            f"{path}: a device cannot be called {shown(name)}",
            allowed=f"letters, digits, _ and -, and none of {', '.join(RESERVED)}",
        )
    if not isinstance(table, dict):
        raise InputError(f"{where} is no table", allowed=f'[devices.{name}] with address = "..."')
    _check_keys(table, where)
    try:
        values = Table.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}.{key}: {first['msg'].lower()}", allowed="text") from error
    return _checked(name, values, path, where)


def _check_keys(table: dict[str, object], where: str) -> None:
    for key in table:
        if key in Table.model_fields:
            continue
        if SECRET.fullmatch(key):  # its value stands in no message
            mend = "delete it; ssh-copy-id USER@HOST brings your key to the device, identity_file names the key's file"
            raise InputError(f"{where} holds a {key}: no secrets in {FILE}", mend=mend)
        raise _unknown(key, list(Table.model_fields), where)


def _checked(name: str, values: Table, path: Path, where: str) -> Entry:
    try:
        address = parse(values.address)
    except InputError as error:
        raise InputError(f"{where}.address: {error.what}", allowed=error.allowed, mend=error.mend) from error
    texts = {key: text for key, text in values.model_dump(exclude={"address"}).items() if text}
    for key, text in texts.items():
        if CONTROL.search(text):
            raise InputError(f"{where}.{key} holds a control character: {shown(text)}", allowed="plain text")
        if address.kind not in KINDS_OF.get(key, (address.kind,)):
            raise InputError(f"{where}.{key} says nothing of {address}", allowed=f"{key} with {KINDS_OF[key][0]}")
        if key in ("identity_file", "known_hosts", "benchmark_binary"):
            texts[key] = str(path.parent / Path(text).expanduser())  # beside the file that names it
    if values.python and not PurePosixPath(values.python).is_absolute():
        raise InputError(f"{where}.python is {shown(values.python)}", allowed="an absolute path on the device")
    return Entry(name, address, path, **texts)


def _unknown(key: str, known: list[str], where: str) -> InputError:
    close = get_close_matches(key, known, n=1)
    mend = f"did you mean {close[0]}?" if close else "delete it"
    return InputError(f"{where} has an unknown key {shown(key)}", allowed=", ".join(known), mend=mend)
