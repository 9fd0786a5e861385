"""Android without Python: TFLite's own benchmark_model is sent to the device, run there, and its text is read.

It prints what it counted of a phase and no samples. So one process is one block, of a count, a mean and, in newer
versions, a median; several processes in a row give the spread between blocks. Where every sample is needed,
`runs_for_samples` says how many runs a process may have: the text then tells each of them, at the price of a fresh
process (load, warm-up) every few runs.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devices.base import Description, Device, Finished
from devices.benchmark_output import BinaryReport, ignored_flags, parse_report
from devices.binary_source import binary_file, check_processor
from devices.plain_text import plain
from edgenet.errors import GateFailed, InputError, MissingError
from edgenet.progress import Report, silent
from edgenet.weights.cache import file_digest

ANSWER_S = 30.0
START_S = 120.0  # loading, and the runs that were begun when the time was up
# What `infer` asks with; those of TensorFlow before 2.14 do not know the last one.
ANSWER_FLAGS = frozenset({"--input_layer", "--input_layer_shape", "--input_layer_value_files", "--output_filepath"})
# What `profile` asks with: a binary without one of them tells less, and what it tells is right.
PROFILE_FLAGS = frozenset({"--enable_op_profiling", "--report_peak_memory_footprint"})
SHELLS_SIGNALS = {-4: "an instruction that its processor lacks", -6: "an assertion", -9: "killed", -11: "a bad address"}


class FlagsUnknown(InputError):
    """A benchmark_model does not know flags, `names`, and went on without them."""

    def __init__(self, binary: str, flags: str) -> None:
        self.names = _names(flags)
        super().__init__(
            f"{binary} does not know {plain(flags)} and went on without", mend="take a newer benchmark_model"
        )


@dataclass(frozen=True)
class BenchmarkBinary:
    """A benchmark_model that lies on a device, ready to run."""

    path: PurePosixPath
    sha256: str
    name: str  # the file or the address that it came from


@dataclass(frozen=True)
class BinarySetting:
    """How one process measures: at least `runs` runs and `min_s` seconds, after a warm-up by the same rule."""

    runs: int = 50
    min_s: float = 1.0
    max_s: float = 150.0  # the tool begins no run after it, neither in the warm-up
    warmup_runs: int = 1
    warmup_s: float = 0.5
    threads: int = 1
    xnnpack: bool = True
    affinity: tuple[int, ...] = ()  # cores; empty: wherever the system puts it


@dataclass(frozen=True)
class BinaryRun:
    """One process: when it was started and how long it took on the host's clock, and what it printed."""

    started_s: float  # since the first one was started
    elapsed_s: float
    report: BinaryReport


def prepare(device: Device, description: Description, source: str, report: Report) -> BenchmarkBinary:
    """Bring a benchmark_model, a path or https://...#sha256=HEX, to a device; raise InputError for a wrong one."""
    path = binary_file(source, report)
    check_processor(path, description.machine)
    return install(device, path, source, report)


def install(device: Device, path: Path, name: str, report: Report) -> BenchmarkBinary:
    """Bring a program to a device and make it executable for its owner alone; raise MissingError if that fails."""
    target = device.push(path, report)
    done = device.run(["chmod", "700", str(target)], ANSWER_S)
    if done.status:
        raise MissingError(f"cannot make {target} executable: {plain(done.stderr)}", mend="see who owns it")
    return BenchmarkBinary(target, file_digest(path), name)


def measure(
    device: Device,
    binary: BenchmarkBinary,
    model: PurePosixPath,
    setting: BinarySetting,
    processes: int,
    report: Report = silent,
) -> list[BinaryRun]:
    """Run a model that lies on the device in several processes, one after the other, each of which is a block.

    Nothing that disturbs the timing is switched on: `profile` is for that. The tool makes up a random input for each
    process. Raise GateFailed where it fails or crashes, InputError where it does not know a flag, DeviceTimeout.
    """
    begun_s = time.monotonic()
    runs: list[BinaryRun] = []
    report("benchmark_model", 0, processes)
    for done in range(1, processes + 1):
        started_s = time.monotonic()
        told = run_once(device, binary, flags(model, setting), setting)
        runs.append(BinaryRun(started_s - begun_s, time.monotonic() - started_s, told))
        report("benchmark_model", done, processes)
    return runs


def profile(device: Device, binary: BenchmarkBinary, model: PurePosixPath, setting: BinarySetting) -> BinaryReport:
    """Run a model once with the profile of its ops and the peak of memory, which disturb the times that it prints."""
    extra = ["--enable_op_profiling=true", "--report_peak_memory_footprint=true"]
    return run_once(device, binary, [*flags(model, setting), *extra], setting, PROFILE_FLAGS)


