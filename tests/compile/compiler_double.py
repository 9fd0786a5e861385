"""A DOUBLE of edgetpu_compiler: it speaks the published command line and logs of version 16.0 and compiles nothing.

For a model of ../shared/data/edgetpu-pairs it hands over what the real compiler made of it; for any other it writes a
file in that shape. `mode` says how it behaves; `left` is how many ops at the end it leaves to the CPU.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = "16.0.384591198"
MIB = 2**20
MAPPED, BEHIND = "Mapped to Edge TPU", "More than one subgraph is not supported"
FAILURES = {
    "refused": "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '9'.\n\nERROR: Registration failed.\n",
    "dynamic": "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph that has "
    "dynamic-sized tensors.\nCompilation failed: Model failed in Tflite interpreter. Please ensure model can be "
    "loaded/run in Tflite interpreter.\n",
    "internal": "Internal compiler error. Aborting! \n",
    "crashed": "libc++abi: terminating with uncaught exception of type std::out_of_range: vector\n",
    "own timeout": "Compilation timeout. This is usually caused by large activations.\n",
}


def write_double(place: Path, mode: str = "good", left: int = 0) -> Path:
    """Write an executable `edgetpu_compiler` into a folder and return it; its calls are noted in `calls` beside it."""
    path = place / "edgetpu_compiler"
    place.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, str(Path(__file__).resolve()), mode, str(left), str(place / "calls")]
    path.write_text(f'#!/bin/sh\n# A double: see tests/compile/compiler_double.py.\nexec {shlex.join(program)} "$@"\n')
    path.chmod(0o755)
    return path


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="edgetpu_compiler")
    parser.add_argument("-v", "--version", action="store_true")
    parser.add_argument("-o", "--out_dir", default=".")
    parser.add_argument("-s", "--show_operations", action="store_true")
    parser.add_argument("-m", "--min_runtime_version", type=int)
    parser.add_argument("-n", "--num_segments", type=int, default=1)
    parser.add_argument("-i", "--intermediate_tensors", default="")
    parser.add_argument("-d", "--search_delegate", action="store_true")
    parser.add_argument("-k", "--delegate_search_step", type=int, default=1)
    parser.add_argument("-t", "--timeout_sec", type=int, default=180)
    parser.add_argument("-a", "--enable_multiple_subgraphs", action="store_true")
    parser.add_argument("models", nargs="*")
    return parser.parse_args(words)


def _table(operators: list[str], taken: int) -> str:
    counts = Counter((name, MAPPED if index < taken else BEHIND) for index, name in enumerate(operators))
    rows = [f"{name:<30} {count:<10} {status}\n" for (name, status), count in counts.items()]
    return f"{'Operator':<30} {'Count':<10} Status\n\n" + "".join(rows)


def _pair(content: bytes) -> bytes | None:
    """Return what the real compiler made of a model, None for one that is none of the pairs."""
    folder = ROOT.parent / "shared" / "data" / "edgetpu-pairs"
    for path in sorted(folder.glob("*_quant.tflite")):
        if hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest():
            return path.with_name(f"{path.stem}_edgetpu.tflite").read_bytes()
    return None


def _compile(model: Path, options: argparse.Namespace, mode: str, left: int) -> str:
    sys.path.insert(0, str(ROOT))
    from converters.check.graph import read_graph
    from tests.compile.compiled_shape import compiled

    content = model.read_bytes()
    operators = [row.name for row in read_graph(content).operators]
    taken = 0 if mode == "nothing" else len(operators) - left
    text, n = "", options.num_segments
    for index in range(n):
        stem = model.stem + (f"_segment_{index}_of_{n}" if n > 1 else "")
        out = Path(options.out_dir) / f"{stem}_edgetpu.tflite"
        share = operators[len(operators) * index // n : len(operators) * (index + 1) // n] if n > 1 else operators
        made = _pair(content) or compiled(content, taken)
        out.write_bytes(made[: len(made) // 2] if mode == "damaged" else made)
        kept = len([row for row in read_graph(made).operators if row.custom is None])
        mapped = len(share) if n > 1 else len(operators) - kept
        log = out.with_suffix(".log")
        told = "\x1b[2J nothing here\n" * 50 if mode == "garbage operations" else _table(share, mapped)
        log.write_text(f"Edge TPU Compiler version {VERSION}\nInput: {model}\nOutput: {out}\n\n{told}")
        text += (
            f"\nInput model: {stem}.tflite\nInput size: {len(content) / MIB:.2f}MiB\nOutput model: {out}\n"
            f"Output size: {len(made) / MIB:.2f}MiB\n"
            "On-chip memory used for caching model parameters: 4.00KiB\n"
            "On-chip memory remaining for caching model parameters: 7.67MiB\n"
            "Off-chip memory used for streaming uncached model parameters: 0.00B\n"
            f"Number of Edge TPU subgraphs: {1 if mapped else 0}\nTotal number of operations: {len(share)}\n"
            f"Operation log: {log}\nSee the operation log file for individual operation details.\n"
        )
    return text


def main() -> int:
    mode, left, calls = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    options = _parse(sys.argv[4:])
    with calls.open("a") as file:
        file.write(shlex.join(sys.argv[4:]) + "\n")
    if mode == "no compiler":
        print("usage: something else entirely")
        return 0
    print(f"Edge TPU Compiler version {VERSION}", flush=True)
    if options.version:
        return 0
    print(f"Started a compilation timeout timer of {options.timeout_sec} seconds.", flush=True)
    if mode == "hangs":
        for path in options.models:
            (Path(options.out_dir) / f"{Path(path).stem}_edgetpu.tflite").write_bytes(b"half a file")
        time.sleep(600)
    if mode == "garbage":
        sys.stdout.buffer.write(os.urandom(1 << 16) + b"\nInput model: ../../x\nInput size: 9999999999999999MiB\n")
        return 0
    if mode == "endless":
        block = b"y" * (1 << 20)
        while True:
            sys.stdout.buffer.write(block)
    if mode == "killed":
        os.kill(os.getpid(), 11)
    if mode in FAILURES and not (mode == "internal" and options.search_delegate):
        print(FAILURES[mode] + "Compilation child process completed within timeout period.\nCompilation failed! ")
        return 1
    texts = [_compile(Path(path), options, mode, left) for path in options.models]
    plural = "s" if len(texts) > 1 else ""
    print(f"\nModel{plural} compiled successfully in 524 ms.\n" + "".join(texts))
    print("Compilation child process completed within timeout period.\nCompilation succeeded! ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
