"""What runs in the namespaces of `tests.devices.adbd`: it makes the device's root folder, moves there, and serves adb.

Its one argument is a file with a `Setting` as JSON; when it listens, it writes the number that its process has for the
tester.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.devices import adb_shell, adb_sync
from tests.devices.adb_wire import Connection, Stream
from tests.devices.namespaces import MS_RDONLY, MS_REMOUNT, bind, keep_no_privileges, mount
from tests.devices.processes import LOOPBACK

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "dev", "sys")
TEMPORARY = "/data/local/tmp"


@dataclass(frozen=True)
class Setting:
    """How the device is made. Folders are the tester's."""

    port: int
    root: str  # an empty folder, to become the device's /
    data: str  # shows as /data
    system: str  # shows as /system
    disk_bytes: int  # not 0: /data is a disk of that size instead, empty
    visible: tuple[str, ...]  # show where they are
    banner: str
    authorized: bool


def make_root(setting: Setting) -> None:
    """Mount the device's root folder and make it this process's; raise OSError."""
    root = Path(setting.root)
    mount("tmpfs", root, "tmpfs")
    for name in SYSTEM:
        source = Path("/") / name
        if source.is_symlink():
            (root / name).symlink_to(source.readlink())
        elif source.exists():
            bind(source, root / name)
    for name in setting.visible:
        bind(Path(name), root / name.lstrip("/"))
    bind(Path(setting.system), root / "system")
    if setting.disk_bytes:
        (root / "data").mkdir()
        mount("tmpfs", root / "data", "tmpfs", 0, f"size={setting.disk_bytes},mode=771")
    else:
        bind(Path(setting.data), root / "data")
    (root / TEMPORARY.lstrip("/")).mkdir(mode=0o771, parents=True, exist_ok=True)
    (root / "data/sdcard").mkdir(exist_ok=True)
    (root / "sdcard").symlink_to("/data/sdcard")
    (root / "proc").mkdir()
    mount("proc", root / "proc", "proc")
    mount("tmpfs", root, "tmpfs", MS_REMOUNT | MS_RDONLY)  # / cannot be written on Android
    os.chroot(root)
    os.chdir("/")


def environment() -> Mapping[str, str]:
    """Return what Android's shell user has."""
    return {
        "PATH": "/system/bin",
        "HOME": "/",
        "SHELL": "/system/bin/sh",
        "USER": "shell",
        "LOGNAME": "shell",
        "TMPDIR": TEMPORARY,
        "ANDROID_ROOT": "/system",
        "ANDROID_DATA": "/data",
        "EXTERNAL_STORAGE": "/sdcard",
    }


async def serve(name: str, stream: Stream) -> None:
    """Serve one stream by the name that it asks for; end it at once if there is no such service."""
    service, _, argument = name.partition(":")
    service, *options = service.split(",")
    if service == "shell":
        await adb_shell.serve(stream, argument, environment(), separate="v2" in options)
    elif service == "exec":
        await adb_shell.serve(stream, argument, environment(), separate=False)
    elif service == "sync":
        await adb_sync.serve(stream)


async def listen(setting: Setting, number: str) -> None:
    """Serve connections until killed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, setting.banner, serve, setting.authorized).run()

    server = await asyncio.start_server(connected, LOOPBACK, setting.port)
    print(number, flush=True)
    await server.serve_forever()


def main() -> None:
    """Make the device and serve it."""
    values = json.loads(Path(sys.argv[1]).read_text())
    setting = Setting(**{**values, "visible": tuple(values["visible"])})
    number = Path("/proc/self").readlink().name  # this /proc is still the tester's
    make_root(setting)
    keep_no_privileges()
    asyncio.run(listen(setting, number))


if __name__ == "__main__":
    main()
