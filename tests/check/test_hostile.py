"""Files that are damaged or made to do harm: a report or one line, soon, and no other exception."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.check.bounded import LIMIT_ROWS
from converters.check.check import ACCELERATORS, check_graph
from converters.check.compiled import read_package, read_packages
from converters.check.flexbuffer import read_map
from converters.check.graph import LIMIT_OPERATORS, read_graph
from converters.check.picture import draw
from converters.check.report import CheckReport
from edgenet.__main__ import main
from edgenet.errors import InputError
from tests.check.pairs import PAIRS, needs_pairs
from tests.test_artifact import write_small

LIMIT_S = 20


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a small w8a8 file."""
    (artifact,) = write_small(tmp_path_factory.mktemp("small"), ["w8a8"])
    return artifact.path.read_bytes()


def _reports(content: bytes) -> list[CheckReport]:
    """Check a file against every target that takes it; raise InputError for one that cannot be read."""
    graph = read_graph(content)
    found = []
    for name, known in ACCELERATORS.items():
        with suppress(InputError):  # a file that this target does not take at all
            known.refuse(graph)
            found.append(check_graph(graph, name, "x.tflite"))
    return found


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_changed_bytes(real: bytes, data: st.DataObject) -> None:
    changed = bytearray(real)
    for _ in range(data.draw(st.integers(1, 8), label="changes")):
        # The tables of a file stand at its end or its beginning, the constants between them.
        place = data.draw(st.one_of(st.integers(0, 4096), st.integers(len(real) - 20_000, len(real) - 5)))
        changed[place : place + 4] = struct.pack("<I", data.draw(st.sampled_from(WORDS) | st.integers(0, 2**32 - 1)))
    try:
        reports = _reports(bytes(changed))
    except InputError as error:
        assert error.what
        return
    for report in reports:
        assert len(report.accelerated) + len(report.others) == len(report.operators) > 0
        assert draw(report).endswith("</svg>\n")


WORDS = (0, 1, 4, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)


