"""A double of TFLite's benchmark_model, for no real one can be had from the package registries.

Its text is written after the tool's sources and its times are made up: no test may believe them. What is real are the
answers that it writes for --output_filepath: this machine's runtime runs the model on the given input.

`launcher` makes the ELF file that is sent to a device; started there, it runs a script that the device has, which runs
this file as a program: MODE and the tool's own flags. The modes are those of `MODES`.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

SITE = "DOUBLES_SITE"  # names the folders where the runtime lies
MODES = {
    "litert": "all that a present one can",
    "old": "of TensorFlow 2.3 to 2.13: no answers, no peak of memory, no percentiles",
    "mirrored": "answers that are wrong",
    "nan": "answers that are no numbers",
    "short": "half of an answer",
    "slow": "takes its time for whatever it is asked",
}
UNKNOWN = {"old": ("--output_filepath", "--report_peak_memory_footprint")}
SLOW_S = 60.0

X86_64, AARCH64 = 62, 183  # e_machine
# execve(path, argv, envp) with what the kernel put on the stack, then exit(127); the path follows the code.
CODE = {
    X86_64: bytes.fromhex(
        "488b0424"  # mov rax, [rsp]
        "488d742408"  # lea rsi, [rsp+8]
        "488d54c608"  # lea rdx, [rsi+rax*8+8]
        "488d3d13000000"  # lea rdi, [rip+19]
        "b83b000000 0f05"  # execve
        "bf7f000000 b83c000000 0f05"  # exit
    ),
    AARCH64: struct.pack(
        "<10I",
        0xF94003E3,  # ldr x3, [sp]
        0x910023E1,  # add x1, sp, #8
        0x8B030C22,  # add x2, x1, x3, lsl #3
        0x91002042,  # add x2, x2, #8
        0x100000C0,  # adr x0, #24
        0xD2801BA8,  # mov x8, #221
        0xD4000001,  # svc #0
        0xD2800FE0,  # mov x0, #127
        0xD2800BA8,  # mov x8, #93
        0xD4000001,  # svc #0
    ),
}
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}
BASE, HEADERS_BYTES = 0x400000, 64 + 56


def launcher(script: str, machine: str) -> bytes:
    """Return a static ELF executable that runs a script of the device with its own arguments."""
    kind = MACHINES[machine]
    content = CODE[kind] + script.encode() + b"\0"
    size = HEADERS_BYTES + len(content)
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", identity, 2, kind, 1, BASE + HEADERS_BYTES, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + content


def script(mode: str, site: str) -> str:
    """Return the script that the device has for a mode."""
    return f'#!/bin/sh\n{SITE}={site} exec {sys.executable} -S {Path(__file__).resolve()} {mode} "$@"\n'


def main(mode: str, arguments: list[str]) -> int:
    """Do what the tool would do, and print what it would print."""
    value = dict(argument[2:].partition("=")[::2] for argument in arguments)
    unknown = [argument for argument in arguments if argument.startswith(UNKNOWN.get(mode, "--?"))]
    if unknown:
        print("WARN: Unconsumed cmdline flags:", *unknown)
    if mode == "slow":
        time.sleep(SLOW_S)
    elif "output_filepath" in value and not unknown:
        given = Path(value["input_layer_value_files"].removeprefix("input:"))
        Path(value["output_filepath"]).write_bytes(answer(Path(value["graph"]), given.read_bytes(), mode))
    base_us = Path(value["graph"]).stat().st_size // 20 / int(value["num_threads"])
    say(value, base_us, mode)
    return 0


def answer(graph: Path, content: bytes, mode: str) -> bytes:
    """Return a model's output for the bytes of its input, by this machine's runtime."""
    sys.path += os.environ[SITE].split(os.pathsep)
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(graph))
    interpreter.allocate_tensors()
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], np.frombuffer(content, given["dtype"]).reshape(given["shape"]))
    interpreter.invoke()
    values = interpreter.get_tensor(got["index"])
    if mode == "mirrored":
        values = values[:, ::-1]
    if mode == "nan":
        values = np.full_like(values, np.nan)
    told: bytes = values.tobytes()
    return told[: len(told) // 2] if mode == "short" else told


def say(value: dict[str, str], base_us: float, mode: str) -> None:
    """Print the text of one process."""
    jitter = time.time_ns() // 1000 % 100 / 10_000  # under 1 %
    runs = int(value["num_runs"])
    samples = [round(base_us * (1 + jitter + 0.001 * (7 * index % runs))) for index in range(runs)]
    warm = [round(3 * base_us), *samples] if value["warmup_runs"] != "0" else []
    took = "completely executed by the delegate." if value["use_xnnpack"] == "true" else ""
    print("INFO: STARTING!")
    if took and mode != "old":
        print(
            "VERBOSE: Replacing 64 out of 64 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions."
        )
    if took:
        print(f"INFO: Explicitly applied XNNPACK delegate, and the model graph will be {took}")
    for phase in (warm, samples):
        print(
            "INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 150 s."
        )
        print("INFO:", counted(phase, percentiles=mode != "old"))
    mean = sum(samples) / runs
    first, warmup = (warm[0], f"{sum(warm) / len(warm):g}") if warm else (0, "nan")
    head = f"Init: {round(9 * base_us)}, First inference: {first}"
    print(f"INFO: Inference timings in us: {head}, Warmup (avg): {warmup}, Inference (avg): {mean:g}")
    if "enable_op_profiling" in value:
        print(PROFILE)


def counted(samples: list[int], percentiles: bool) -> str:
    """Return a `count=` line as xla/tsl/util/stats_calculator.h writes it."""
    ordered, count = sorted(samples), len(samples)
    if not samples:
        line = "count=0"
    elif ordered[0] == ordered[-1]:
        line = f"count={count} curr={samples[-1]}" + ("(all same)" if count > 1 else "")
    else:
        mean = sum(samples) / count
        std = (sum((sample - mean) ** 2 for sample in samples) / count) ** 0.5
        line = f"count={count} first={samples[0]} curr={samples[-1]} min={ordered[0]} max={ordered[-1]}"
        line += f" avg={mean:g} std={std:.0f}"
    if not percentiles:
        return line
    low, median, high = (ordered[int(share * count)] if ordered else 0 for share in (0.05, 0.5, 0.95))
    return f"{line} p5={low} median={median} p95={high}"


PROFILE = """\
Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 CONV_2D\t    4.269\t    4.250\t 60.000%\t 60.000%\t     0.000\t        1\t[stem]:0
\t         FULLY_CONNECTED\t    2.150\t    2.833\t 40.000%\t100.000%\t     0.000\t        1\t[head]:1
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
