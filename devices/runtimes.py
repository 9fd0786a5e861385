"""Which runtimes to install on a device: a table of what has wheels for which processor, C library and Python.

Read off the package index in November 2026 with `pip install --dry-run --only-binary=:all: --platform ...`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgenet.errors import MissingError

Version = tuple[int, int]
ANY: Version = (0, 0)
ARM_AND_X86 = ("aarch64", "x86_64")
PIP_NAMES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime", "onnxruntime": "onnxruntime"}


@dataclass(frozen=True)
class Target:
    """What decides which wheels fit: `machine` is the interpreter's, `libc` is ("", ANY) where it is not glibc."""

    system: str  # Linux, Darwin, Android
    machine: str  # aarch64, armv7l, x86_64, arm64
    libc: tuple[str, Version]
    python: Version


@dataclass(frozen=True)
class Wheels:
    """One row: from which C library and for which Pythons a requirement has wheels; `module` is what it imports as."""

    module: str
    requirement: str
    system: str
    machines: tuple[str, ...]
    glibc: Version
    pythons: tuple[Version, Version]  # first and last


# In the order of preference. ai-edge-litert is tflite-runtime's successor and applies XNNPACK to int8 graphs as well.
TFLITE = (
    Wheels("ai_edge_litert", "ai-edge-litert", "Linux", ARM_AND_X86, (2, 27), ((3, 9), (3, 14))),
    Wheels("ai_edge_litert", "ai-edge-litert", "Darwin", ("arm64",), ANY, ((3, 10), (3, 14))),
    Wheels("tflite_runtime", "tflite-runtime==2.14.0", "Linux", ("x86_64",), (2, 17), ((3, 8), (3, 11))),
    Wheels("tflite_runtime", "tflite-runtime==2.14.0", "Linux", ("aarch64", "armv7l"), (2, 34), ((3, 8), (3, 11))),
    Wheels("tflite_runtime", "tflite-runtime==2.13.0", "Linux", ("aarch64", "armv7l"), (2, 17), ((3, 8), (3, 10))),
    Wheels("tflite_runtime", "tflite-runtime==2.11.0", "Linux", (*ARM_AND_X86, "armv7l"), (2, 17), ((3, 7), (3, 7))),
)
ONNX = (
    Wheels("onnxruntime", "onnxruntime", "Linux", ARM_AND_X86, (2, 27), ((3, 7), (3, 14))),
    Wheels("onnxruntime", "onnxruntime", "Darwin", ("arm64",), ANY, ((3, 10), (3, 14))),
)
# tflite-runtime is built against NumPy 1 and crashes beside NumPy 2.
NUMPY_1 = "numpy<2"
# NumPy has no wheels for these: the system's own package has to do.
NO_NUMPY_WHEELS = ("armv7l",)


@dataclass(frozen=True)
class Plan:
    """What to install into the private environment, and the modules that it has to bring."""

    requirements: tuple[str, ...]
    modules: tuple[str, ...]
    system_numpy: bool  # the environment has to see the system's packages, of which NumPy 1 is one


def plan(target: Target) -> Plan:
    """Return what to install on a device; raise MissingError with the mend where nothing has wheels for it."""
    tflite = _first(TFLITE, target)
    if tflite is None:
        raise _nothing(target)
    onnx = _first(ONNX, target)
    system_numpy = target.machine in NO_NUMPY_WHEELS
    numpy = (NUMPY_1,) if tflite.module == "tflite_runtime" and not system_numpy else ()
    chosen = (tflite, onnx) if onnx else (tflite,)
    return Plan(
        requirements=(*(row.requirement for row in chosen), *numpy),
        modules=tuple(row.module for row in chosen),
        system_numpy=system_numpy,
    )


def _first(rows: tuple[Wheels, ...], target: Target) -> Wheels | None:
    return next((row for row in rows if _fits(row, target)), None)


def _fits(row: Wheels, target: Target) -> bool:
    name, libc = target.libc
    library_fits = row.glibc == ANY or (name == "glibc" and libc >= row.glibc)
    first, last = row.pythons
    return (
        row.system == target.system
        and target.machine in row.machines
        and library_fits
        and first <= target.python <= last
    )


def _nothing(target: Target) -> MissingError:
    name, libc = target.libc
    python = ".".join(map(str, target.python))
    library = f"{name} {libc[0]}.{libc[1]}" if name else "no glibc"
    return MissingError(
        f"no TFLite runtime has a wheel for {target.system} {target.machine}, {library}, Python {python}",
        mend=_mend(target),
    )


def _mend(target: Target) -> str:
    if target.system == "Android":
        return "give benchmark_binary in devices.toml: the runtime's own benchmark_model measures without Python"
    if target.system == "Linux" and target.libc[0] != "glibc":
        return "use a system with glibc, such as Debian or Raspberry Pi OS"
    rows = [row for row in TFLITE if row.system == target.system and target.machine in row.machines]
    if not rows:
        known = sorted({machine for row in TFLITE for machine in row.machines})
        return f"use a device with one of these processors: {', '.join(known)}"
    reached = [row for row in rows if row.glibc <= target.libc[1]]
    if not reached:
        needed = min(row.glibc for row in rows)
        return f"update the device's system: glibc {needed[0]}.{needed[1]} or later is needed"
    first, last = min(row.pythons[0] for row in reached), max(row.pythons[1] for row in reached)
    return (
        f"install a Python from {first[0]}.{first[1]} to {last[0]}.{last[1]} on the device, "
        'and name it in devices.toml: python = "/path/of/python"'
    )
