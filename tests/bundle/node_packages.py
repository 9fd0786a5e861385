"""Node.js with TypeScript and the packages of a React Native app, as npm has them."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

# Those whose dependencies are hundreds of megabytes of phones' binaries are unpacked alone: their types are what is
# wanted, and of Skia the part for Node.js, which is written over canvaskit-wasm.
INSTALLED = (
    "typescript@7.0.2", "react-native-fast-tflite@3.0.1", "react-native-nitro-modules@0.37.1", "@types/react@19.3.0",
    "@types/node@20.19.43", "canvaskit-wasm@0.41.0",
)  # fmt: skip
UNPACKED = ("react-native@0.86.3", "@react-native/virtualized-lists@0.86.3", "@shopify/react-native-skia@2.14.0")
FOLDER_VARIABLE = "EDGENET_NODE_PACKAGES"  # a folder whose node_modules holds them already
LONGEST_S = 600.0


def find_node() -> str:
    """Return Node.js; skip the test where there is none."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    return node


def find_packages(folder: Path) -> Path:
    """Return the folder node_modules, made by npm in `folder` unless the environment names one; else skip the test."""
    find_node()
    if FOLDER_VARIABLE in os.environ:
        return Path(os.environ[FOLDER_VARIABLE]) / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"needs npm, or {FOLDER_VARIABLE} to name a folder with {', '.join((*INSTALLED, *UNPACKED))}")
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    quiet = ("--silent", "--ignore-scripts", "--no-audit", "--no-fund")
    _npm(folder, npm, "install", *quiet, "--legacy-peer-deps", *INSTALLED)
    for package in UNPACKED:
        name = _npm(folder, npm, "pack", *quiet[:2], package).strip()
        place = folder / "node_modules" / package.rpartition("@")[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / name) as archive:
            archive.extractall(folder, filter="data")
        (folder / "package").rename(place)
    return folder / "node_modules"


def _npm(folder: Path, npm: str, *words: str) -> str:
    done = subprocess.run([npm, *words], cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not get {words[-1]}")
    return done.stdout


def run_tsc(packages: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the TypeScript compiler in a folder that finds the packages."""
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(packages)
    return run_node(folder, str(packages / "typescript" / "bin" / "tsc"), *words)


def run_node(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Node.js in a folder, with more variables."""
    command, variables = [find_node(), *words], {**os.environ, **(environment or {})}
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
