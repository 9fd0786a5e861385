"""A device's state without Python on it: the files that the environment record reads, by one shell script."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from benchmarks.result import SnapshotRecord
from devices.base import Device
from devices.on_device.board import memory_bytes
from devices.on_device.state import StateReader
from devices.plain_text import plain
from edgenet.errors import InputError

ANSWER_S = 30.0
MOST_FILES, LONGEST_CHARACTERS = 500, 4096
# NUL ends each name and each content: a file may hold any other sign.
SCRIPT = """\
for file in /sys/devices/system/cpu/cpufreq/policy*/scaling_governor \\
    /sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq /sys/devices/system/cpu/cpufreq/policy*/cpuinfo_max_freq \\
    /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp /proc/meminfo /proc/loadavg; do
    [ -r "$file" ] && { printf '%s\\0' "$file"; head -c 4000 "$file" 2>/dev/null; printf '\\0'; }
done
exit 0
"""
ASKED = re.compile(
    r"/(sys/devices/system/cpu/cpufreq/policy[0-9]{1,4}/(scaling_governor|scaling_cur_freq|cpuinfo_max_freq)"
    r"|sys/class/thermal/thermal_zone[0-9]{1,4}/(type|temp)|proc/(meminfo|loadavg))"
)


class PhoneState:
    """Takes snapshots of a device; times are since `started_s` on this machine's monotonic clock.

    `memory_bytes` is all of its memory as the last snapshot tells it, 0 where none does.
    """

    def __init__(self, device: Device, started_s: float) -> None:
        self._device, self._started_s = device, started_s
        self.memory_bytes = 0

    def snapshot(self) -> SnapshotRecord:
        """Return the device's state now; raise InputError where it says what cannot be."""
        at_s = time.monotonic() - self._started_s
        words = self._device.run(["sh", "-c", SCRIPT], ANSWER_S).stdout.split("\0")
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, content in list(zip(words[::2], words[1::2], strict=False))[:MOST_FILES]:
                if ASKED.fullmatch(name):
                    _copy(root / name[1:], content)
            try:
                state = StateReader(root, time.perf_counter()).snapshot(throttling=False)
                self.memory_bytes = memory_bytes(root, "MemTotal") or 0
                return SnapshotRecord.model_validate({**_tuples(state), "at_s": at_s})
            except (ValueError, IndexError) as error:  # pydantic's ValidationError is a ValueError
                raise InputError(
                    f"{self._device.address} tells of its state what cannot be: {plain(str(error), 200)}",
                    mend="see /proc/meminfo, /proc/loadavg and /sys/class/thermal there",
                ) from error


def _copy(target: Path, content: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content[:LONGEST_CHARACTERS], encoding="utf-8")


def _tuples(state: dict[str, object]) -> dict[str, object]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in state.items()}
