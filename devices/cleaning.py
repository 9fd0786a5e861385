"""Remove everything of edgenet from a device."""

from __future__ import annotations

from pathlib import PurePosixPath

from devices.base import Device

# On this machine `home` is the cache folder too, so its other content (weights) is not a device's and stays.
OURS = ("files", "lock", "runner.lock", "governors.json", "venv", "venv.new", "venv.old")


def clean(device: Device) -> list[PurePosixPath]:
    """Remove what edgenet keeps in `home`, and return the places; raise DeviceLost."""
    home = device.describe().home
    places = [home / name for name in OURS]
    for place in places:
        device.remove(place)
    return places
