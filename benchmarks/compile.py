"""Have the real Edge TPU compiler compile models where it is, and hold what it wrote against what was predicted.

Nothing is written unless the compiler says that it compiled, and its files hold programs for the chip.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compilers import WAYS, Compiler
from converters.check.check import ACCELERATORS, check_graph, naming
from converters.check.compiled import Package, read_packages
from converters.check.graph import Graph, read_graph
from converters.check.report import CheckReport
from converters.edgetpu.failures import explain
from converters.edgetpu.log import CompilerLog, parse_log, parse_version
from converters.edgetpu.operation_log import Status, parse_operation_log
from converters.edgetpu.options import COMPILED_ENDING, OUT, CompilerOptions, arguments, output_names, working_names
from converters.model_file import read_model_file
from devices.workroom import OUTPUT, Workroom
from edgenet.artifact import MANIFEST_SUFFIX, Artifact, beside, find_artifacts, sha256
from edgenet.errors import GateFailed, InputError, MissingError
from edgenet.progress import Report

TARGET = "edgetpu"
VERSION_S = 120.0  # a container's first start
GRACE_S = 10.0  # the compiler's own timer comes first, where it has one
LEAST_LIMIT_BYTES, LIMIT_TIMES = 64 << 20, 8  # of one file that it writes, against all models' bytes
NOT_FOUND = (126, 127)  # a shell's words for "cannot be run" and "not there"
ENGINE_FAILED = 125  # Docker's and Podman's own
TOO_LARGE = 128 + 25  # SIGXFSZ


@dataclass(frozen=True)
class Source:
    """A model to compile, with what is predicted of it; `artifact` where it has a manifest."""

    path: Path
    artifact: Artifact | None
    sha256: str
    graph: Graph
    report: CheckReport


@dataclass(frozen=True)
class Written:
    """A file of the compiler's, read again: what it holds for the chip."""

    content: bytes
    log: bytes  # its operation log
    graph: Graph
    packages: tuple[Package, ...]


@dataclass(frozen=True)
class Compiled:
    """What became of one model: one file, or one a segment."""

    source: Source
    version: str
    place: str
    arguments: tuple[str, ...]
    compile_s: float
    numbers: dict[str, int]  # the log's, by converters.edgetpu.log's names
    statuses: tuple[Status, ...]
    files: tuple[Written, ...]


def read_sources(paths: Sequence[Path]) -> list[Source]:
    """Return the models of files with what is predicted of each.

    Raise InputError for a file that is damaged, is compiled already, or computes on other numbers than 8 bits.
    """
    stems = [path.stem for path in paths]
    twice = next((stem for stem in stems if stems.count(stem) > 1), "")
    if twice:
        raise InputError(f"two models are called {twice}", mend="rename one: their files would have one name")
    return [_read(path) for path in paths]


def _read(path: Path) -> Source:
    content = read_model_file(path, "a .tflite")
    with naming(path):
        graph = read_graph(content)
        if read_packages(graph):
            raise InputError("it is compiled already", mend="name the file that it was made of")
        ACCELERATORS[TARGET].refuse(graph)
        report = check_graph(graph, TARGET, path.name)
    artifact = find_artifacts(path)[0] if beside(path, MANIFEST_SUFFIX).exists() else None
    return Source(path, artifact, sha256(content), graph, report)


def compile_sources(
    sources: Sequence[Source], compiler: Compiler, options: CompilerOptions, report: Report
) -> list[Compiled]:
    """Return what the compiler made of models, which it compiles together.

    Raise MissingError where it is not there, GateFailed where it gives up or what it writes is no compiled file,
    DeviceTimeout, DeviceLost and DeviceFull.
    """
    largest = max(LEAST_LIMIT_BYTES, LIMIT_TIMES * sum(source.path.stat().st_size for source in sources))
    name = f"edgenet-{uuid.uuid4().hex}"
    try:
        with Workroom(compiler.device, largest, report) as room:
            return _Work(sources, compiler, options, report, room, largest, name).compile()
    finally:
        compiler.end(name)
        compiler.device.clean_up()


