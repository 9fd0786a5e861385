"""A Raspberry Pi over SSH, emulated: Debian for its processor, run by qemu-user, with an sshd of its own.

Its programs are the real ones for arm64 or armhf, its times are qemu's and mean nothing, and it says what a Pi says in
/proc/cpuinfo, /sys (governor, clock, thermometer, device tree) and `vcgencmd`. It needs root, for Debian's packages are
unpacked with their owners and the kernel has to be told of qemu. It runs in namespaces (`namespaces.py`): its mounts
and processes end with it, and its folder is then an ordinary one, which is removed.

The board shares the tester's network, but finds no name server there: for pip it is offline.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from tests.devices import namespaces
from tests.devices.pi_program import BINFMT, Board
from tests.devices.processes import LOOPBACK, descendants, free_port, wait_for_greeting
from tests.devices.ssh_access import client_lines, make_keys

RELEASE, PYTHON = "bookworm", "3.11"  # the last release whose Python tflite-runtime has a wheel for
USER, USER_NUMBER = "pi", 1000
START_S = 60.0
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
    ),
}


@dataclass
class Pi:
    """A running board. `ssh -F <ssh_config> pi` reaches it; paths on it are not the tester's: see `seen`."""

    architecture: str
    port: int
    user: str
    host_key_line: str  # as a line of known_hosts
    client_key: Path
    known_hosts: Path
    ssh_config: Path
    root: Path  # the board's root folder, without what is mounted in it
    wheels: Path  # what pip has for its runtime, on this machine
    board: Board
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    number: int = 0  # of its sshd

    def start(self) -> None:
        """Switch it on; raise RuntimeError if its sshd does not answer."""
        wanted = self.root.with_name("board.json")
        wanted.write_text(json.dumps(asdict(self.board)))
        program = [sys.executable, "-m", "tests.devices.pi_program", str(wanted)]
        self.process = subprocess.Popen(
            namespaces.as_root(program), cwd=namespaces.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        with self.process.stdout as answer:
            line = answer.readline().decode()
        if not line.strip().isdigit():
            self.stop()
            raise RuntimeError(f"the board cannot be made: {line}")
        self.number = int(line)
        if not wait_for_greeting(self.port, START_S).startswith(b"SSH-"):
            log = self.root / "run" / "sshd.log"
            end = log.read_text()[-2000:] if log.exists() else ""
            self.stop()
            raise RuntimeError(f"the board does not answer; its log ends with:\n{end}")

    def stop(self) -> None:
        """Switch it off at once, with all that runs on it."""
        if self.process is not None:
            with suppress(OSError):  # not there: the board never came up
                self.seen(f"{BINFMT}/{self.board.name}").write_text("-1")
            namespaces.end(self.process)
            self.process = None

    def restart(self) -> None:
        """Switch it off and on again; what lies in its files stays."""
        self.stop()
        self.start()

    def seen(self, path: str) -> Path:
        """Return where the tester finds an absolute path of the running board, /sys and /proc too."""
        return Path(f"/proc/{self.number}/root") / path.lstrip("/")

    def throttle(self, flags: int) -> None:
        """Set what `vcgencmd get_throttled` answers."""
        (self.root / "etc/board_throttled").write_text(f"{flags:#x}\n")

    def running(self) -> list[str]:
        """Return the command lines of the programs that run on the board; sshd is none of them."""
        if self.process is None:
            return []
        emulated = []
        for number in descendants(self.process.pid):
            with suppress(OSError):  # it ended meanwhile
                words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0] == self.board.emulator and words[1] != "/usr/sbin/sshd":
                    emulated.append(" ".join(words[2:]).strip())  # without qemu, and the path before the name
        return sorted(emulated)

    def wait_until_idle(self, timeout_s: float = 10.0) -> list[str]:
        """Wait until nothing runs on the board any more; return what still runs after that time."""
        end_s = time.monotonic() + timeout_s
        while (left := self.running()) and time.monotonic() < end_s:
            time.sleep(0.05)
        return left


