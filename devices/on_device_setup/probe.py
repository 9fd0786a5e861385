"""Print as JSON what setup and check want to know of this machine and this interpreter. Argument: edgenet's folder."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import struct
import sys
from pathlib import Path

PACKAGES = ("ai_edge_litert", "tflite_runtime", "onnxruntime", "numpy")
CPUFREQ = Path("/sys/devices/system/cpu/cpufreq")
MODEL = Path("/sys/firmware/devicetree/base/model")


def main() -> None:
    """Print the findings."""
    findings = {
        "machine": _machine(),
        "system": platform.system(),
        "libc": list(platform.libc_ver()),
        "python": list(sys.version_info[:3]),
        "implementation": platform.python_implementation(),
        "can_make_venv": importlib.util.find_spec("venv") is not None,
        "has_ensurepip": importlib.util.find_spec("ensurepip") is not None,
        "packages": {name: _version(name) for name in PACKAGES if _version(name)},
        "model": _first_line(MODEL),
        "governors": sorted({_first_line(path) for path in CPUFREQ.glob("policy*/scaling_governor")}),
        "free_bytes": shutil.disk_usage(str(_standing(Path(sys.argv[1])))).free,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    print(json.dumps(findings))


def _machine() -> str:
    """Return the processor that this interpreter is built for: a 32-bit system often runs on a 64-bit kernel."""
    machine = platform.machine()
    is_32_bit_arm = machine in ("aarch64", "armv8l") and struct.calcsize("P") == 4
    return "armv7l" if is_32_bit_arm else machine


def _version(package: str) -> str:
    """Return an installed package's version, "" where it is not; importing it could crash."""
    for folder in map(Path, filter(None, sys.path)):
        if folder.is_dir():
            for found in folder.glob(package + "-*.*-info"):
                return found.stem.split("-")[1]
    return ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").split("\n")[0].strip("\0 ")
    except OSError:
        return ""


def _standing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return folder if folder.exists() else _standing(folder.parent)


if __name__ == "__main__":
    main()
