"""How long each op takes, from the profiler of LiteRT's C library, which the Python face does not show.

The library's functions are declared by hand, as its headers do not ship with it, so only the versions that this was
tried with are called. XNNPACK fuses and adds ops: its own names stand beside the model's where they can be paired.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

TRIED_VERSIONS = ("2.3.",)
CPU_ACCELERATOR = 1
# litert_profiler_event.h: an op of the interpreter, and an op inside a delegate that profiles itself.
INTERPRETER_OP, DELEGATED_OP = 2, 8
# XNNPACK's own steps that stand for no op of the model.
HELPERS = ("Static Reshape", "Copy", "Transpose", "Convert")
WARM_UP_RUNS = 5


class ProfileError(Exception):
    """No profile can be had, and why."""


class LitertEvent(ctypes.Structure):
    """One timed step; memory figures are not used."""

    _fields_ = (
        ("tag", ctypes.c_char_p), ("kind", ctypes.c_int), ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64), ("memory", ctypes.c_size_t * 6), ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    )  # fmt: skip


class LitertProfile:
    """A model compiled by libLiteRt for one thread, with its profiler."""

    def __init__(self, model: Path, package: Any, version: str) -> None:
        if not version.startswith(TRIED_VERSIONS):
            raise ProfileError(
                f"per-op times are read from ai-edge-litert {' or '.join(TRIED_VERSIONS)}x, not {version}"
            )
        libraries = sorted(Path(package.__file__).parent.glob("libLiteRt.*"))
        if not libraries:
            raise ProfileError("this ai-edge-litert has no libLiteRt")
        self._library = ctypes.CDLL(str(libraries[0]))
        self._texts = ctypes.create_string_buffer(b"enable_profiling = true\n")
        self._keep = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda content: None)  # ours to free, not the library's
        environment = self._new("LiteRtCreateEnvironment", 0, None)
        self._model = self._new("LiteRtCreateModelFromFile", environment, str(model).encode())
        self._compiled = self._new("LiteRtCreateCompiledModel", environment, self._model, self._options())
        self._profiler = self._new("LiteRtCompiledModelGetProfiler", self._compiled)
        subgraph = self._new("LiteRtGetModelSubgraph", self._model, ctypes.c_size_t(0))
        self._ends = [self._buffer(environment, subgraph, end) for end in ("Input", "Output")]

    def events(self, runs: int) -> list[tuple[str, float]]:
        """Return each op of the model in order with its mean time in seconds over `runs`."""
        for _ in range(min(WARM_UP_RUNS, runs)):
            self._run()
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        for _ in range(runs):
            self._run()
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (LitertEvent * max(1, count.value))()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        rows = [
            (row.tag.decode(), row.elapsed_us / 1e6) for row in events if row.kind in (INTERPRETER_OP, DELEGATED_OP)
        ]
        if not rows or len(rows) % runs:
            raise ProfileError("the runs of this model differ in their steps")
        steps = len(rows) // runs
        return [(rows[step][0], sum(row[1] for row in rows[step::steps]) / runs) for step in range(steps)]

    def _options(self) -> ctypes.c_void_p:
        options = self._new("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, CPU_ACCELERATOR)
        content = ctypes.cast(self._texts, ctypes.c_void_p)
        runtime = self._new("LiteRtCreateOpaqueOptions", b"runtime_options_string", content, self._keep)
        self._call("LiteRtAddOpaqueOptions", options, runtime)
        return options

    def _buffer(self, environment: ctypes.c_void_p, subgraph: ctypes.c_void_p, end: str) -> Any:
        first = ctypes.c_size_t(0)
        tensor = self._new(f"LiteRtGetSubgraph{end}", subgraph, first)
        tensor_type = ctypes.create_string_buffer(128)  # 72 bytes in 2.3.0
        self._call("LiteRtGetRankedTensorType", tensor, tensor_type)
        needs = self._new(f"LiteRtGetCompiledModel{end}BufferRequirements", self._compiled, first, first)
        buffer = self._new("LiteRtCreateManagedTensorBufferFromRequirements", environment, tensor_type, needs)
        return (ctypes.c_void_p * 1)(buffer.value)

    def _run(self) -> None:
        one = ctypes.c_size_t(1)
        self._call("LiteRtRunCompiledModel", self._compiled, ctypes.c_size_t(0), one, self._ends[0], one, self._ends[1])

    def _new(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call(function, *arguments, ctypes.byref(handle))
        return handle

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise ProfileError(f"{function} failed with status {status}")


def paired_names(steps: list[str], layers: list[tuple[str, str]]) -> list[str]:
    """Return a name for each step: the model's own where steps and layers (name, op) correspond one to one.

    XNNPACK keeps the order of the graph, so leaving its helpers out of the steps makes as many as there are layers.
    """
    counted = [index for index, step in enumerate(steps) if not step.startswith(HELPERS)]
    names = [f"step {index}" for index in range(len(steps))]
    if len(counted) == len(layers):
        for index, (name, _) in zip(counted, layers):  # noqa: B905  # not in Python 3.7
            names[index] = name
    return names
