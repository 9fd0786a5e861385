"""The Edge TPU of this machine: libedgetpu and the package that it came from, the bus, and what the kernel tells.

A USB accelerator shows itself under another number once its first user has given it its firmware. A PCIe module's
driver (gasket, apex) tells the chip's temperature and from which ones on its clock is halved, again and again.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from devices.on_device.board import read_text

EDGETPU_LIBRARIES = {"linux": "libedgetpu.so.1", "darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
# USB's vendor and product: as it is plugged in (Global Unichip), and with its firmware (Google).
EDGETPU_USB_IDS = {("1a6e", "089a"): False, ("18d1", "9302"): True}
# Debian's packages exclude each other: the chip at its full 500 MHz, or at half of it.
EDGETPU_PACKAGES = {"libedgetpu1-std": "std", "libedgetpu1-max": "max"}
# The folders of libedgetpu's own builds say the same.
EDGETPU_BUILDS = {"throttled": "std", "direct": "max"}
LONGEST_NUMBER = 12
PACKAGE_SOURCE = "add Coral's package source (coral.ai/software), then sudo apt-get install libedgetpu1-std"


def edgetpu_library_name() -> str:
    """Return what libedgetpu is called on this system."""
    return EDGETPU_LIBRARIES.get(sys.platform, EDGETPU_LIBRARIES["linux"])


def edgetpu_library(root: Path) -> dict[str, str]:
    """Return the libedgetpu that this process has loaded: path, sha256, version, package, clock; "" is not known."""
    path = loaded_path(edgetpu_library_name().partition(".")[0])
    content = Path(path).read_bytes() if path else b""
    package = installed_package(root, path)
    return {
        "path": path,
        "sha256": hashlib.sha256(content).hexdigest() if content else "",
        "version": _version(path or edgetpu_library_name()),
        "package": package,
        "clock": EDGETPU_PACKAGES.get(package) or _clock_of_build(path),
    }


def loaded_path(name: str) -> str:
    """Return the file of a library that this process has loaded, "" where /proc does not tell."""
    for line in read_text(Path("/proc/self/maps")).splitlines():
        path = line.partition("/")[2]
        if Path(path).name.startswith(name):
            return "/" + path
    return ""


def installed_package(root: Path, path: str) -> str:
    """Return Debian's package that a library belongs to, "" for none: dpkg lists each package's files."""
    for package in EDGETPU_PACKAGES:
        for listing in sorted((root / "var/lib/dpkg/info").glob(package + "*.list")):
            folders = {str(Path(line).parent) for line in read_text(listing).splitlines() if "libedgetpu.so" in line}
            # Since /usr was merged, one file has two names.
            if {str(Path(path).parent), str(Path(path).parent).replace("/usr/lib", "/lib", 1)} & folders:
                return package
    return ""


def _clock_of_build(path: str) -> str:
    return next((EDGETPU_BUILDS[part] for part in Path(path).parts if part in EDGETPU_BUILDS), "")


def _version(library: str) -> str:
    """Return what libedgetpu says of itself, compiler and runtime version; "" where it says nothing."""
    try:
        tell = ctypes.CDLL(library).edgetpu_version
    except (OSError, AttributeError):
        return ""
    tell.restype = ctypes.c_char_p
    return (tell() or b"").decode("utf-8", "replace")


def edgetpu_devices(root: Path) -> list[dict[str, Any]]:
    """Return each Edge TPU that the kernel shows, with its bus, the bus' speed and the throttle points."""
    usb = [row for folder in sorted((root / "sys/bus/usb/devices").glob("*-*")) for row in _usb_device(folder)]
    return usb + [_pcie_device(folder) for folder in sorted((root / "sys/class/apex").glob("apex_*"))]


def _usb_device(folder: Path) -> list[dict[str, Any]]:
    ready = EDGETPU_USB_IDS.get((read_text(folder / "idVendor"), read_text(folder / "idProduct")))
    if ready is None:
        return []
    numbers = [read_text(folder / name) for name in ("busnum", "devnum")]
    node = "/dev/bus/usb/{}/{}".format(*(number.zfill(3) for number in numbers)) if all(numbers) else ""
    return [{
        "bus": "usb", "place": folder.name, "node": node, "has_firmware": ready, "link": "",
        "bits_per_s": _number(folder / "speed", 1e-6), "trip_points_c": [], "warnings_c": [],
    }]  # fmt: skip


def _pcie_device(folder: Path) -> dict[str, Any]:
    speed, width = (read_text(folder / "device" / name) for name in ("current_link_speed", "current_link_width"))
    trips = [_number(folder / f"trip_point{number}_temp", 1e3) for number in range(3)]
    warnings = [_number(folder / f"hw_temp_warn{number}", 1e3) for number in (1, 2)]
    return {
        "bus": "pcie", "place": folder.name, "node": "/dev/" + folder.name, "has_firmware": True,
        "link": f"{speed} x{width}" if speed and width else "", "bits_per_s": None,
        "trip_points_c": [value for value in trips if value is not None],
        "warnings_c": [value for value in warnings if value is not None],
    }  # fmt: skip


def _number(path: Path, parts: float) -> float | None:
    """Return a file's number, of which so many parts make one; None for what the kernel does not write."""
    text = read_text(path)
    digits = text.replace(".", "", 1)
    return float(text) / parts if digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER else None


def edgetpu_temperatures_c(root: Path) -> dict[str, float]:
    """Return the temperature of each chip whose driver tells it."""
    rows = {folder.name: _number(folder / "temp", 1e3) for folder in sorted((root / "sys/class/apex").glob("apex_*"))}
    return {f"Edge TPU ({name})": value for name, value in rows.items() if value is not None}


def edgetpu_trouble(root: Path, said: str) -> str:
    """Return why libedgetpu cannot be used here, and the mend for this system."""
    library = edgetpu_library_name()
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return f"no {library} here ({str(error).splitlines()[0]}): {how_to_install(root)}"
    devices = edgetpu_devices(root)
    if not devices:
        return (
            f"{library} is here, but no Edge TPU: none on USB (1a6e:089a or 18d1:9302), and no /dev/apex_0. Plug it "
            "into a USB 3 port, or install the PCIe driver (gasket-dkms)"
        )
    shut = [row for row in devices if row["node"] and not os.access(str(root / row["node"][1:]), os.R_OK | os.W_OK)]
    if shut:
        group = "plugdev" if shut[0]["bus"] == "usb" else "apex"
        return (
            "the Edge TPU at {} may not be opened by this user: sudo usermod -aG {} $USER, log in again, and {}".format(
                shut[0]["node"], group, "plug it in again" if shut[0]["bus"] == "usb" else "see its udev rule"
            )
        )
    return "{} found the Edge TPU at {} and could not use it ({}): end what else uses it, or plug it in again".format(
        library, devices[0]["place"], said
    )


def how_to_install(root: Path) -> str:
    """Return how libedgetpu gets onto this system."""
    if sys.platform == "darwin":
        return "brew install libusb, then unpack libedgetpu's release for macOS and run its install.sh"
    if sys.platform == "win32":
        return "unpack libedgetpu's release for Windows and run its install.bat"
    if "debian" in read_text(root / "etc/os-release").lower():  # ID=debian, or ID_LIKE of what comes from it
        return PACKAGE_SOURCE + " (libedgetpu1-max runs the chip at twice the clock, and hot)"
    return "put libedgetpu.so.1 of a libedgetpu release where the loader looks, and run ldconfig"
