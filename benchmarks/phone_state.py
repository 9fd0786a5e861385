"""A device's state without Python on it: the files that the environment record reads, by one shell script."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path, PurePosixPath

from benchmarks.result import SnapshotRecord
from devices.base import Device
from devices.on_device.state import StateReader

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


class PhoneState:
    """Takes snapshots of a device; times are since `started_s` on this machine's monotonic clock."""

    def __init__(self, device: Device, started_s: float) -> None:
        self._device, self._started_s = device, started_s

    def snapshot(self) -> SnapshotRecord:
        """Return the device's state now."""
        at_s = time.monotonic() - self._started_s
        words = self._device.run(["sh", "-c", SCRIPT], ANSWER_S).stdout.split("\0")
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, content in list(zip(words[::2], words[1::2], strict=False))[:MOST_FILES]:
                _copy(root, name, content)
            state = StateReader(root, time.perf_counter()).snapshot(throttling=False)
        return SnapshotRecord.model_validate({**_tuples(state), "at_s": at_s})


def _copy(root: Path, name: str, content: str) -> None:
    """Write a file of the device below `root`; what is not a plain place in /sys or /proc is left out."""
    path = PurePosixPath(name)
    if path.parts[:2] in (("/", "sys"), ("/", "proc")) and ".." not in path.parts and name.isprintable():
        target = root.joinpath(*path.parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content[:LONGEST_CHARACTERS], encoding="utf-8")


def _tuples(state: dict[str, object]) -> dict[str, object]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in state.items()}
