"""The root folder of an emulated board: Debian's packages for its processor, and what their scripts would have done.

Whatever comes from the network comes by this machine's own apt and pip, as they are set up.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.devices import namespaces
from tests.devices.processes import LOOPBACK

RELEASE, PYTHON = "bookworm", "3.11"  # the last release whose Python tflite-runtime has a wheel for
USER, USER_NUMBER = "pi", 1000
PACKAGES = """base-files bash coreutils dash findutils grep gzip hostname libstdc++6 openssh-server procps
libpython3-stdlib python3-minimal python3-venv sed tar util-linux"""
ACCOUNTS = {
    # "*", not "!": sshd takes the second for a locked account.
    "passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:106:65534::/run/sshd:/usr/sbin/nologin\n"
    f"{USER}:x:{USER_NUMBER}:{USER_NUMBER}::/home/{USER}:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
    "group": f"root:x:0:\nnogroup:x:65534:\n{USER}:x:{USER_NUMBER}:\n",
    "shadow": f"root:*:19000::::::\nsshd:*:19000::::::\n{USER}:*:19000::::::\n",
    "hosts": f"{LOOPBACK} localhost raspberrypi\n",
}
VCGENCMD = """#!/bin/sh
case "$1" in
get_throttled) echo "throttled=$(cat /etc/board_throttled)" ;;
measure_temp)
    read -r temp < /sys/class/thermal/thermal_zone0/temp
    echo "temp=$((temp / 1000)).$((temp % 1000 / 100))'C" ;;
*) echo 'error=1 error_msg="Command not registered"' ;;
esac
"""


@dataclass(frozen=True)
class Architecture:
    """What differs between the two boards."""

    debian: str
    emulator: str
    elf_class: int
    elf_machine: int  # as in <elf.h>
    cpu: str  # of those that qemu knows; its best one computes a dynamic-range model wrong, see cpu "max"
    model: str
    revision: str
    core: str  # how /proc/cpuinfo describes each of its cores
    packages: str
    runtime: str  # what pip downloads
    platforms: tuple[str, ...]
    pip_options: tuple[str, ...] = ()


def _litert() -> str:
    """Return the runtime that the tests themselves use."""
    try:
        return f"ai-edge-litert=={importlib.metadata.version('ai-edge-litert')}"
    except importlib.metadata.PackageNotFoundError:
        return "ai-edge-litert"


ARCHITECTURES: Mapping[str, Architecture] = {
    "arm64": Architecture(
        debian="arm64",
        emulator="qemu-aarch64-static",
        elf_class=2,
        elf_machine=0xB7,
        cpu="cortex-a72",
        model="Raspberry Pi 4 Model B Rev 1.4",
        revision="c03114",
        core="Features\t: fp asimd evtstrm crc32 cpuid\nCPU architecture: 8\nCPU part\t: 0xd08\n",
        packages="",
        runtime=_litert(),
        platforms=("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"),
    ),
    "armhf": Architecture(
        debian="armhf",
        emulator="qemu-arm-static",
        elf_class=1,
        elf_machine=0x28,
        cpu="cortex-a15",
        model="Raspberry Pi 3 Model B Rev 1.2",
        revision="a02082",
        core="Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4\nCPU architecture: 7\nCPU part\t: 0xd03\n",
        packages="python3-numpy",  # has no wheel for armhf
        runtime="tflite-runtime==2.14.0",
        platforms=("manylinux_2_34_armv7l",),
        pip_options=("--no-deps",),
    ),
}


def mirror() -> str:
    """Return the address that this machine's apt has Debian from; "" if it has none."""
    command = ["apt-get", "indextargets", "--format", "$(LABEL) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return next((line.split()[2] for line in lines if line.startswith("Debian main ")), "")


def download(facts: Architecture, wheels: Path) -> None:
    """Bring the wheels of the board's runtime to a folder; raise RuntimeError with what pip says."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", str(wheels)]
    command += ["--implementation", "cp", "--python-version", PYTHON]
    command += [word for platform in facts.platforms for word in ("--platform", platform)]
    command += [*facts.pip_options, facts.runtime]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no wheels of {facts.runtime}: {done.stderr[-2000:]}")


def unpack(facts: Architecture, root: Path) -> None:
    """Unpack Debian's packages; no script of theirs runs, which would take minutes under qemu. Raise RuntimeError."""
    packages = ",".join([*PACKAGES.split(), *facts.packages.split()])
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={facts.debian}"]
    command += [f"--include={packages}", RELEASE, str(root), f"deb {mirror()} {RELEASE} main"]
    namespaces.run(namespaces.as_root(command), root.with_name("packages.log"))


def install(root: Path, wheels: Path) -> None:
    """Let the board's own Python import what is in the wheels; an environment made on it does not."""
    site = root / "opt/site"
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    path_file = root / f"usr/local/lib/python{PYTHON}/dist-packages/site.pth"
    path_file.parent.mkdir(parents=True, exist_ok=True)
    path_file.write_text("/opt/site\n")


def furnish(root: Path) -> None:
    """Do by hand what the packages' scripts would have done, and give the board its user."""
    for library in ("blas", "lapack"):
        for found in root.glob(f"usr/lib/*/{library}/lib{library}.so.3"):
            (found.parents[1] / found.name).symlink_to(found.relative_to(found.parents[1]))
    for name, text in {**ACCOUNTS, "board_throttled": "0x0\n", "resolv.conf": ""}.items():
        (root / "etc" / name).write_text(text)
    (root / "etc/shadow").chmod(0o600)
    (root / "usr/bin/vcgencmd").write_text(VCGENCMD)
    (root / "usr/bin/vcgencmd").chmod(0o755)
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    home = root / "home" / USER
    home.mkdir(parents=True, mode=0o700)
    os.chown(home, USER_NUMBER, USER_NUMBER)


def server_lines(port: int, facts: Architecture) -> str:
    """Return the configuration of the board's sshd."""
    lines = [
        f"ListenAddress {LOOPBACK}",
        f"Port {port}",
        "HostKey /etc/ssh/host_key",
        "AuthorizedKeysFile /etc/ssh/authorized_keys",
        f"AllowUsers {USER}",
        "AuthenticationMethods publickey",
        "UsePAM no",
        "PermitRootLogin no",
        "PidFile none",
        "PrintMotd no",
        "MaxStartups 100",
        "LoginGraceTime 300",  # all is slow here
        # "max" would be qemu's own: slow, and wrong for models with weights of 8 bits and activations of 32.
        f"SetEnv QEMU_CPU={facts.cpu}",
        "Subsystem sftp internal-sftp",
    ]
    return "".join(f"{line}\n" for line in lines)


def cpuinfo(facts: Architecture) -> str:
    """Return what a Pi of that kind says in /proc/cpuinfo."""
    core = f"BogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\n{facts.core}CPU revision\t: 3\n"
    cores = "".join(f"processor\t: {number}\n{core}\n" for number in range(4))
    return f"{cores}Revision\t: {facts.revision}\nSerial\t\t: 10000000feedface\nModel\t\t: {facts.model}\n"
