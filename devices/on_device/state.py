"""The machine's state at one moment: governors, clocks, temperatures, throttling, memory, load, power, USB."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from devices.on_device.board import memory_bytes, read_text
from devices.on_device.edgetpu import edgetpu_temperatures_c

# Raspberry Pi documentation, `vcgencmd get_throttled`; the same bits 16 higher: has occurred since boot.
THROTTLE_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT_SHIFT = 16
VCGENCMD_PLACES = ("vcgencmd", "/usr/bin/vcgencmd", "/opt/vc/bin/vcgencmd")


class StateReader:
    """Reads the state of the machine whose files stand under `root`, with times since `started_s` (perf_counter)."""

    def __init__(self, root: Path, started_s: float) -> None:
        self._root, self._started_s = root, started_s
        cpufreq = root / "sys/devices/system/cpu/cpufreq"
        self._policies = sorted(cpufreq.glob("policy*")) if cpufreq.is_dir() else []
        zones = root / "sys/class/thermal"
        self._zones = sorted(zones.glob("thermal_zone*")) if zones.is_dir() else []
        self._vcgencmd = next((found for found in map(shutil.which, VCGENCMD_PLACES) if found), "")
        self._meters = power_meters(root)

    @property
    def power_source(self) -> str | None:
        """The power meter's name, None where there is none."""
        return " + ".join(name for name, _ in self._meters) or None

    def snapshot(self, throttling: bool = True) -> dict[str, object]:
        """Return the state now; `throttling` asks the firmware as well, which takes some milliseconds."""
        return {
            "at_s": time.perf_counter() - self._started_s,
            "governors": [read_text(policy / "scaling_governor") for policy in self._policies],
            "frequencies_hz": self._frequencies_hz("scaling_cur_freq"),
            "max_frequencies_hz": self._frequencies_hz("cpuinfo_max_freq"),
            "temperatures_c": self._temperatures_c(),
            "throttled": self._throttled() if throttling else None,
            "memory_available_bytes": memory_bytes(self._root, "MemAvailable"),
            "load_average": self._load_average(),
            "power_w": sum(read_power_w(path) for _, path in self._meters) if self._meters else None,
        }

    def usb_bits_per_s(self) -> dict[str, float]:
        """Return each USB device's name with its speed; root hubs are left out."""
        speeds = {}
        for device in sorted((self._root / "sys/bus/usb/devices").glob("*-*")):
            speed, product = read_text(device / "speed"), read_text(device / "product")
            if speed and ":" not in device.name:
                speeds["{} ({})".format(product or "unnamed", device.name)] = float(speed) * 1e6
        return speeds

    def _frequencies_hz(self, name: str) -> list[int]:
        texts = [read_text(policy / name) for policy in self._policies]
        return [int(text) * 1000 for text in texts if is_number(text)]

    def _temperatures_c(self) -> dict[str, float]:
        temperatures = {}
        for zone in self._zones:
            text = read_text(zone / "temp")
            if is_number(text.lstrip("-")):
                temperatures["{} ({})".format(read_text(zone / "type") or "zone", zone.name[12:])] = int(text) / 1000
        temperatures.update(edgetpu_temperatures_c(self._root))
        return temperatures

    def _load_average(self) -> list[float] | None:
        words = read_text(self._root / "proc/loadavg").split()
        return [float(word) for word in words[:3]] if len(words) >= 3 else None

    def _throttled(self) -> dict[str, object] | None:
        if not self._vcgencmd:
            return None
        command = [self._vcgencmd, "get_throttled"]
        try:
            text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5).stdout.decode()
        except (OSError, subprocess.TimeoutExpired):
            return None
        _, _, value = text.strip().partition("=")
        return decode_throttled(int(value, 16)) if value.startswith("0x") else None


def is_number(text: str) -> bool:
    """Return whether a text is a whole number in the digits that the kernel writes."""
    return text.isascii() and text.isdigit()


def decode_throttled(raw: int) -> dict[str, object]:
    """Return the bits of `vcgencmd get_throttled` as words, for now and since boot."""
    now = [word for bit, word in THROTTLE_BITS.items() if raw >> bit & 1]
    since_boot = [word for bit, word in THROTTLE_BITS.items() if raw >> (bit + SINCE_BOOT_SHIFT) & 1]
    return {"raw": raw, "now": now, "since_boot": since_boot}


def power_meters(root: Path) -> list[tuple[str, Path]]:
    """Return the power sensors that the kernel offers under hwmon, named chip/sensor.

    Sensors of one chip measure different rails, unless one of them calls itself the total (Jetson's VDD_IN).
    """
    meters = []
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        for sensor in sorted([*chip.glob("power*_input"), *chip.glob("in*_input")]):
            label = read_text(sensor.with_name(sensor.name.replace("_input", "_label")))
            if sensor.name.startswith("power") or (label and _current_beside(sensor).exists()):
                meters.append(("{}/{}".format(read_text(chip / "name"), label or sensor.name[:-6]), sensor))
    totals = [row for row in meters if row[0].endswith(("/VDD_IN", "/VIN_SYS_5V0", "/POM_5V_IN"))]
    return totals or meters


def read_power_w(sensor: Path) -> float:
    """Return a hwmon sensor's power in watts: microwatts, or millivolts times milliamperes of the same channel."""
    if sensor.name.startswith("power"):
        return float(read_text(sensor) or 0) / 1e6
    return float(read_text(sensor) or 0) * float(read_text(_current_beside(sensor)) or 0) / 1e6


def _current_beside(voltage: Path) -> Path:
    return voltage.with_name(voltage.name.replace("in", "curr", 1))
