"""A lock on a device that has no Python: one folder, made by one host at a time, that tells whose it is.

It is never taken from its owner: a run that was cut leaves it, and the refusal names the command that removes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath

from devices.base import Device, DeviceLost
from devices.conversation import owner as measurer
from devices.plain_text import plain
from edgenet.errors import MissingError

ANSWER_S = 30.0
FOLDER = "lock"
TAKEN_STATUS = 21

# Held by the kernel for the runner, where a device has Python: devices/on_device/lock.py.
RUNNER_FILE = "runner.lock"

# The device's own clock tells the age: hosts disagree. $1 folder, $2 owner, $3 the runner's lock.
TAKE = f"""\
umask 077; mkdir -p "${{1%/*}}"
pid=$(sed -n 's/.*"pid": \\([0-9]\\{{1,9\\}}\\).*/\\1/p' "$3" 2>/dev/null)
if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
    echo $(($(date +%s) - $(stat -c %Y "$3")))
    sed -n 's/.*"owner": "\\([^"]*\\)".*/\\1/p' "$3"
    exit {TAKEN_STATUS}
fi
if mkdir "$1" 2>/dev/null; then echo "$2" > "$1/owner"; exit; fi
[ -e "$1" ] || {{ mkdir "$1"; exit; }}
echo $(($(date +%s) - $(stat -c %Y "$1")))
cat "$1/owner" 2>/dev/null
exit {TAKEN_STATUS}
"""
# Only the owner's own: a user may have removed it, and another host may have taken it since.
LEAVE = '[ "$(cat "$1/owner" 2>/dev/null)" = "$2" ] && rm -rf -- "$1"; true'


@contextmanager
def shell_lock(device: Device, home: PurePosixPath) -> Iterator[None]:
    """Hold a device's lock; raise MissingError, with owner, age and the command that removes it, if it is taken."""
    folder = str(home / FOLDER)
    owner = f"{measurer()} {secrets.token_hex(8)}"
    taken = device.run(["sh", "-c", TAKE, "sh", folder, owner, str(home / RUNNER_FILE)], ANSWER_S)
    if taken.status == TAKEN_STATUS:
        age, _, other = taken.stdout.partition("\n")
        raise MissingError(
            f"{device.address} is in use by {plain(other).partition(' ')[0] or 'somebody'} {_since(age)}",
            mend=f"wait; if that run is long over: {_by_hand(device.address)}rm -r {folder}",
        )
    if taken.status:
        raise MissingError(f"cannot lock {device.address}: {plain(taken.stderr)}", mend=f"see who owns {home}")
    try:
        yield
    finally:
        _leave(device, folder, owner)


def _leave(device: Device, folder: str, owner: str) -> None:
    with suppress(DeviceLost):  # then it stays there, with our name on it
        device.run(["sh", "-c", LEAVE, "sh", folder, owner], ANSWER_S)


def _since(age: str) -> str:
    seconds = max(0, int(age)) if age.strip().lstrip("-").isdecimal() else 0
    return f"for {seconds // 3600} h {seconds // 60 % 60} min" if seconds >= 3600 else f"for {seconds // 60} min"


def _by_hand(address: str) -> str:
    kind, _, serial = address.partition(":")
    if kind != "adb":
        return ""
    return f"adb -s {serial} shell " if serial else "adb shell "
