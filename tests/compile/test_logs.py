"""The parsers of what the compiler prints and writes: published logs, and bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.edgetpu.failures import explain
from converters.edgetpu.log import LIMIT_BYTES, LIMIT_MODELS, parse_log, parse_version
from converters.edgetpu.operation_log import LIMIT_ROWS, Status, parse_operation_log
from converters.edgetpu.options import CompilerOptions, arguments, output_names, working_names
from edgenet.errors import EdgenetError, GateFailed

MIB = 2**20
# The lines and figures of a co-compilation by version 16.0 (google-coral/edgetpu, issue 458).
TWO_MODELS = b"""Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Models compiled successfully in 524 ms.

Input model: models/1.tflite
Input size: 1.91MiB
Output model: out/1_edgetpu.tflite
Output size: 2.52MiB
On-chip memory used for caching model parameters: 2.27MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 57
Operation log: out/1_edgetpu.log
See the operation log file for individual operation details.

Input model: models/2.tflite
Input size: 1.87MiB
On-chip memory used for caching model parameters: 604.50KiB
Off-chip memory used for streaming uncached model parameters: 3.45MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 6
"""
# Version 2.0 (f0cal/google-coral, issue 53): another word and another order.
OLD = b"""Edge TPU Compiler version 2.0.267685300

Model compiled successfully in 313 ms!

Input model: output.tflite
On-chip memory available for caching model parameters: 7.62MiB
On-chip memory used for caching model parameters: 5.66MiB
Number of operations that will run on Edge TPU: 63
Number of operations that will run on CPU: 1
"""
# Version 16.0 with a search whose first try fails (issues 601 and 903).
SEARCH = b"""Edge TPU Compiler version 16.0.384591198
Searching for valid delegate with step 1
Try to compile segment with 176 ops
Started a compilation timeout timer of 180 seconds.
Compilation child process completed within timeout period.
Compilation failed!
Try to compile segment with 175 ops
Intermediate tensors: model/reshape_2/Reshape,StatefulPartitionedCall:1

Model compiled successfully in 3133 ms.

Input model: best.tflite
Total number of operations: 175
"""
LIMITATION = b"Operation is otherwise supported, but not mapped due to some unspecified limitation"
OPERATIONS = (
    b"""Edge TPU Compiler version 15.0.340273435
Input: mnist4.tflite
Output: mnist4_edgetpu.tflite

Operator                       Count      Status

