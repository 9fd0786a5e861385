"""From what the user wrote after --device to a device; only the adapter that is asked for is imported."""

from __future__ import annotations

from devices.base import Device
from devices.inventory import resolve


def open_device(text: str) -> Device:
    """Return the device of an address or of a name in the inventory; raise InputError.

    Nothing is connected yet: `describe` does that. Whoever opens it calls `clean_up`.
    """
    address, entry = resolve(text)
    if address.kind == "ssh":
        from devices.ssh import SshDevice

        return SshDevice(address, entry)
    if address.kind == "adb":
        from devices.adb import AdbDevice

        return AdbDevice(address, entry.python if entry else "")
    if address.kind == "fake":
        from devices.fake import FakeDevice

        return FakeDevice(address.name)
    from devices.local import LocalDevice

    return LocalDevice(python=entry.python if entry else "")


def binary_of(text: str) -> str:
    """Return the benchmark_model that the inventory names for a device, "" for none."""
    _, entry = resolve(text)
    return entry.benchmark_binary if entry else ""
