"""What an Android device says of itself, asked in one script of its sh."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from devices.base import Finished
from devices.plain_text import plain
from edgenet.errors import MissingError

# Of an app's folder only the app itself and root may read: adb finds this one where adbd runs as root.
TERMUX_PYTHON = "/data/data/com.termux/files/usr/bin/python3"
TOOLS = ("setsid", "sha256sum", "stat", "df", "grep", "realpath")
OLD_ANDROID_MEND = "use a device with Android 7 or later"
FOLDER_STATUS = 21

# getprop's names, and the fact that each is; the first that a device knows wins.
PROPERTIES = (
    ("maker", "ro.product.manufacturer"),
    ("product", "ro.product.model"),
    ("device", "ro.product.device"),
    ("soc_maker", "ro.soc.manufacturer"),
    ("soc_model", "ro.soc.model"),  # Android 12 and later
    ("soc_model", "ro.board.platform"),
    ("soc_model", "ro.hardware"),
    ("abi", "ro.product.cpu.abi"),
    ("abis", "ro.product.cpu.abilist"),
    ("android", "ro.build.version.release"),
    ("api", "ro.build.version.sdk"),
    ("emulated", "ro.kernel.qemu"),
    ("emulated", "ro.boot.qemu"),
)

ASK_PROPERTIES = "\n".join(f'say {key} "$(getprop {name} 2>/dev/null)"' for key, name in PROPERTIES)
# $1 is home; the others are interpreters to try, of which the first that runs is told. NUL ends each answer, since a
# property may hold any other sign.
SCRIPT = f"""\
say() {{ [ -n "$2" ] && printf '%s=%s\\0' "$1" "$2"; }}
umask 077; home=$1; shift
mkdir -p "$home/files" && chmod 700 "$home" "$home/files" || exit {FOLDER_STATUS}
for tool in {" ".join(TOOLS)}; do command -v $tool >/dev/null || say missing $tool; done
{ASK_PROPERTIES}
say system "$(uname -s)"
say machine "$(uname -m)"
say kernel "$(uname -r)"
say node "$(uname -n)"
say cores "$(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
[ -r /sys/firmware/devicetree/base/model ] && say board "$(tr -d '\\000' < /sys/firmware/devicetree/base/model)"
for python in "$@"; do
    v=$("$python" -c 'import sys, platform; print("%d.%d" % sys.version_info[:2], *platform.libc_ver())' \\
        2>/dev/null </dev/null) || continue
    say python "$(command -v "$python")"; say version "$v"; exit 0
done
pm path com.termux >/dev/null 2>&1 </dev/null && say termux installed
exit 0
"""


def question(home: str, interpreters: Sequence[str]) -> list[str]:
    """Return the arguments that ask a device what it is; it makes its private folder on the way."""
    return ["sh", "-c", SCRIPT, "sh", home, *interpreters]


def answer(done: Finished, address: str, home: str) -> dict[str, str]:
    """Return what the device told, by PROPERTIES' keys and the script's; raise MissingError where it is unusable."""
    if done.status == FOLDER_STATUS:
        raise MissingError(f"cannot make {home} on {address}: {plain(done.stderr)}", mend="see who owns that folder")
    told: dict[str, str] = {}
    for line in done.stdout.split("\0"):
        key, equals, value = line.partition("=")
        if equals and value.strip():
            told.setdefault(key, plain(value))
    if done.status or "machine" not in told:
        raise MissingError(f"{address} does not say what it is: {plain(done.stderr)}", mend="try adb shell uname -a")
    if python_version(told) == (0, 0):
        told.pop("python", None)
    if "missing" in told:
        raise MissingError(f"{address} has no {told['missing']}", mend=OLD_ANDROID_MEND)
    return told


def python_version(told: Mapping[str, str]) -> tuple[int, int]:
    """Return the interpreter's version, (0, 0) where there is none."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})\b", told.get("version", ""))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def facts(told: Mapping[str, str]) -> dict[str, str]:
    """Return what Description.facts holds of an Android device; what it does not tell is left out."""
    found = {key: told[key] for key in ("abi", "abis", "android", "api", "cores", "kernel", "termux") if key in told}
    found["model"] = " ".join(told[key] for key in ("maker", "product") if key in told) or told.get("board", "")
    found["soc"] = " ".join(told[key] for key in ("soc_maker", "soc_model") if key in told)
    found["libc"] = " ".join(told.get("version", "").split()[1:]) or ("bionic" if "android" in told else "")
    if told.get("emulated") == "1":
        found["emulated"] = "the Android emulator"
    return {key: value for key, value in found.items() if value}