@cache
def missing(architecture: str = "arm64") -> str:
    """Say what this machine lacks for `emulated_pi`; "" if nothing."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} cannot run another processor's programs as its own"
    if os.geteuid() != 0:
        return "an emulated board needs root"
    needed = ("apt-get", "mmdebstrap", "setpriv", "ssh", "ssh-keygen", "unshare", ARCHITECTURES[architecture].emulator)
    if lacking := [name for name in needed if shutil.which(name) is None]:
        return f"not installed: {', '.join(lacking)} (packages mmdebstrap, openssh-client, qemu-user-static)"
    if not _mirror():
        return "apt has no list of Debian's packages; run apt-get update"
    with tempfile.TemporaryDirectory() as folder:
        script = "from tests.devices.namespaces import mount; mount('binfmt_misc', '{0}', 'binfmt_misc')"
        command = namespaces.as_root([sys.executable, "-c", script.format(folder)])
        tried = subprocess.run(command, cwd=namespaces.ROOT, capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"the kernel cannot be told of qemu: {tried.stderr.strip().splitlines()[-1:]}"
    return ""


@contextmanager
def emulated_pi(
    folder: Path, architecture: str = "arm64", runtime_installed: bool = True, disk_bytes: int = 0
) -> Iterator[Pi]:
    """Run a board of `ARCHITECTURES` whose files lie in `folder`, and take it away with all of them.

    With its runtime installed, the board's python3 imports it; else it has NumPy at most, and the wheels of runtime and
    NumPy lie on this machine in `wheels`. `disk_bytes` gives it a home of that size, empty at each start. Raise
    CalledProcessError if Debian's packages or the wheels do not come.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    facts, root = ARCHITECTURES[architecture], folder / "root"
    try:
        _download(facts, folder / "wheels")
        _unpack(facts, root)
        if runtime_installed:
            _install(root, folder / "wheels")
        pi = _furnish(folder, root, architecture, disk_bytes)
        try:
            pi.start()
            yield pi
        finally:
            pi.stop()
    finally:
        for part in (root, folder / "wheels"):
            shutil.rmtree(part, ignore_errors=not part.exists())


def _mirror() -> str:
    """Return the address that this machine's apt has Debian from; "" if it has none."""
    command = ["apt-get", "indextargets", "--format", "$(LABEL) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return next((line.split()[2] for line in lines if line.startswith("Debian main ")), "")


def _download(facts: Architecture, wheels: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", str(wheels)]
    command += ["--implementation", "cp", "--python-version", PYTHON]
    command += [word for platform in facts.platforms for word in ("--platform", platform)]
    if facts.debian == "armhf":
        command += ["--no-deps"]
    subprocess.run([*command, facts.runtime], check=True, capture_output=True)


def _unpack(facts: Architecture, root: Path) -> None:
    """Unpack Debian's packages; no script of theirs runs, which would take minutes under qemu."""
    packages = ",".join([*PACKAGES.split(), *facts.packages.split()])
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={facts.debian}"]
    command += [f"--include={packages}", RELEASE, str(root), f"deb {_mirror()} {RELEASE} main"]
    subprocess.run(namespaces.as_root(command), check=True, capture_output=True)


def _install(root: Path, wheels: Path) -> None:
    site = root / "opt/site"
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    path_file = root / f"usr/local/lib/python{PYTHON}/dist-packages/site.pth"
    path_file.parent.mkdir(parents=True, exist_ok=True)
    path_file.write_text("/opt/site\n")


def _furnish(folder: Path, root: Path, architecture: str, disk_bytes: int) -> Pi:
    """Do by hand what the packages' scripts would have done, and let the tester in."""
    facts = ARCHITECTURES[architecture]
    for library in ("blas", "lapack"):
        for found in root.glob(f"usr/lib/*/{library}/lib{library}.so.3"):
            (found.parents[1] / found.name).symlink_to(found.relative_to(found.parents[1]))
    for name, text in {**ACCOUNTS, "board_throttled": "0x0\n", "resolv.conf": ""}.items():
        (root / "etc" / name).write_text(text)
    (root / "etc/shadow").chmod(0o600)
    (root / "usr/bin/vcgencmd").write_text(VCGENCMD)
    (root / "usr/bin/vcgencmd").chmod(0o755)
    port = free_port()
    host_key_line = make_keys(folder, port)
    home = root / "home" / USER
    home.mkdir(parents=True, mode=0o700)
    os.chown(home, USER_NUMBER, USER_NUMBER)
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "authorized_keys"):
        shutil.copy(folder / name, root / "etc/ssh" / name)
    (root / "etc/ssh/board").write_text(_server_lines(port, facts))
    board = Board(
        root=str(root),
        emulator=str(shutil.which(facts.emulator)),
        elf_class=facts.elf_class,
        elf_machine=facts.elf_machine,
        cpu=facts.cpu,
        cpuinfo=_cpuinfo(facts),
        model=facts.model,
        name=f"edgenet-{architecture}-{port}",
        home=f"home/{USER}",
        user_number=USER_NUMBER,
        disk_bytes=disk_bytes,
    )
    pi = Pi(
        architecture=architecture,
        port=port,
        user=USER,
        host_key_line=host_key_line,
        client_key=folder / "client_key",
        known_hosts=folder / "known_hosts",
        ssh_config=folder / "ssh_config",
        root=root,
        wheels=folder / "wheels",
        board=board,
    )
    pi.ssh_config.write_text(client_lines(pi, f"pi {LOOPBACK}"))
    return pi


def _server_lines(port: int, facts: Architecture) -> str:
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


def _cpuinfo(facts: Architecture) -> str:
    core = f"BogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\n{facts.core}CPU revision\t: 3\n"
    cores = "".join(f"processor\t: {number}\n{core}\n" for number in range(4))
    return f"{cores}Revision\t: {facts.revision}\nSerial\t\t: 10000000feedface\nModel\t\t: {facts.model}\n"
