"""Which runtime goes on which device: a table of devices as they are met."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.runtimes import ANY, Target, plan
from devices.wheels import command, platforms
from edgenet.errors import MissingError

LITERT = ("ai-edge-litert", "onnxruntime")
GLIBC_27, GLIBC_28, GLIBC_31, GLIBC_36 = (("glibc", (2, minor)) for minor in (27, 28, 31, 36))
NO_GLIBC = ("", ANY)


@dataclass(frozen=True)
class Case:
    id: str
    target: Target
    requirements: tuple[str, ...]
    system_numpy: bool = False


CASES = [
    Case("Pi OS bookworm", Target("Linux", "aarch64", GLIBC_36, (3, 11)), LITERT),
    Case("Pi OS bullseye", Target("Linux", "aarch64", GLIBC_31, (3, 9)), LITERT),
    Case("Pi OS trixie", Target("Linux", "aarch64", ("glibc", (2, 41)), (3, 13)), LITERT),
    Case("PC", Target("Linux", "x86_64", GLIBC_36, (3, 14)), LITERT),
    Case("Mac", Target("Darwin", "arm64", NO_GLIBC, (3, 12)), LITERT),
    Case(
        "Ubuntu 20.04",
        Target("Linux", "aarch64", GLIBC_31, (3, 8)),
        ("tflite-runtime==2.13.0", "onnxruntime", "numpy<2"),
    ),
    Case("old PC", Target("Linux", "x86_64", GLIBC_31, (3, 8)), ("tflite-runtime==2.14.0", "onnxruntime", "numpy<2")),
    Case(
        "Coral's Mendel",
        Target("Linux", "aarch64", GLIBC_28, (3, 7)),
        ("tflite-runtime==2.11.0", "onnxruntime", "numpy<2"),
    ),
    Case("32-bit bookworm", Target("Linux", "armv7l", GLIBC_36, (3, 11)), ("tflite-runtime==2.14.0",), True),
    Case("32-bit bullseye", Target("Linux", "armv7l", GLIBC_31, (3, 9)), ("tflite-runtime==2.13.0",), True),
    Case("32-bit buster", Target("Linux", "armv7l", GLIBC_28, (3, 7)), ("tflite-runtime==2.11.0",), True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_installed(case: Case) -> None:
    chosen = plan(case.target)
    assert chosen.requirements == case.requirements
    assert chosen.system_numpy == case.system_numpy
    assert chosen.modules[0] == ("ai_edge_litert" if case.requirements == LITERT else "tflite_runtime")
    assert ("onnxruntime" in chosen.modules) == ("onnxruntime" in case.requirements)


@dataclass(frozen=True)
class Nothing:
    id: str
    target: Target
    mend: str


NOTHING = [
    Nothing(
        "Jetson Nano's own Python", Target("Linux", "aarch64", GLIBC_27, (3, 6)), "install a Python from 3.7 to 3.14"
    ),
    Nothing(
        "32-bit trixie", Target("Linux", "armv7l", ("glibc", (2, 41)), (3, 13)), "install a Python from 3.7 to 3.11"
    ),
    Nothing("3.11 on bullseye", Target("Linux", "armv7l", GLIBC_31, (3, 11)), "install a Python from 3.7 to 3.10"),
    Nothing("first Zero", Target("Linux", "armv6l", GLIBC_36, (3, 11)), "one of these processors: aarch64, arm64"),
    Nothing("RISC-V", Target("Linux", "riscv64", GLIBC_36, (3, 11)), "one of these processors"),
    Nothing("Alpine", Target("Linux", "aarch64", NO_GLIBC, (3, 11)), "use a system with glibc"),
    Nothing("ancient", Target("Linux", "aarch64", ("glibc", (2, 12)), (3, 8)), "glibc 2.17 or later is needed"),
    Nothing("Termux", Target("Android", "aarch64", NO_GLIBC, (3, 12)), "benchmark_binary in devices.toml"),
]


@pytest.mark.parametrize("case", NOTHING, ids=lambda case: case.id)
def test_nothing_has_wheels(case: Nothing) -> None:
    with pytest.raises(MissingError) as caught:
        plan(case.target)
    assert case.mend in caught.value.mend
    assert case.target.machine in caught.value.what


def test_the_command_that_fetches_for_another_machine() -> None:
    target = Target("Linux", "armv7l", ("glibc", (2, 19)), (3, 9))
    assert platforms(target) == [*(f"manylinux_2_{minor}_armv7l" for minor in (19, 18, 17)), "manylinux2014_armv7l"]
    arguments = command(plan(target), target, Path("/to"))
    assert arguments[1:4] == ["-m", "pip", "download"]
    assert arguments[arguments.index("--python-version") + 1] == "3.9"
    assert "--only-binary=:all:" in arguments
    assert arguments[-3:] == ["--no-deps", "--", "tflite-runtime==2.13.0"]  # NumPy is the system's
    with pytest.raises(MissingError, match="cannot be fetched from here"):
        platforms(Target("Darwin", "arm64", NO_GLIBC, (3, 12)))
