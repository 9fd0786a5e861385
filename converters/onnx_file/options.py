"""How an .onnx file is to be: its opset, and the processor that it is made for."""

from __future__ import annotations

import platform
from collections.abc import Collection, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgenet.artifact import FILE_FORMATS, FileFormat
from edgenet.errors import InputError
from edgenet.manifest import Manifest
from edgenet.precision import Precision

OnnxCpu = Literal["x86-vnni", "x86-avx2", "arm"]
ActivationType = Literal["uint8", "int8"]

ONNX_CPUS: tuple[OnnxCpu, ...] = get_args(OnnxCpu)
# 13 brings DequantizeLinear with an axis, which weights with a scale a channel need; after 21 nothing that we use.
FIRST_OPSET, LAST_OPSET = 13, 21
DEFAULT_OPSET = 17  # ONNX Runtime 1.12 of 2022 reads it, and nothing newer makes the same graph faster
ONNX_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "w8", "w8a8")
ORT_PRECISIONS: tuple[Precision, ...] = ("fp32", "w8a8")
_REASONS: dict[Precision, str] = {
    "w8d": "its convolutions would take a graph of their own that no kernel is made for",
    "w8a16": "ONNX Runtime has no kernels for int16 activations",
}
_VNNI_FLAGS = {"avx512_vnni", "avx_vnni"}


@dataclass(frozen=True)
class OnnxOptions:
    """What the user may choose of an .onnx file."""

    opset: int = DEFAULT_OPSET
    cpu: OnnxCpu = "x86-vnni"
    ort: bool = False  # write an .ort file beside it

    @property
    def activations(self) -> ActivationType:
        """Return the type of quantized activations: MLAS multiplies u8 by s8 on x86 and s8 by s8 on Arm."""
        return "int8" if self.cpu == "arm" else "uint8"

    @property
    def weight_bits(self) -> Literal[7, 8]:
        """Return how many bits of an int8 weight are used.

        Without VNNI, x86 adds two u8 * s8 products in 16 bits, which overflows (saturates) with weights beyond 64.
        """
        return 7 if self.cpu == "x86-avx2" else 8


@dataclass(frozen=True)
class FileChoice:
    """In which file formats each precision is written; `onnx` serves .onnx files alone."""

    formats: tuple[FileFormat, ...]
    onnx: OnnxOptions


TFLITE_ONLY = FileChoice(("tflite",), OnnxOptions())
BOTH = "both"


def chosen_files(name: str, opset: int | None, cpu: str, ort: bool, precisions: Collection[Precision]) -> FileChoice:
    """Return what --format, --opset, --onnx-cpu and --ort ask for; "" and None: the defaults; raise InputError."""
    name = name or "tflite"
    if name not in (*FILE_FORMATS, BOTH):
        raise InputError(f"unknown --format {name!r}", allowed=", ".join((*FILE_FORMATS, BOTH)))
    formats = FILE_FORMATS if name == BOTH else (FILE_FORMATS[FILE_FORMATS.index(name)],)
    if "onnx" in formats:
        options = chosen_options(opset, cpu, ort)
        if cpu and "w8a8" not in precisions:  # all else is the same for every processor
            raise InputError(
                f"--onnx-cpu {cpu} has no file to apply to", allowed="with --int8 (w8a8)", mend="add --int8"
            )
        return checked_files(FileChoice(formats, options), precisions)
    given = {"--opset": opset is not None, "--onnx-cpu": bool(cpu), "--ort": ort}
    for flag in (flag for flag, is_given in given.items() if is_given):
        raise InputError(f"{flag} has no file to apply to", allowed="with --format onnx or both")
    return TFLITE_ONLY


def files_of(manifest: Manifest) -> FileChoice:
    """Return the choice under which the file of a manifest was written."""
    if manifest.onnx is None:
        return TFLITE_ONLY
    record = manifest.onnx
    return FileChoice(("onnx",), OnnxOptions(record.opset, record.cpu or this_cpu(), record.ort is not None))


def checked_files(choice: FileChoice, precisions: Collection[Precision]) -> FileChoice:
    """Return a choice; raise InputError for a precision that one of its file formats does not have."""
    if "onnx" in choice.formats:
        for precision in precisions:
            _check_precision(precision, choice.onnx)
    return choice


def _check_precision(precision: Precision, options: OnnxOptions) -> None:
    """Raise InputError for a precision that no .onnx file, or no .ort file, is written in."""
    if precision not in ONNX_PRECISIONS:
        allowed = ", ".join(ONNX_PRECISIONS)
        reason = _REASONS[precision]
        raise InputError(f"{precision} is not written as ONNX: {reason}", allowed=allowed, mend="take --format tflite")
    if options.ort and precision not in ORT_PRECISIONS:
        reason = "ONNX Runtime would widen its weights to 32 bits in it"
        allowed = ", ".join(ORT_PRECISIONS)
        raise InputError(f"{precision} has no .ort file: {reason}", allowed=allowed, mend="leave out --ort")


def chosen_options(opset: int | None, cpu: str, ort: bool) -> OnnxOptions:
    """Return the options of an .onnx file; "" and None are the defaults; raise InputError for what they cannot be."""
    number = DEFAULT_OPSET if opset is None else opset
    if not FIRST_OPSET <= number <= LAST_OPSET:
        raise InputError(f"--opset cannot be {number}", allowed=f"{FIRST_OPSET} to {LAST_OPSET}")
    if cpu and cpu not in ONNX_CPUS:
        raise InputError(f"unknown --onnx-cpu {cpu!r}", allowed=", ".join(ONNX_CPUS))
    return OnnxOptions(number, ONNX_CPUS[ONNX_CPUS.index(cpu)] if cpu else this_cpu(), ort)


def this_cpu() -> OnnxCpu:
    """Return the kind of this machine's processor."""
    return cpu_of(platform.machine(), _cpu_flags())


def cpu_of(machine: str, flags: Set[str]) -> OnnxCpu:
    """Return the kind of a processor by the system's name for it and, on x86, its flags."""
    if machine.lower().startswith(("arm", "aarch")):
        return "arm"
    return "x86-vnni" if _VNNI_FLAGS & flags else "x86-avx2"


def _cpu_flags() -> set[str]:
    """Return the flags of the first core, as Linux tells them; nothing is known elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    flags = [line.partition(":")[2].split() for line in lines if line.startswith("flags")]
    return set(flags[0]) if flags else set()
