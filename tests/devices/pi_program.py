"""What runs in the namespaces of `tests.devices.emulated_pi`: it makes the board out of a root folder, and starts sshd.

Its one argument is a file with a `Board` as JSON. It writes the number that its process has for the tester, or what
went wrong.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.devices.namespaces import MS_RDONLY, bind, mount
from tests.devices.processes import is_alive

BINFMT = "/run/emulators"  # where the list of emulators shows on the board
ENTRY = "edgenet-"  # how our entries in it begin; then follow the number of the process that made it, and more
CORES = "devices/system/cpu"
CPUFREQ = {
    "scaling_governor": "ondemand",
    "scaling_available_governors": "conservative ondemand userspace powersave performance schedutil",
    "scaling_cur_freq": "1500000",
    "scaling_min_freq": "600000",
    "scaling_max_freq": "1500000",
    "cpuinfo_min_freq": "600000",
    "cpuinfo_max_freq": "1500000",
}


@dataclass(frozen=True)
class Board:
    """How the board is made."""

    root: str
    emulator: str  # a static qemu-user of this machine
    elf_class: int  # 1: 32 bits, 2: 64 bits
    elf_machine: int
    cpu: str  # what qemu pretends to be
    cpuinfo: str
    model: str
    name: str  # of its entry in the list of emulators
    home: str
    user_number: int
    disk_bytes: int  # not 0: the home is a disk of that size, empty


def register(board: Board, place: Path) -> None:
    """Let the kernel run the board's programs by qemu; raise OSError.

    The list of emulators is one for the whole machine, so the entry bears its maker's number; `emulated_pi` takes it
    away, and those of makers that were killed are taken away here. F: the kernel opens qemu now, so that
    it need not lie in the board's root; P: programs see their own name.
    """
    place.mkdir(exist_ok=True)
    mount("binfmt_misc", place, "binfmt_misc")
    for entry in place.glob(f"{ENTRY}*"):
        if not is_alive(int(entry.name.removeprefix(ENTRY).split("-")[0])):
            entry.write_text("-1")
    number = board.elf_machine
    magic = bytes([0x7F, *b"ELF", board.elf_class, 1, 1, 0, *[0] * 8, 2, 0, number & 255, number >> 8])
    mask = bytes([*[255] * 7, 0, *[255] * 8, 0xFE, 255, 255, 255])  # type 2 or 3: a program, fixed in place or not
    words = ("".join(f"\\x{byte:02x}" for byte in part) for part in (magic, mask))
    line = f":{board.name}:M:0:{':'.join(words)}:{board.emulator}:PF"
    (place / "register").write_text(line)


def make_system(board: Board) -> None:
    """Give the board /dev, /proc, and a /sys with the clock, the thermometer and the device tree of a Pi."""
    root = Path(board.root)
    if board.disk_bytes:
        owner = f"uid={board.user_number},gid={board.user_number},mode=700"
        mount("tmpfs", root / board.home, "tmpfs", 0, f"size={board.disk_bytes},{owner}")
    bind(Path("/dev"), root / "dev")
    mount("proc", root / "proc", "proc")
    # qemu shows this machine's own; LiteRT 2.3.0 crashes on it.
    (root / "etc/board_cpuinfo").write_text(board.cpuinfo)
    bind(root / "etc/board_cpuinfo", root / "proc/cpuinfo")
    # Without /sys, XNNPACK does not find the cores and silently stays off.
    mount("sysfs", root / "sys", "sysfs", MS_RDONLY)
    cores = _copied(root / "sys" / CORES)
    _fill(cores / "cpufreq" / "policy0", CPUFREQ)
    for core in cores.glob("cpu[0-9]*"):
        (core / "cpufreq").symlink_to("../cpufreq/policy0")
    thermal = _empty(root / "sys/class/thermal")
    _fill(thermal / "thermal_zone0", {"type": "cpu-thermal", "temp": "48312"})
    firmware = _empty(root / "sys/firmware")
    (firmware / "devicetree/base").mkdir(parents=True)
    (firmware / "devicetree/base/model").write_bytes(board.model.encode() + b"\0")


def _copied(folder: Path) -> Path:
    """Put a writable copy of a folder of /sys in its place: the numbers that it holds, and its folders."""
    found = [(path.relative_to(folder), path.is_dir()) for path in folder.rglob("*") if not path.is_symlink()]
    contents = {name: _number(folder / name) for name, is_folder in found if not is_folder}
    _empty(folder)
    for name, is_folder in found:
        if is_folder:
            (folder / name).mkdir(parents=True, exist_ok=True)
        elif content := contents[name]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


def _number(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # some of them can only be written, or not on every machine


def _empty(folder: Path) -> Path:
    mount("tmpfs", folder, "tmpfs", 0, "mode=755")
    return folder


def _fill(folder: Path, values: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")


def main() -> None:
    """Make the board and become its sshd."""
    board = Board(**json.loads(Path(sys.argv[1]).read_text()))
    number = Path("/proc/self").readlink().name  # this /proc is still the tester's
    try:
        bind(Path(board.root), Path(board.root))  # so that / is a mount as on other systems
        register(board, Path(board.root + BINFMT))
        make_system(board)
    except OSError as error:
        print(f"{error.strerror}: {error.filename}", flush=True)
        sys.exit(1)
    socket.sethostname("raspberrypi")
    os.chroot(board.root)
    os.chdir("/")
    print(number, flush=True)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "QEMU_CPU": board.cpu}
    os.execve("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-E", "/run/sshd.log", "-f", "/etc/ssh/board"], environment)


if __name__ == "__main__":
    main()
