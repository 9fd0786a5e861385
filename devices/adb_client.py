"""The adb program: which one, its server, and the devices that the server sees."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from devices.plain_text import plain
from edgenet.errors import InputError, MissingError

SETTLE_S = 5.0
PASSING = ("authorizing", "connecting")  # states that a device has for a moment after it was plugged in
ANSWER_S = 30.0  # the first call starts the server, which looks for devices on all buses
STANDARD_PORT = 5037
PORT_VARIABLE = "ANDROID_ADB_SERVER_PORT"
SERVER_MEND = "see adb devices; adb kill-server ends a server that hangs"

# What `adb devices` says of a device that cannot be used now, and what to do about it; by how the word begins.
STATE_MENDS = {
    "unauthorized": "unlock its screen and accept this computer's key (Settings > Developer options > USB debugging)",
    "authorizing": "it is still making up its mind: try again in some seconds",
    "connecting": "it is still connecting: try again in some seconds",
    "offline": "unplug it and plug it in again, or adb reconnect offline",
    "no permissions": "let your user talk to it: a udev rule for its vendor, or membership in plugdev",
    "recovery": "start Android: adb reboot",
    "sideload": "start Android: adb reboot",
    "bootloader": "start Android: fastboot reboot",
}


def adb_program() -> str:
    """Return the adb to use: ADBUTILS_ADB_PATH, the one on PATH, or the one that adbutils ships; else MissingError."""
    from adbutils import adb_path  # type: ignore[import-untyped]  # adbutils has no types
    from adbutils.errors import AdbError  # type: ignore[import-untyped]  # adbutils has no types

    try:
        return str(adb_path())
    except AdbError as error:
        raise MissingError(f"no adb program: {error}", mend="apt install adb, or set ADBUTILS_ADB_PATH") from error


def adb_output(adb: str, arguments: Sequence[str]) -> str:
    """Return what adb answers to a question about itself or its server; raise MissingError."""
    try:
        done = subprocess.run(
            [adb, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, start_new_session=True
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"adb {arguments[0]} gave no answer in {ANSWER_S:.0f} s", mend=SERVER_MEND) from None
    except OSError as error:
        raise MissingError(f"cannot start {adb}: {error.strerror}", mend="set ADBUTILS_ADB_PATH to an adb") from error
    if done.returncode:
        complaint = plain(done.stderr.decode(errors="replace"))
        raise MissingError(f"adb {arguments[0]} failed: {complaint}", mend=SERVER_MEND)
    return done.stdout.decode(errors="replace")


def check_server(adb: str) -> None:
    """See that a server that runs already speaks this adb's version; raise MissingError where it does not.

    An adb that finds a server of another version kills it without asking, and with it what the user does there.
    """
    port = os.environ.get(PORT_VARIABLE, "") or str(STANDARD_PORT)
    if "ADB_SERVER_SOCKET" in os.environ or not port.isdecimal():
        return  # somewhere else, or a port that adb itself complains of
    running = server_version(os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or "127.0.0.1", int(port))
    found = re.search(r"version \d+\.\d+\.(\d+)", adb_output(adb, ["version"]))
    if running is not None and found and running != int(found[1]):
        raise MissingError(
            f"the adb server on port {port} is of version {running}, {adb} of {found[1]}, which would end it",
            mend="set ADBUTILS_ADB_PATH to the adb that started it, or end it yourself: adb kill-server",
        )


def server_version(host: str, port: int) -> int | None:
    """Ask an adb server for its version; None where none runs (`host:version`, four digits in hexadecimal)."""
    with suppress(OSError, ValueError), socket.create_connection((host, port), timeout=5) as server:
        server.sendall(b"000chost:version")
        answer = b""
        while chunk := server.recv(64):
            answer += chunk
        if answer.startswith(b"OKAY"):
            return int(answer[8:], 16)
    return None


def device_states(adb: str) -> dict[str, str]:
    """Return the state of each device that the server sees, by its serial; the server is started if none runs."""
    until_s = time.monotonic() + SETTLE_S
    while True:
        lines = [line.partition("\t") for line in adb_output(adb, ["devices"]).splitlines()]
        states = {plain(serial): plain(state) for serial, tab, state in lines if tab}
        if not set(PASSING) & set(states.values()) or time.monotonic() > until_s:
            return states
        time.sleep(0.2)


def chosen(serial: str, states: Mapping[str, str]) -> str:
    """Return the serial of the device to use, "" being the only one; raise InputError or MissingError."""
    listed = ", ".join(f"{known} ({state})" for known, state in states.items())
    if not serial and not states:
        raise MissingError(
            "no Android device is connected",
            mend="plug it in, switch on USB debugging (Settings > Developer options) and see that adb devices lists it",
        )
    if not serial and len(states) > 1:
        raise InputError("several Android devices are connected", allowed=listed, mend="name one: adb:SERIAL")
    found = serial or next(iter(states))
    if found not in states:
        mend = f"adb connect {found}" if ":" in found else "check the cable, and that adb devices lists it"
        raise MissingError(f"adb sees no device {found}", allowed=listed, mend=mend)
    state = states[found]
    if state != "device":
        known = [mend for word, mend in STATE_MENDS.items() if state.startswith(word)]
        raise MissingError(f"{found} cannot be used: {state}", mend=known[0] if known else "see adb devices")
    return found


def check_shell(adb: str, serial: str) -> None:
    """See that the device's shell tells exit statuses; raise MissingError for Android 6 and older."""
    if "shell_v2" not in adb_output(adb, ["-s", serial, "features"]).split():
        raise MissingError(
            f"the adb of {serial} tells no exit statuses (shell_v2)", mend="use a device with Android 7 or later"
        )
