"""`edgenet devices`: the inventory, what a device has, its private environment, and what is published of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json

if TYPE_CHECKING:
    from devices.inventory import Entry
    from devices.profiles import Fact

DeviceName = Annotated[
    str,
    typer.Argument(
        metavar="DEVICE",
        show_default=False,
        help="local, ssh://[user@]host[:port], adb, adb:SERIAL, or a name of the inventory.",
    ),
]
INVENTORY_COLUMNS = (Column("name"), Column("address"), Column("profile"), Column("file"))
PROFILE_COLUMNS = (Column("profile"), Column("device"), Column("SoC"), Column("processor"))
FACT_COLUMNS = (Column("fact"), Column("published"), Column("source"))
GIB = 2**30


def list_devices(as_json: Json = False) -> None:
    """Show the devices that have a name here.

    They stand in ./devices.toml and in edgenet/devices.toml of your configuration folder; where both have a name, the
    nearer file counts.
    """
    from devices.inventory import read_inventory

    entries = read_inventory()
    counting = {entry.name: entry for entry in reversed(entries)}
    if as_json:
        emit_json({"devices": [_entry_document(entry, counting[entry.name] is entry) for entry in entries]})
        return
    show_table(INVENTORY_COLUMNS, [_entry_cells(entry, counting[entry.name] is entry) for entry in entries])
    show()
    show("Always there: local (this machine), adb (the one Android device that is plugged in)")
    next_command(f"edgenet devices check {entries[0].name if entries else 'local'}")


def _entry_document(entry: Entry, counts: bool) -> dict[str, object]:
    return {
        "name": entry.name,
        "address": str(entry.address),
        "profile": entry.profile,
        "python": entry.python,
        "file": str(entry.source),
        "hidden": not counts,
    }


def _entry_cells(entry: Entry, counts: bool) -> list[str]:
    hidden = "" if counts else " (hidden by the file above)"
    return [entry.name, str(entry.address), entry.profile, f"{entry.source}{hidden}"]


def add_device(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="Letters, digits, _ and -.")],
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS", show_default=False, help="ssh://[user@]host[:port], adb, adb:SERIAL or local."
        ),
    ],
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="What kind of device it is: see edgenet devices profiles.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Give a device a name, in ./devices.toml or your own.

    Appends to ./devices.toml if there is one, else to edgenet/devices.toml of your configuration folder.

    \b
    edgenet devices add pi4 ssh://pi@192.168.1.20 --profile raspberry-pi-4
    """
    from devices.inventory import add
    from devices.profiles import find_profile

    if profile:
        find_profile(profile)
    entry = add(name, address, profile)
    if as_json:
        emit_json(_entry_document(entry, counts=True))
    else:
        show(f"{entry.name} is {entry.address}: {entry.source}")
    next_command(f"edgenet devices check {entry.name}")


def check_device(device: DeviceName, as_json: Json = False) -> None:
    """Show what a device is and has, and how to get what it lacks.

    Exits with 3 if something is missing that `benchmark` needs.
    """
    from edgenet.cli.devices_check import check

    check(device, as_json)


def set_up_device(
    device: DeviceName,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch the wheels here and push them; the device uses no network.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a private environment with the right runtimes on a device.

    Nothing of the device's own Python changes, and an earlier environment stays whole until the new one has run.
    """
    from devices.open import open_device
    from devices.setup import set_up
    from edgenet.cli.progress import StepProgress

    opened = open_device(device)
    try:
        with StepProgress() as report:
            prepared = set_up(opened, offline, report, say)
    finally:
        opened.clean_up()
    if as_json:
        emit_json(
            {"device": device, "origin": prepared.origin, "python": prepared.python, "runtimes": prepared.versions}
        )
    else:
        show(f"{prepared.python} (from {'the network' if prepared.origin == 'network' else 'pushed wheels'})")
        for module, version in prepared.versions.items():
            show(f"  {module} {version}")
    next_command(f"edgenet benchmark MODEL.tflite --device {device}")


def show_profiles(
    name: Annotated[str, typer.Argument(metavar="[NAME]", show_default=False, help="One profile with its facts.")] = "",
    as_json: Json = False,
) -> None:
    """Show what is published of known boards and phones.

    One of them with every fact and its source, or all of them in a table.
    """
    from devices.profiles import find_profile, profiles

    if not name:
        known = profiles()
        if as_json:
            emit_json({"profiles": {key: profile.model_dump() for key, profile in known.items()}})
            return
        rows = [
            [key, one.title, *(_shown(one.facts.get(fact)) for fact in ("soc", "processor"))]
            for key, one in known.items()
        ]
        show_table(PROFILE_COLUMNS, rows)
        next_command(f"edgenet devices profiles {next(iter(known))}")
        return
    profile = find_profile(name)
    if as_json:
        emit_json({"name": name, **profile.model_dump()})
        return
    show(profile.title)
    show()
    show_table(FACT_COLUMNS, [[key, _shown(fact, key), fact.source] for key, fact in profile.facts.items()])
    show()
    for key, source in profile.sources.items():
        show(f"  {key}: {source}")
    next_command(f"edgenet devices add NAME ADDRESS --profile {name}")


def _shown(fact: Fact | None, key: str = "") -> str:
    if fact is None:
        return "-"
    if not isinstance(fact.value, list):
        return f"{fact.value} °C" if key.endswith("_c") else str(fact.value)
    if key == "memory_bytes":
        return " or ".join(f"{value / GIB:g} GiB" for value in fact.value)
    return ", ".join(f"{value / 1e9:g} GHz" for value in fact.value)


def show_runner() -> None:
    """Print the on-device runner, one self-contained file.

    It measures a model where there is no edgenet:

    \b
    edgenet devices runner > runner.py
    python runner.py model.tflite
    """
    from devices.runner import runner_source

    print(runner_source(), end="")
    next_command("python3 runner.py MODEL.tflite, on the device")


def clean_device(device: DeviceName, as_json: Json = False) -> None:
    """Remove everything of edgenet from a device.

    Pushed files, the private environment, and what runs left; on this machine the cache of weights stays.
    """
    from devices.cleaning import clean
    from devices.open import open_device

    opened = open_device(device)
    try:
        removed = clean(opened)
    finally:
        opened.clean_up()
    if as_json:
        emit_json({"device": device, "removed": [str(path) for path in removed]})
        return
    show(f"removed what was there of {', '.join(path.name for path in removed)} in {removed[0].parent}")
    next_command(f"edgenet devices setup {device}")


COMMANDS = {
    "list": list_devices,
    "add": add_device,
    "check": check_device,
    "setup": set_up_device,
    "profiles": show_profiles,
    "runner": show_runner,
    "clean": clean_device,
}
