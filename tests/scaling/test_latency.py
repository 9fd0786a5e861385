"""The largest phi within a limit: found on family tables with times that are made up here, and once for real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from edgenet.coefficients import paper
from edgenet.layers import expand
from edgenet.scaling.latency import Found, Network, largest, networks
from edgenet.scaling.latency_record import PointRecord
from edgenet.variants import VARIANTS
from tests.networks import small_variant
from tests.verbs import Run, verb

FAMILY = networks(paper("lite0"))
MAX_S = 0.020


def test_every_network_of_the_family_is_another_one() -> None:
    layers = [expand(row.variant).layers for row in FAMILY]
    assert all(one != two for one, two in pairwise(layers))
    assert (FAMILY[0].phi, FAMILY[-1].phi) == (0.0, 10.0)
    macs = [row.counts.macs for row in FAMILY]
    assert macs == sorted(macs)


def _point(network: Network, median_s: float, spread: float) -> PointRecord:
    return PointRecord(
        phi=network.phi, variant=network.variant.name, side_px=network.variant.side_px, macs=network.counts.macs,
        parameters=network.counts.trainable, median_s=median_s, median_low_s=median_s * (1 - spread),
        median_high_s=median_s * (1 + spread), p90_s=median_s * 1.1, runs=100, meets=median_s * (1 + spread) <= MAX_S,
    )  # fmt: skip


def _find(time_of: Callable[[Network], float], spread: float = 0.0) -> tuple[Found, list[float]]:
    measured: list[float] = []

    def measure(network: Network) -> PointRecord:
        measured.append(network.phi)
        return _point(network, time_of(network), spread)

    return largest(FAMILY, measure, MAX_S), measured


@dataclass(frozen=True)
class Device:
    """Seconds as a function of the multiply-accumulates."""

    name: str
    time_of: Callable[[Network], float]


DEVICES = (
    Device("proportional", lambda row: 10e-12 * row.counts.macs),
    Device("with overhead", lambda row: 0.004 + 3e-12 * row.counts.macs),
    Device("slower for large ones", lambda row: 2e-21 * float(row.counts.macs) ** 1.8),
    Device("in steps", lambda row: 0.003 * (1 + row.counts.macs // 500_000_000)),
    Device("hardly fast enough", lambda row: 51.9e-12 * row.counts.macs),
)


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_it_is_the_largest_that_meets_the_limit(device: Device) -> None:
    found, measured = _find(device.time_of)
    expected = max((row for row in FAMILY if device.time_of(row) <= MAX_S), key=lambda row: row.phi)
    assert found.chosen is not None
    assert found.chosen.phi == expected.phi
    assert found.next_above is not None
    assert found.next_above.phi == FAMILY[FAMILY.index(expected) + 1].phi
    assert len(measured) == len(set(measured)) <= 12
    assert found.notes == ()


def test_nothing_is_chosen_where_phi_0_is_too_slow() -> None:
    found, measured = _find(lambda row: 60e-12 * row.counts.macs)
    assert (found.chosen, measured) == (None, [0.0])


def test_the_end_of_the_family_is_said() -> None:
    found, _ = _find(lambda row: 0.001)
    assert found.chosen is not None
    assert found.chosen.phi == 10.0
    assert found.notes == ("phi 10 is the largest that there is: the limit is not reached",)


def test_an_interval_over_the_limit_does_not_meet_it() -> None:
    found, _ = _find(lambda row: 20e-12 * row.counts.macs, spread=0.05)
    exact, _ = _find(lambda row: 20e-12 * row.counts.macs * 1.05)
    assert found.chosen is not None
    assert exact.chosen is not None
    assert found.chosen.phi == exact.chosen.phi
    assert "is too close to the limit to tell" in found.notes[0]


def test_a_device_on_which_a_larger_network_is_faster_is_named() -> None:
    def time_of(row: Network) -> float:
        if row.counts.macs < 500e6:
            return 0.012
        return 0.030 if row.counts.macs < 620e6 else 0.0205

    found, _ = _find(time_of, spread=0.01)
    assert found.chosen is not None
    assert found.chosen.phi == 0.0
    [note] = [note for note in found.notes if note.startswith("latency does not grow with phi everywhere")]
    assert note.endswith("a phi that was not measured may meet the limit as well")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    small = small_variant("lite")
    monkeypatch.setitem(VARIANTS, "lite0", replace(small, stages=small.stages[:3], side_px=32))
    return verb("scale", capsys)


def test_a_limit_that_phi_0_misses_is_a_failed_gate_with_its_time(run: Run) -> None:
    outcome = run("--latency-on", "local", "--max-ms", "0.0001", "--base", "lite0", "--json")
    assert outcome.code == 1
    assert "error: not even phi 0 meets 0.0001 ms on local: " in outcome.err
    [point] = outcome.document["points"]
    assert (outcome.document["schema_version"], outcome.document["phi"]) == (1, None)
    assert 0 < point["median_low_s"] <= point["median_s"] <= point["median_high_s"]
    assert (point["variant"], point["meets"]) == ("scaled-0-lite0", False)


@pytest.mark.slow
def test_a_phi_is_found_on_this_machine(run: Run) -> None:
    first = run("--latency-on", "local", "--max-ms", "0.0001", "--base", "lite0", "--json").document["points"][0]
    limit_ms = 1e3 * first["median_high_s"] * 8
    outcome = run("--latency-on", "local", "--max-ms", f"{limit_ms:.4f}", "--base", "lite0", "--json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    chosen = next(row for row in document["points"] if row["phi"] == document["phi"])
    assert chosen["phi"] > 0
    assert chosen["meets"]
    assert (document["provenance"], document["precision"], document["threads"]) == ("measured", "fp32", 1)
    assert outcome.err.splitlines()[-1] == f"next: edgenet info {document['variant'].replace('scaled-', 'scaled:')}"
