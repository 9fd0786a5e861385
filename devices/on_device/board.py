"""What a machine says of itself in /proc, /sys and /etc: board, processor, system. What it does not say is ""."""

from __future__ import annotations

import os
import platform
import struct
from pathlib import Path

# ELF e_machine of the processors that boards and hosts have.
ELF_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# /proc/cpuinfo of an ARM core names it by number: implementer 0x41 (Arm), part as in Arm's reference manuals.
ARM_PARTS = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE", "0xd44": "Cortex-X1",
    "0xc07": "Cortex-A7", "0xc09": "Cortex-A9",
}  # fmt: skip


def read_text(path: Path) -> str:
    """Return a file's text without the NULs and spaces at its ends; "" for one that cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def device_tree(root: Path, name: str) -> str:
    """Return a property of the device tree's root, which /proc/device-tree is a link to."""
    return read_text(root / "sys/firmware/devicetree/base" / name)


def cpuinfo_values(root: Path, key: str) -> list[str]:
    """Return each value of a key in /proc/cpuinfo, in order."""
    rows = (line.partition(":") for line in read_text(root / "proc/cpuinfo").splitlines())
    return [value.strip() for name, _, value in rows if name.strip() == key]


def board_facts(root: Path) -> dict[str, object]:
    """Return model, SoC, processor, cores, memory, system and kernel of the machine whose files stand under `root`."""
    compatible = device_tree(root, "compatible").split("\0")
    return {
        "host": platform.node(),
        "model": _board_model(root),
        "soc": compatible[-1] if compatible[0] else "",  # brcm,bcm2711: boards come first, the SoC last
        "processor": _processor(root),
        "machine": platform.machine(),
        "cores": usable_cores(),
        "memory_bytes": memory_bytes(root, "MemTotal") or 0,
        "system": _os_name(root),
        "kernel": platform.release(),
        "emulated_by": emulated_by(),
    }


def usable_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes(root: Path, key: str) -> int | None:
    """Return a row of /proc/meminfo in bytes, None where there is none."""
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    return None


def emulated_by() -> str:
    """Return what emulates this process's processor, "" where it runs by itself.

    An emulator answers for /proc/self, but not for a child: the program behind the child is the emulator's own, of
    another processor's kind.
    """
    child = os.fork() if hasattr(os, "fork") and Path("/proc/self/exe").exists() else -1
    if child == -1:
        return ""
    if child == 0:
        import time

        time.sleep(5)
        os._exit(0)
    try:
        return _foreign_program(Path(f"/proc/{child}/exe"))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def _foreign_program(link: Path) -> str:
    try:
        with link.open("rb") as file:
            head = file.read(20)
        name = Path(os.readlink(str(link))).name  # noqa: PTH115  # Path.readlink came with Python 3.9
    except OSError:
        return ""
    kind = ELF_MACHINES.get(struct.unpack_from("<H", head, 18)[0], "") if head[:4] == b"\x7fELF" else ""
    own = {"armv7l": "arm", "armv6l": "arm", "armv8l": "arm", "i686": "i386", "i586": "i386", "amd64": "x86_64"}
    machine = own.get(platform.machine(), platform.machine())
    # A 32-bit program on a 64-bit kernel of its own family is not emulated.
    families = {
        machine,
        "aarch64" if machine == "arm" else machine,
        {"aarch64": "arm", "x86_64": "i386"}.get(machine, ""),
    }
    return f"{name} ({kind})" if kind and kind not in families else ""


def _board_model(root: Path) -> str:
    model = device_tree(root, "model") or "".join(cpuinfo_values(root, "Model")[:1])
    if model:
        return model
    rows = (read_text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    return " ".join(row for row in rows if row)


def _processor(root: Path) -> str:
    names = cpuinfo_values(root, "model name") or cpuinfo_values(root, "Processor")
    if names:
        return names[0]
    parts = cpuinfo_values(root, "CPU part")
    kinds = sorted({ARM_PARTS.get(part, part) for part in parts}, key=str)
    counts = [sum(ARM_PARTS.get(part, part) == kind for part in parts) for kind in kinds]
    return " + ".join(f"{count} x {kind}" for count, kind in zip(counts, kinds))  # noqa: B905  # not in Python 3.7


def _os_name(root: Path) -> str:
    rows = (line.partition("=") for line in read_text(root / "etc/os-release").splitlines())
    values = {name: value.strip('"') for name, _, value in rows}
    return values.get("PRETTY_NAME") or (f"{platform.system()} {platform.release()}").strip()
