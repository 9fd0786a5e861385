"""How a program is run in an Android device's sh, and how it is ended from outside.

adb's exit status is 1 both for a program that failed and for a cable that was pulled. So the script that starts the
program writes a mark and the program's status to standard error when it has ended: no mark, no end, device lost.
"""

from __future__ import annotations

import math
import shlex
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from edgenet.errors import InputError

KILL_S = 10.0
WATCHDOG_AFTER_S = 10.0

# mksh and dash give a background command no standard input unless it is told which, and dash's kill takes no "--". The
# program leads a group of its own, so that its children end with it; the variable marks those that leave the group.
SCRIPT = """\
umask 077; exec 3<&0
EDGENET_RUN={mark} setsid {command} <&3 3<&- & p=$!
echo "{mark} started $p" >&2; exec 3<&- </dev/null
{watchdog}
{{ wait $p; }} 2>/dev/null; s=$?
kill -KILL -$p 2>/dev/null
{unwatch}
echo "{mark} ended $s" >&2
"""
# The device itself ends a program whose host is gone: the connection's end alone ends none.
WATCHDOG = """setsid sh -c 'sleep "$1"; kill -KILL "-$2"' sh {limit_s} $p >/dev/null 2>&1 & w=$!"""
UNWATCH = "kill -KILL -$w $w -$w 2>/dev/null"
KILL = """\
for f in $(grep -ls EDGENET_RUN={mark} /proc/[0-9]*/environ 2>/dev/null); do
f=${{f#/proc/}}; kill -KILL ${{f%/environ}} 2>/dev/null
done; true"""


@dataclass(frozen=True)
class Connection:
    """How to reach one device's shell: the adb program, the device's serial, and the address for messages."""

    adb: str
    serial: str
    address: str

    def command(self, script: str) -> list[str]:
        """Return the arguments that run a script in the device's sh, without a terminal."""
        return [self.adb, "-s", self.serial, "shell", "-T", script]


def script(arguments: Sequence[str], mark: str, limit_s: float) -> str:
    """Return what the device's sh is given to run a program; raise InputError for arguments that no program can have.

    Each argument is quoted as one word: no shell reads it.
    """
    if any("\0" in argument for argument in arguments):
        raise InputError(f"an argument of {arguments[0]!r} holds a NUL", allowed="text without NUL")
    return SCRIPT.format(
        mark=mark,
        command=shlex.join(["--", *arguments]),
        watchdog=WATCHDOG.format(limit_s=math.ceil(limit_s + WATCHDOG_AFTER_S)) if limit_s else "",
        unwatch=UNWATCH if limit_s else "",
    )


def kill_marked(connection: Connection, mark: str, group: int | None) -> None:
    """End a process group and all that bears a mark on the device; say nothing where it cannot be reached."""
    by_group = f"kill -KILL -{group} 2>/dev/null; " if group else ""
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            connection.command(by_group + KILL.format(mark=mark)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=KILL_S,
            start_new_session=True,
        )