@settings(max_examples=200, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated(real: bytes, share: float) -> None:
    """The last byte is part of a name at the least: whatever is cut off is missed, and nothing read beyond the end."""
    with pytest.raises(InputError):
        _reports(real[: int(share * len(real))])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_noise_behind_the_mark(noise: bytes) -> None:
    with pytest.raises(InputError):
        _reports(struct.pack("<I", 8) + b"TFL3" + noise)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise_as_a_flexbuffer(noise: bytes) -> None:
    with pytest.raises(InputError):
        read_package(0, memoryview(noise), "")


@needs_pairs
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_changed_packages(data: st.DataObject) -> None:
    custom = bytearray(COMPILED)
    for _ in range(data.draw(st.integers(1, 6))):
        # Its own map at the end; the package's tables; those of the executables, 4 KiB further.
        place = data.draw(st.sampled_from(PLACES)) + data.draw(st.integers(0, 600))
        custom[place : place + 4] = struct.pack("<I", data.draw(st.sampled_from(WORDS) | st.integers(0, 2**32 - 1)))
    try:
        package = read_package(0, memoryview(bytes(custom)), "")
    except InputError:
        return
    assert package.instruction_bytes + package.cached_parameter_bytes + package.streamed_parameter_bytes >= 0


def _compiled() -> bytes:
    if not PAIRS[0].compiled.is_file():
        return b""
    (row,) = (row for row in read_graph(PAIRS[0].compiled.read_bytes()).operators if row.custom is not None)
    return bytes(row.custom or b"")


COMPILED = _compiled()
PLACES = (0, 4000, 4096, 8000, 8192, max(0, len(COMPILED) - 604))


@needs_pairs
def test_the_map_is_read_where_nothing_is_changed() -> None:
    found = read_map(memoryview(COMPILED), "x")
    assert set(found) >= {"1", "4", "5"}
    assert read_package(0, memoryview(COMPILED), "").cached_parameter_bytes == PAIRS[0].parameter_bytes


def _parts() -> tuple[schema.ModelT, schema.SubGraphT]:
    """Return a model with one subgraph of one tensor and no op."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    code, tensor = schema.OperatorCodeT(), schema.TensorT()
    code.version, tensor.name, tensor.shape, tensor.type = 1, "t", [1, 8], schema.TensorType.INT8
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    return model, graph


def _made(fill: Callable[[schema.ModelT, schema.SubGraphT], None]) -> bytes:
    """Return a file of those parts, and what `fill` does to them."""
    model, graph = _parts()
    fill(model, graph)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator(inputs: list[int], outputs: list[int]) -> schema.OperatorT:
    row = schema.OperatorT()
    row.opcodeIndex, row.inputs, row.outputs = 0, inputs, outputs
    return row


def _many(count: int, operands: int = 1) -> bytes:
    """Return a small file whose vector of ops names one op again and again."""
    builder = flatbuffers.Builder(1024)
    model, graph = _parts()
    tensor, code, buffer = (row.Pack(builder) for row in (graph.tensors[0], model.operatorCodes[0], model.buffers[0]))
    tensors, codes, buffers = (_vector(builder, [row]) for row in (tensor, code, buffer))
    operators = _vector(builder, [_operator([0] * operands, [0]).Pack(builder)] * count)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    schema.SubGraphAddOperators(builder, operators)
    subgraphs = _vector(builder, [schema.SubGraphEnd(builder)])
    schema.ModelStart(builder)
    schema.ModelAddOperatorCodes(builder, codes)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def _vector(builder: flatbuffers.Builder, rows: list[int]) -> int:
    builder.StartVector(4, len(rows), 4)
    for row in rows:
        builder.PrependUOffsetTRelative(row)
    return int(builder.EndVector())


def _shape(*sizes: int) -> bytes:
    def fill(_: schema.ModelT, graph: schema.SubGraphT) -> None:
        graph.tensors[0].shape = list(sizes)
        graph.operators = [_operator([0], [0])]

    return _made(fill)


def _operand(index: int) -> bytes:
    def fill(_: schema.ModelT, graph: schema.SubGraphT) -> None:
        graph.operators = [_operator([index], [0])]

    return _made(fill)


MADE = {
    "too many ops": (lambda: _many(LIMIT_OPERATORS + 1), f"at most {LIMIT_OPERATORS}"),
    "an operand that is not there": (lambda: _operand(7), "op 0 names tensor 7 of 1"),
    "an op without an output": (
        lambda: _made(lambda _, graph: setattr(graph, "operators", [_operator([0], [])])),
        "has no output",
    ),
    "a rank of 9": (lambda: _shape(*[1] * 9), "has 9 dimensions"),
    "more values than memory": (lambda: _shape(*[2**30] * 3), "values"),
    "no subgraph": (lambda: _made(lambda model, _: setattr(model, "subgraphs", [])), "has no subgraph"),
    "no buffer of its number": (
        lambda: _made(lambda _, graph: setattr(graph.tensors[0], "buffer", 9)),
        "names buffer 9 of 1",
    ),
    "an operator code that is not there": (
        lambda: _made(lambda model, graph: _uncoded(model, graph)),
        "names operator code 0 of 0",
    ),
}


def _uncoded(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    model.operatorCodes, graph.operators = [], [_operator([0], [0])]


@pytest.mark.parametrize(("make", "says"), MADE.values(), ids=MADE)
def test_one_line_says_what_is_wrong(
    make: Callable[[], bytes], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made.tflite"
    path.write_bytes(make())
    assert main(["check", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: made.tflite: ")
    assert says in error
    assert error.count("\n") == 1


def test_the_most_ops_that_are_read_take_seconds() -> None:
    start_s = time.monotonic()
    counts = [len(report.operators) for report in _reports(_many(LIMIT_OPERATORS))]
    assert counts == [LIMIT_OPERATORS] * len(ACCELERATORS)
    assert time.monotonic() - start_s < LIMIT_S


def test_operands_without_end_are_refused_soon() -> None:
    content = _many(LIMIT_OPERATORS, operands=10_000)
    assert len(content) < 200_000  # for 200 million operands
    start_s = time.monotonic()
    with pytest.raises(InputError, match=f"more than {LIMIT_ROWS:,} tables"):
        read_graph(content)
    assert time.monotonic() - start_s < LIMIT_S


def test_a_name_cannot_move_the_cursor() -> None:
    def fill(_: schema.ModelT, graph: schema.SubGraphT) -> None:
        graph.tensors[0].name, graph.operators = "a\x1b[2Jb\nc", [_operator([0], [0])]

    (row,) = read_graph(_made(fill)).operators
    assert row.outputs[0].name == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"


def test_a_custom_op_of_nobody_is_told_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fill(model: schema.ModelT, graph: schema.SubGraphT) -> None:
        model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
        model.operatorCodes[0].customCode = "Mystery"
        graph.operators = [_operator([0], [0])]
        graph.operators[0].customOptions = [1, 2, 3]

    assert read_packages(read_graph(_made(fill))) == []
    path = tmp_path / "custom.tflite"
    path.write_bytes(_made(fill))
    assert main(["check", str(path), "--fail-on", "cpu-ops"]) == 1
    assert "custom op Mystery is not in the published list" in capsys.readouterr().out
