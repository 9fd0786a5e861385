"""What the Edge TPU compiler put into a file: the executables of each `edgetpu-custom-op`.

An op's data is a FlexBuffer map whose key "4" holds a package: a flatbuffer marked `DWN1`, with the flatbuffers of one
or two executables inside (google-coral/libedgetpu, executable/executable.fbs; the numbers are its fields). A model
whose parameters stay on the chip has two: one that loads them once, and one that runs; both carry the same token.
"""

from __future__ import annotations

from dataclasses import dataclass

from converters.check.bounded import Buffer, Table
from converters.check.flexbuffer import read_map
from converters.check.graph import Graph
from edgenet.errors import InputError

CUSTOM_OP = "edgetpu-custom-op"
PACKAGE_KEY, PACKAGE_MARK = "4", b"DWN1"
LIMIT_EXECUTABLES = 64
KINDS = ("stand-alone", "parameter caching", "execution only")
TILES = 16  # of on-chip memory; the executable says what one of them holds
# What a file's description tells of the compiler, which writes its version nowhere.
COMPILERS = {"Exported from Subgraph.": "15.0 or 16.0", "Exported from Interpreter.": "before 15.0"}


@dataclass(frozen=True)
class Executable:
    """One program for the chip; `parameter_bytes` are those that it carries."""

    kind: str
    chip: str
    instruction_bytes: int
    parameter_bytes: int
    token: int  # 0 = none; equal in executables that share cached parameters
    scratch_bytes: int  # of on-chip memory for activations
    estimated_cycles: int  # 0 = the compiler gives none


@dataclass(frozen=True)
class Package:
    """What one custom op holds."""

    operator: int
    size_bytes: int
    minimum_runtime: int
    compiler: str  # the versions of the compiler that leave such traces
    build: str  # what the package itself records of the compiler; the public ones write "cl/" and no number
    executables: tuple[Executable, ...]

    @property
    def instruction_bytes(self) -> int:
        """Return the bytes of all instructions."""
        return sum(row.instruction_bytes for row in self.executables)

    @property
    def cached_parameter_bytes(self) -> int:
        """Return the bytes that stay on the chip from one inference to the next."""
        return sum(row.parameter_bytes for row in self.executables if row.kind == KINDS[1])

    @property
    def streamed_parameter_bytes(self) -> int:
        """Return the bytes that go to the chip with every inference."""
        return sum(row.parameter_bytes for row in self.executables if row.kind != KINDS[1])


def may_be_compiled(content: bytes) -> bool:
    """Return whether the compiler's mark stands anywhere in a file: what is read then tells whether it is so."""
    return CUSTOM_OP.encode() in content


def read_packages(graph: Graph) -> list[Package]:
    """Return the packages of a compiled file, none for a file that is not compiled; raise InputError for damage."""
    return [
        read_package(operator.index, operator.custom, graph.description)
        for operator in graph.operators
        if operator.name == CUSTOM_OP and operator.custom is not None
    ]


def read_package(index: int, custom: memoryview, description: str) -> Package:
    """Return what the data of a custom op holds; `description` is the file's."""
    what = f"the data of op {index}"
    content = read_map(custom, what).get(PACKAGE_KEY)
    if not isinstance(content, memoryview) or bytes(content[4:8]) != PACKAGE_MARK:
        raise InputError(f"{what} holds no Edge TPU package: the DWN1 mark is missing", mend="compile the model again")
    package = Buffer(content, f"the package of op {index}").root()
    inner = Buffer(package.data(1), f"the executables of op {index}").root()
    programs = inner.texts(0)
    if not 0 < len(programs) <= LIMIT_EXECUTABLES:
        raise InputError(f"{what} has {len(programs)} executables", allowed=f"1 to {LIMIT_EXECUTABLES}")
    return Package(
        operator=index,
        size_bytes=len(content),
        minimum_runtime=package.whole(0, "i"),
        compiler=COMPILERS.get(description, "unknown"),
        build=package.text(4),
        executables=tuple(_executable(Buffer(row, f"an executable of op {index}").root()) for row in programs),
    )


def _executable(table: Table) -> Executable:
    kind = table.whole(13, "h")
    streams = [row.count(0, 1) for row in table.tables(5)]
    return Executable(
        kind=KINDS[kind] if 0 <= kind < len(KINDS) else f"kind {kind}",
        chip=table.text(10),
        instruction_bytes=sum(streams),
        parameter_bytes=table.count(6, 1),
        token=table.whole(14, "Q"),
        scratch_bytes=table.whole(12, "i") * TILES,
        estimated_cycles=table.whole(16, "q"),
    )
