"""What `check` predicts, held against what the real compiler wrote."""

import json
from pathlib import Path

import pytest

from converters.check.check import check
from converters.check.compiled import Package, read_packages
from converters.check.graph import read_graph
from converters.check.memory import peak_activation_bytes
from converters.check.parameters import parameter_bytes
from converters.check.verdict import Place
from converters.check.work import array_steps, lane_steps
from edgenet.__main__ import main
from tests.check.pairs import PAIRS, Pair, each_pair, needs_pairs

pytestmark = needs_pairs
PARAMETER_ERROR = 0.05


def _package(pair: Pair) -> Package:
    (package,) = read_packages(read_graph(pair.compiled.read_bytes()))
    return package


@each_pair
def test_every_op_is_where_the_compiler_put_it(pair: Pair) -> None:
    report, compiled = check(pair.model), read_graph(pair.compiled.read_bytes())
    left = [row.outputs[0].name for row in compiled.operators if row.custom is None]
    graph = read_graph(pair.model.read_bytes())
    predicted = [graph.operators[row.index].outputs[0].name for row in report.others]
    assert predicted == left
    assert (len(report.operators), len(left)) == (pair.operators, pair.left_on_cpu)


def test_a_resize_is_a_doubt_and_so_is_what_hangs_on_it() -> None:
    report = check(next(pair.model for pair in PAIRS if pair.left_on_cpu))
    told = [(row.index, row.name, row.place, row.own) for row in report.others]
    assert told == [
        (64, "RESIZE_BILINEAR", Place.UNCERTAIN, True),
        (65, "QUANTIZE", Place.UNCERTAIN, False),
        (66, "CONCATENATION", Place.UNCERTAIN, False),
        (67, "CONV_2D", Place.UNCERTAIN, False),
        (68, "CONV_2D", Place.UNCERTAIN, False),
        (69, "RESIZE_BILINEAR", Place.UNCERTAIN, True),
        (70, "RESIZE_BILINEAR", Place.UNCERTAIN, True),
        (71, "ARG_MAX", Place.CPU, True),
    ]
    assert report.others[1].reason == "behind op 64, RESIZE_BILINEAR, which may run on the CPU"


@each_pair
def test_the_compiled_file_is_read(pair: Pair) -> None:
    package = _package(pair)
    assert [row.kind for row in package.executables] == ["execution only", "parameter caching"]
    assert {row.chip for row in package.executables} == {"beagle"}
    assert {row.token for row in package.executables} == {pair.token}
    assert (package.instruction_bytes, package.cached_parameter_bytes) == (pair.instruction_bytes, pair.parameter_bytes)
    assert (package.compiler, package.build, package.minimum_runtime) == (pair.compiler, "cl/", 12)
    assert package.streamed_parameter_bytes == 0


@each_pair
def test_parameter_bytes_are_those_of_the_package(pair: Pair) -> None:
    memory = check(pair.model).memory
    assert memory is not None
    assert abs(memory.parameter_bytes / _package(pair).cached_parameter_bytes - 1) <= PARAMETER_ERROR
    assert memory.streamed_parameter_bytes == 0


@each_pair
def test_weights_are_laid_out_to_the_byte(pair: Pair) -> None:
    """The softmax' tables are of compilers 15 and 16; the compiler of MobileNet v2 kept none."""
    operators = [read_graph(pair.model.read_bytes()).operators[row.index] for row in check(pair.model).accelerated]
    counted = [row for row in operators if row.name != "SOFTMAX" or pair.compiler.startswith("15")]
    assert sum(map(parameter_bytes, counted)) == pair.parameter_bytes


def test_steps_and_memory_are_near_what_the_compiler_wrote() -> None:
    for pair in PAIRS:
        operators = [read_graph(pair.model.read_bytes()).operators[row.index] for row in check(pair.model).accelerated]
        program = _package(pair).executables[0]
        if program.estimated_cycles:
            steps = sum(array_steps(row) + lane_steps(row) for row in operators)
            assert steps == pytest.approx(program.estimated_cycles, rel=0.05)
        if program.scratch_bytes > 2**20:
            assert program.scratch_bytes == pytest.approx(peak_activation_bytes(operators), rel=0.25)


@each_pair
def test_info_reads_a_compiled_file(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(pair.compiled)]) == 0
    assert f"compiler {pair.compiler}, runtime 12 or newer" in capsys.readouterr().out
    assert main(["info", str(pair.compiled), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (compiled,) = document["compiled"]
    assert document["schema_version"] == 1
    assert compiled["cached_parameter_bytes"] == pair.parameter_bytes
    assert [row["parameter_bytes"] for row in compiled["executables"]] == [0, pair.parameter_bytes]
    assert {row["token"] for row in compiled["executables"]} == {f"{pair.token:016x}"}


@each_pair
def test_a_compiled_file_is_checked_by_what_the_compiler_did(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(pair.compiled), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["accelerated_ops"]] == ["edgetpu-custom-op"]
    assert len(document["cpu_ops"]) == pair.left_on_cpu
    assert (document["memory"], document["latency"]) == (None, [])


def test_a_package_without_its_mark_is_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = PAIRS[0]
    path = tmp_path / "broken.tflite"
    path.write_bytes(pair.compiled.read_bytes().replace(b"DWN1", b"DWN2"))
    for verb in ("check", "info"):
        assert main([verb, str(path)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: broken.tflite: ")
        assert "the DWN1 mark is missing" in error
        assert error.count("\n") == 1
