"""The Kotlin compiler of npm, and a folder of classes that it made."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

COMPILER = "kotlin-compiler@2.4.20"
FOLDER_VARIABLE = "EDGENET_KOTLIN_COMPILER"  # where the package is unpacked already
LONGEST_S = 600.0


def find_kotlin(folder: Path) -> Path:
    """Return the compiler's folder, got by npm into `folder` unless the environment names one; else skip the test."""
    for program in ("java", "bash"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    if FOLDER_VARIABLE in os.environ:
        return Path(os.environ[FOLDER_VARIABLE])
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"needs npm, or {FOLDER_VARIABLE} to name a folder with {COMPILER}")
    command = [npm, "pack", "--ignore-scripts", COMPILER]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not get {COMPILER}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def compile_kotlin(kotlin: Path, sources: Sequence[Path], classes: Path) -> None:
    """Compile sources; a warning is a failure, too."""
    words = ["-Werror", "-jvm-target", "17", "-d", str(classes), *map(str, sources)]
    command = ["bash", str(kotlin / "bin" / "kotlinc"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run_kotlin(kotlin: Path, classes: Path, main: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a main function in a folder."""
    path = f"{classes}{os.pathsep}{kotlin / 'lib' / 'kotlin-stdlib.jar'}"
    command = ["java", "-cp", path, main, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False)
