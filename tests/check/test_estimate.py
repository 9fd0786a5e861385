"""The estimated latency: its fit on published figures, the networks that it is fitted on, and what it adds up."""

from __future__ import annotations

import pytest

from benchmarks import edgetpu_estimate
from benchmarks.edgetpu_estimate import BUSES, Outcome, loads, outcomes, predict
from benchmarks.published_latencies import ROWS, Row
from benchmarks.published_networks import efficientnet
from converters.check.estimate import Load, estimate
from converters.check.graph import Graph
from converters.check.memory import plan
from converters.check.target import EstimateData, Memory, read_target
from converters.check.work import cpu_work

BAR = 0.25  # of the median leave-one-out error
MIB = 2**20


@pytest.fixture(scope="module")
def found() -> dict[str, Outcome]:
    return outcomes()


def _data() -> EstimateData:
    data = read_target("edgetpu").estimate
    assert data is not None
    return data


def _memory() -> Memory:
    memory = read_target("edgetpu").memory
    assert memory is not None
    return memory


@pytest.mark.parametrize("bus", BUSES)
def test_the_median_error_on_left_out_networks(found: dict[str, Outcome], bus: str) -> None:
    assert found[bus].median_error <= BAR
    assert len(found[bus].errors) == sum(getattr(row, BUSES[bus].column) > 0 for row in ROWS)


@pytest.mark.parametrize("bus", BUSES)
def test_the_data_file_holds_what_is_fitted(found: dict[str, Outcome], bus: str) -> None:
    held, outcome = _data().buses[bus], found[bus]
    assert held.overhead_s == pytest.approx(outcome.fit.overhead_s, rel=0.01)
    assert held.bytes_per_s == pytest.approx(outcome.fit.bytes_per_s, rel=0.01)
    assert held.cpu_macs_per_s == pytest.approx(outcome.cpu_macs_per_s, rel=0.01)
    assert held.median_error == pytest.approx(outcome.median_error, abs=0.001)


def test_the_script_prints_every_network_and_the_median(capsys: pytest.CaptureFixture[str]) -> None:
    edgetpu_estimate.main()
    printed = capsys.readouterr().out
    assert all(f"\n{row.name} " in printed for row in ROWS)
    assert "\nmedian of the sizes " in printed


# Parameters without those that exist in one of the two only: batch norms (the counts have them, a quantized graph does
# not) and 1001 classes in the place of 1000.
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_drawn_network_has_the_parameters_of_its_authors(row: Row) -> None:
    drawn = sum(constant.values for operator in row.draw().operators for constant in operator.constants)
    assert drawn == pytest.approx(row.parameters, rel=0.025)


def _macs(graph: Graph) -> int:
    return sum(cpu_work(row) for row in graph.operators if row.name in ("CONV_2D", "DEPTHWISE_CONV_2D"))


@pytest.mark.parametrize(("name", "millions"), [("edgetpu-s", 2352.31), ("edgetpu-m", 3660.29), ("edgetpu-l", 9661.90)])
def test_edgetpu_variants_are_drawn_as_released(name: str, millions: float) -> None:
    classifier = efficientnet(name).operators[-2]
    assert (_macs(efficientnet(name)) + cpu_work(classifier)) / 1e6 == pytest.approx(millions, abs=0.01)


# The sizes of the compiled files on Coral's model page: mostly parameters.
@pytest.mark.parametrize(("name", "megabytes"), [("edgetpu-s", 6.8), ("edgetpu-m", 8.7), ("edgetpu-l", 12.8)])
def test_parameters_are_near_the_published_file_sizes(name: str, megabytes: float) -> None:
    assert plan(efficientnet(name).operators, _memory()).parameter_bytes / 1e6 == pytest.approx(megabytes, rel=0.03)


def test_what_does_not_fit_is_streamed() -> None:
    memory = plan(efficientnet("edgetpu-l").operators, _memory())
    assert memory.cached_parameter_bytes + memory.streamed_parameter_bytes == memory.parameter_bytes
    kept = memory.cached_parameter_bytes + _memory().activation_share * memory.peak_activation_bytes
    assert kept == pytest.approx(8 * MIB, abs=1)
    assert plan(efficientnet("lite0").operators, _memory()).streamed_parameter_bytes == 0


def test_an_estimate_is_the_sum_of_its_parts() -> None:
    for row in estimate(Load(steps=1_000_000, bus_bytes=10_000_000, cpu_macs=50_000_000), _data()):
        bus = _data().buses[row.bus]
        assert row.latency_s == row.overhead_s + row.compute_s + row.bus_s + row.cpu_s
        assert row.compute_s == pytest.approx(2e-3)
        assert row.bus_s == pytest.approx(1e7 / bus.bytes_per_s)
        assert row.cpu_s == pytest.approx(5e7 / bus.cpu_macs_per_s)


def test_fit_and_check_say_the_same(found: dict[str, Outcome]) -> None:
    asked = loads()["MobileNet v2"]
    for row in estimate(asked, _data()):
        assert row.latency_s == pytest.approx(predict(asked, found[row.bus].fit, _data().cycle_s), rel=0.01)
