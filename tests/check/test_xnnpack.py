"""What `check --target xnnpack` predicts, held against the real delegate: op by op, and the number of parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter

from converters.check.check import check
from devices.on_device.model_runtime import delegated_nodes
from edgenet.precision import PRECISIONS
from tests.check.pairs import PAIRS, Pair, needs_pairs
from tests.test_artifact import write_small

FAMILIES = ("b", "lite", "edgetpu", "v2")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Return small networks of every family in every precision."""
    found = {}
    for family in FAMILIES:
        for artifact in write_small(tmp_path_factory.mktemp(family), PRECISIONS, family):
            found[family, str(artifact.manifest.precision)] = artifact.path
    return found


def _real(path: Path) -> tuple[int, int]:
    """Return how many ops the delegate takes, and in how many parts."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    details = interpreter._get_ops_details()
    parts = [row for row in details if row["op_name"] == "DELEGATE"]
    return delegated_nodes([row for row in details if row["op_name"] != "DELEGATE"], parts), len(parts)


def _predicted(path: Path) -> tuple[int, int]:
    report = check(path, "xnnpack")
    # Weights are unpacked once, when the file is loaded: no part holds those ops when the network runs.
    return len(report.accelerated), report.parts


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_files_of_every_precision(written: dict[tuple[str, str], Path], family: str, precision: str) -> None:
    assert _predicted(written[family, precision]) == _real(written[family, precision])


@needs_pairs
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_files_of_others(pair: Pair) -> None:
    assert _predicted(pair.model) == _real(pair.model)
    assert _real(pair.model)[1] == 2  # a quantized pooling or ARG_MAX stands between or behind


def test_what_breaks_a_graph_is_named(written: dict[tuple[str, str], Path]) -> None:
    reasons = {row.reason for row in check(written["lite", "w8d"], "xnnpack").others}
    assert reasons == {"float32 activations around 8-bit weights (dynamic range)"}
    assert {row.name for row in check(written["lite", "w8d"], "xnnpack").others} == {"DEPTHWISE_CONV_2D"}