RESHAPE                        1          Mapped to Edge TPU
QUANTIZE                       1          %s
DEQUANTIZE                     1          Operation is working on an unsupported data type
edgetpu-custom-op              2          Mapped to Edge TPU
"""
    % LIMITATION
)


def test_two_models() -> None:
    log = parse_log(TWO_MODELS)
    assert (log.version, log.compile_s) == ("16.0.384591198", 0.524)
    assert log.of("1.tflite") == {
        "input_bytes": round(1.91 * MIB),
        "output_bytes": round(2.52 * MIB),
        "cached_bytes": round(2.27 * MIB),
        "remaining_bytes": round(1.07 * MIB),
        "streamed_bytes": 0,
        "subgraphs": 1,
        "operations": 57,
    }
    assert (log.of("2.tflite")["cached_bytes"], log.of("2.tflite")["streamed_bytes"]) == (619_008, round(3.45 * MIB))
    assert log.of("3.tflite") == {}


def test_the_oldest_words() -> None:
    log = parse_log(OLD)
    assert (log.version, log.compile_s) == ("2.0.267685300", 0.313)
    told = log.of("output.tflite")
    assert (told["available_bytes"], told["mapped_operations"], told["cpu_operations"]) == (round(7.62 * MIB), 63, 1)


def test_a_search_that_finds_something() -> None:
    log = parse_log(SEARCH)
    assert (log.compile_s, log.of("best.tflite")) == (3.133, {"operations": 175})


def test_operations() -> None:
    rows = parse_operation_log(OPERATIONS, "x.log")
    assert rows == (
        Status("RESHAPE", 1, "Mapped to Edge TPU"),
        Status("QUANTIZE", 1, LIMITATION.decode()),
        Status("DEQUANTIZE", 1, "Operation is working on an unsupported data type"),
        Status("edgetpu-custom-op", 2, "Mapped to Edge TPU"),
    )
    assert [row.mapped for row in rows] == [True, False, False, True]


HEAD = b"Operator Count Status\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "its table is missing"),
        (b"\xff\xfe\0\0" * 100, "its table is missing"),
        (HEAD + b"CONV_2D many Mapped to Edge TPU\n", "has a row that is none: 'CONV_2D many"),
        (HEAD + b"CONV_2D 99999999999 Mapped\n", "has a row that is none"),
        (HEAD + b"\x1b[31mCONV 1 Mapped\n", "has a row that is none: '[31mCONV 1 Mapped'"),
        (HEAD + b"ADD 1 Mapped to Edge TPU\n" * (LIMIT_ROWS + 1), f"at most {LIMIT_ROWS}"),
        (HEAD + b"ADD 1 " + b"x" * 300 + b"\n", "has a row that is none"),
    ],
)
def test_what_is_no_operation_log(content: bytes, says: str) -> None:
    with pytest.raises(GateFailed) as caught:
        parse_operation_log(content, "x.log")
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


def test_sizes_and_counts_that_cannot_be_say_nothing() -> None:
    for value in (b"-1MiB", b"1e9MiB", b"9999999999MiB", b"nanMiB", b"1.5XiB", "٣MiB".encode(), b""):
        log = parse_log(b"Input model: x.tflite\nInput size: " + value + b"\nTotal number of operations: " + value)
        assert log.of("x.tflite") == {}
    many = parse_log(b"Input model: x.tflite\n" * (LIMIT_MODELS + 50))
    assert len(many.models) == LIMIT_MODELS
    assert parse_log(b" " * LIMIT_BYTES + TWO_MODELS).models == (), "behind what is looked at"


NOISE = st.one_of(
    st.binary(max_size=400),
    st.lists(
        st.sampled_from([*TWO_MODELS.split(b"\n"), *OPERATIONS.split(b"\n"), *SEARCH.split(b"\n"), HEAD]), max_size=40
    ).map(b"\n".join),
    st.tuples(st.sampled_from([TWO_MODELS, OPERATIONS, SEARCH]), st.binary(max_size=20), st.integers(0, 900)).map(
        lambda row: row[0][: row[2]] + row[1] + row[0][row[2] :]
    ),
)


@settings(max_examples=400, deadline=None)
@given(NOISE, st.integers(-64, 255))
def test_noise(content: bytes, status: int) -> None:
    log = parse_log(content)
    assert all(number >= 0 for row in log.models for number in row.numbers.values())
    reason, mend = explain(content, status)
    assert reason.isprintable() and mend and len(reason) < 600
    for parse in (lambda: parse_operation_log(content, "x.log"), lambda: parse_version(content)):
        try:
            assert parse() is not None
        except EdgenetError as error:
            assert str(error).isprintable()


def test_no_rows_is_an_empty_table() -> None:
    assert parse_operation_log(HEAD, "x.log") == ()


def test_command_lines() -> None:
    full = CompilerOptions(90.4, minimum_runtime=13, intermediate=("a;b", "c"))
    assert arguments(full, "16.0.384591198", ["x.tflite"]) == [
        "-o", "out", "-t", "90", "-m", "13", "-i", "a;b,c", "x.tflite",
    ]  # fmt: skip
    assert arguments(CompilerOptions(180), "15.0.340273435", ["x.tflite"]) == ["-o", "out", "x.tflite"], "has no timer"
    assert working_names(["a", "-b", "c d", "e" * 200, "..", "lite0-w8a8"]) == [
        "a.tflite", "model-2.tflite", "model-3.tflite", "model-4.tflite", "model-5.tflite", "lite0-w8a8.tflite",
    ]  # fmt: skip
    assert output_names("x.tflite", 1) == [("x_edgetpu.tflite", "x_edgetpu.log")]
    assert output_names("x.tflite", 2)[1] == ("x_segment_1_of_2_edgetpu.tflite", "x_segment_1_of_2_edgetpu.log")