@dataclass(frozen=True)
class _Work:
    """One call of the compiler."""

    sources: Sequence[Source]
    compiler: Compiler
    options: CompilerOptions
    report: Report
    room: Workroom
    largest_bytes: int
    name: str

    def compile(self) -> list[Compiled]:
        version = self._version()
        names = working_names([source.path.stem for source in self.sources])
        words = arguments(self.options, version, names)
        self.room.make_folder(OUT)
        for name, source in zip(names, self.sources, strict=True):
            self.room.send(name, source.path)
        status, printed = self._run(words, self.options.timeout_s + GRACE_S, "compiling, seconds")
        log = parse_log(printed)
        if status or log.compile_s is None:
            raise self._gave_up(printed, status)
        return [
            self._compiled(source, name, version, words, log) for name, source in zip(names, self.sources, strict=True)
        ]

    def _version(self) -> str:
        status, printed = self._run(["--version"], VERSION_S, f"asking {self.compiler.place}, seconds")
        if status in NOT_FOUND:
            raise MissingError(f"{self.compiler.place} has no {self.compiler.program} that runs", mend=WAYS)
        return parse_version(printed)

    def _run(self, words: Sequence[str], timeout_s: float, step: str) -> tuple[int, bytes]:
        command = self.compiler.command(self.name, self.room.folder, self.largest_bytes, words)
        status = self.room.run(command, timeout_s, step)
        size_bytes = self.room.sizes([OUTPUT]).get(OUTPUT, 0)
        if status == TOO_LARGE or size_bytes >= self.largest_bytes:
            limit = f"{self.largest_bytes >> 20} MiB"
            raise GateFailed(f"the compiler wrote a file of over {limit} and was ended", mend="see what program it is")
        printed = self.room.fetch(OUTPUT, size_bytes) if size_bytes else b""
        if self.compiler.container and status == ENGINE_FAILED:
            raise MissingError(f"{self.compiler.place} cannot be run: {explain(printed, status)[0]}", mend=WAYS)
        return status, printed

    def _gave_up(self, printed: bytes, status: int) -> GateFailed:
        names = ", ".join(source.path.name for source in self.sources)
        reason, mend = explain(printed, status)
        return GateFailed(f"the compiler gave up on {names}: {reason}", mend=mend)

    def _compiled(self, source: Source, name: str, version: str, words: list[str], log: CompilerLog) -> Compiled:
        names = output_names(name, self.options.segments)
        files = tuple(self._written(*pair) for pair in names)
        statuses = [
            row for file, (_, of) in zip(files, names, strict=True) for row in parse_operation_log(file.log, of)
        ]
        if not all(file.packages for file in files):
            raise _nothing(source, statuses)
        return Compiled(
            source=source,
            version=version,
            place=self.compiler.place,
            arguments=tuple(words),
            compile_s=log.compile_s or 0.0,
            numbers=_sum([log.of(f"{model.removesuffix(COMPILED_ENDING)}.tflite") for model, _ in names]),
            statuses=tuple(statuses),
            files=files,
        )

    def _written(self, model: str, log: str) -> Written:
        places = [f"{OUT}/{model}", f"{OUT}/{log}"]
        sizes = self.room.sizes(places)
        missing = next((place for place in places if not sizes.get(place)), "")
        if missing:
            raise GateFailed(f"the compiler says that it compiled, but wrote no {missing}", mend="try again")
        content, told = (self.room.fetch(place, sizes[place]) for place in places)
        try:
            graph = read_graph(content)
            return Written(content, told, graph, tuple(read_packages(graph)))
        except InputError as error:
            raise GateFailed(f"what the compiler wrote as {model} is damaged: {error.what}", mend=error.mend) from error


def _nothing(source: Source, statuses: Sequence[Status]) -> GateFailed:
    first = next((f": {row.operator}: {row.text}" for row in statuses if not row.mapped), "")
    mend = next((row.mend for row in source.report.others if row.mend), "edgenet check tells what it may have refused")
    return GateFailed(f"nothing of {source.path.name} would run on the chip{first}; no file is written", mend=mend)


def _sum(rows: Sequence[dict[str, int]]) -> dict[str, int]:
    """Return the numbers of a pipeline's segments together."""
    return {key: sum(row[key] for row in rows) for key in sorted(set().union(*rows)) if all(key in row for row in rows)}
