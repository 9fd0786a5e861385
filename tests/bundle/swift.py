"""Swift 6.0 for tests: Debian 13 has its compiler, package manager, Foundation and XCTest; a folder to chroot into."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT_VARIABLE = "EDGENET_SWIFT_ROOT"  # a folder that `make_root` filled already
PACKAGES = "base-files,coreutils,dash,git,libc6-dev,libstdc++-14-dev,swiftlang"
LEFT_OUT = (  # of 2.6 GB, what no test wants: static libraries, a debugger, language servers
    "/usr/libexec/swift/lib/swift_static/*",
    "/usr/libexec/swift/lib/liblldb*",
    "/usr/libexec/swift/lib/libsourcekitdInProc*",
    "/usr/libexec/swift/bin/clangd",
    "/usr/share/doc/*",
)
LONGEST_S = 1800.0
_ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'  # Swift looks for its libraries by /proc/self/exe


@dataclass(frozen=True)
class Swift:
    """A root with Swift in it; `folder` is a part of it that belongs to one user."""

    root: Path
    folder: Path

    def run(self, *words: str | Path, libraries: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in `folder`; paths of the root that stand among the words are those inside it."""
        inside = [self.inside(word) if isinstance(word, Path) else word for word in words]
        variables = [f"HOME={self.inside(self.folder)}", "PATH=/usr/libexec/swift/bin:/usr/bin:/bin"]
        if libraries:
            variables.append(f"LD_LIBRARY_PATH={self.inside(libraries)}")
        command = ["/usr/bin/env", "-i", "-C", self.inside(self.folder), *variables, *inside]
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", _ENTER, str(self.root), *command],
            capture_output=True, text=True, errors="replace", timeout=LONGEST_S, check=False,
        )  # fmt: skip

    def inside(self, path: Path) -> str:
        """Return a path of the root as programs in it see it."""
        return f"/{path.relative_to(self.root)}"


def find_swift(folder: Path) -> Iterator[Swift]:
    """Yield Swift, made in `folder` unless the environment names a root; leave nothing of it. Else skip the test."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to enter a folder with Debian 13 and Swift in it")
    named = os.environ.get(ROOT_VARIABLE)
    root = Path(named) if named else make_root(folder / "debian")
    own = root / f"tests-{os.getpid()}"
    own.mkdir()
    try:
        yield Swift(root, own)
    finally:
        shutil.rmtree(own if named else root)


def make_root(root: Path) -> Path:
    """Fill a folder with Debian 13 and Swift (a download of 0.5 GB, 2 GB on disk); skip the test where that fails."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip(f"needs mmdebstrap, or {ROOT_VARIABLE} to name a folder with Debian 13 and swiftlang")
    options = ["--quiet", "--variant=extract", f"--include={PACKAGES}"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    command = ["mmdebstrap", *options, "trixie", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"mmdebstrap could not get Debian 13 with swiftlang: {done.stderr.strip()[-200:]}")
    (root / "proc").mkdir(exist_ok=True)
    return root