def infer(
    device: Device,
    binary: BenchmarkBinary,
    model: PurePosixPath,
    shape: Sequence[int],
    content: bytes,
    setting: BinarySetting,
) -> bytes:
    """Return the model's outputs, one after the other, for the bytes of its one input of a shape, [N, H, W, C].

    This is how golden vectors are checked on a device without Python; raise FlagsUnknown, with none but ANSWER_FLAGS,
    for a binary that cannot (LiteRT's can, those of TensorFlow before 2.14 cannot), and as `measure` does.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder, "input"), Path(folder, "output")
        given.write_bytes(content)
        source = device.push(given, silent)
        target = source.with_name(f"{source.name}.output")
        once = BinarySetting(1, 0.0, setting.max_s, 0, 0.0, setting.threads, setting.xnnpack, setting.affinity)
        extra = [
            "--input_layer=input",
            f"--input_layer_shape={','.join(map(str, shape))}",
            f"--input_layer_value_files=input:{source}",
            f"--output_filepath={target}",
        ]
        try:
            run_once(device, binary, [*flags(model, once), *extra], once)
            device.pull(target, got)
            return got.read_bytes()
        finally:
            device.remove(target)
            device.remove(source)


def runs_for_samples(told: BinaryReport) -> int:
    """Return how many runs a process may have so that its text tells each sample: three with a median, else two."""
    return 2 if told.inference.median_s is None else 3


def samples_of(told: BinaryReport, runs: int, what: str) -> tuple[float, ...]:
    """Return the samples of a process of `runs_for_samples` runs; raise GateFailed for a text that does not tell them.

    It may tell fewer: the tool begins no run after `max_s`.
    """
    samples_s = told.inference.samples_s if told.inference.count <= runs else ()
    if samples_s and min(samples_s) == 0 and max(samples_s) < math.inf:
        raise GateFailed(
            f"{what}: a run took less than a microsecond, which is rounded to 0",
            mend="measure where Python is: it has a finer clock",
        )
    if not samples_s or not 0 < min(samples_s) <= max(samples_s) < math.inf:
        raise GateFailed(f"{what}: its text contradicts itself", mend="measure again, or take another benchmark_model")
    return samples_s


def flags(model: PurePosixPath, setting: BinarySetting) -> list[str]:
    """Return benchmark_model's flags for a setting."""
    return [
        f"--graph={model}",
        f"--num_threads={setting.threads}",
        f"--num_runs={setting.runs}",
        f"--min_secs={setting.min_s:g}",
        f"--max_secs={setting.max_s:g}",
        f"--warmup_runs={setting.warmup_runs}",
        f"--warmup_min_secs={setting.warmup_s:g}",
        f"--use_xnnpack={str(setting.xnnpack).lower()}",
    ]


def run_once(
    device: Device,
    binary: BenchmarkBinary,
    arguments: Sequence[str],
    setting: BinarySetting,
    dispensable: frozenset[str] = frozenset(),
) -> BinaryReport:
    """Run the program and return what it printed; raise GateFailed, InputError or DeviceTimeout.

    Raise FlagsUnknown where it does not know a flag, unless all such are `dispensable`.
    """
    bound = ["taskset", _mask(setting.affinity)] if setting.affinity else []
    done = device.run([*bound, str(binary.path), *arguments], 2 * setting.max_s + START_S)
    # Versions before 2.4 write all to standard error, others what the runtime itself logs.
    text = f"{done.stdout}\n{done.stderr}"
    if done.status:
        raise GateFailed(_failure(binary, done), mend="run it on the device by hand: adb shell shows all that it says")
    unknown = ignored_flags(text)
    if not _names(unknown) <= dispensable:
        raise FlagsUnknown(binary.name, unknown)
    return parse_report(text)


def _names(flags: str) -> frozenset[str]:
    return frozenset(flag.partition("=")[0] for flag in flags.split())


def _mask(cores: Sequence[int]) -> str:
    return f"{sum(1 << core for core in set(cores)):x}"  # toybox's taskset takes hexadecimal, without 0x


def _failure(binary: BenchmarkBinary, done: Finished) -> str:
    if done.status < 0:
        why = SHELLS_SIGNALS.get(done.status, "")
        return f"{binary.name} crashed with signal {-done.status}" + (f" ({why})" if why else "")
    return f"{binary.name} ended with {done.status}: {'; '.join(_complaints(done)) or 'it says nothing'}"


def _complaints(done: Finished) -> Iterator[str]:
    """Yield what tells why it failed: its lines of errors, or else the last one of all."""
    lines = [plain(line) for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "FATAL", "error"))]
    yield from errors[-3:] or lines[-1:]
