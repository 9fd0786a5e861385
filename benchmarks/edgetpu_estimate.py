"""How far off the estimated latencies of `edgenet check --target edgetpu` are, on published figures.

    python -m benchmarks.edgetpu_estimate

Each published network is left out once, the model is fitted on the others, and its error on the one left out is
printed. The last lines are the values that converters/check/targets/edgetpu.toml holds.

Two numbers are fitted for each bus, overhead and bytes a second, such that the sum of relative errors is least: a
published row that contradicts the others (57 ms for Inception-ResNet v2, whose 57 MB cannot cross the bus in that
time) then pulls little. USB 2 has one published network that does not fit into the chip; left out, nothing would tell
the rate, so that one is taken from pycoral's figures as others derived it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from benchmarks.published_latencies import ROWS, Row
from converters.check.estimate import Load, load
from converters.check.memory import plan
from converters.check.target import read_target
from converters.check.work import cpu_work


@dataclass(frozen=True)
class Bus:
    """The columns of a bus: its latencies, and the CPU of its host; `bytes_per_s` 0 = to be fitted."""

    column: str
    cpu_column: str
    bytes_per_s: float = 0.0


# No CPU figure of a Raspberry Pi 3 B+ was published with the others; the embedded one is the nearest.
BUSES = {
    "usb3": Bus("usb3_s", "desktop_cpu_s"),
    "pcie": Bus("pcie_s", "embedded_cpu_s"),
    "usb2": Bus("usb2_s", "embedded_cpu_s", 33e6),
}


@dataclass(frozen=True)
class Fit:
    """The two fitted numbers of a bus."""

    overhead_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Outcome:
    """A bus, fitted on all of its rows, with the relative error of each row when it was left out."""

    fit: Fit
    errors: dict[str, float]
    cpu_macs_per_s: float

    @property
    def median_error(self) -> float:
        """Return the median of the errors' sizes."""
        return median(abs(error) for error in self.errors.values())


def loads() -> dict[str, Load]:
    """Return what each published network asks for."""
    target = read_target("edgetpu")
    assert target.memory
    graphs = {row.name: row.draw() for row in ROWS}
    return {name: load(graph.operators, (), plan(graph.operators, target.memory)) for name, graph in graphs.items()}


def evaluate(asked: dict[str, Load], bus: Bus, cycle_s: float) -> Outcome:
    """Fit one bus on its rows, and on all rows but one in turn."""
    measured = {row.name: float(getattr(row, bus.column)) for row in ROWS if getattr(row, bus.column)}
    rows = {name: (asked[name], seconds) for name, seconds in measured.items()}
    errors = {}
    for left_out, seconds in measured.items():
        fitted = fit([row for name, row in rows.items() if name != left_out], bus, cycle_s)
        errors[left_out] = predict(asked[left_out], fitted, cycle_s) / seconds - 1
    return Outcome(fit(list(rows.values()), bus, cycle_s), errors, _cpu_macs_per_s(bus.cpu_column))


def fit(rows: Sequence[tuple[Load, float]], bus: Bus, cycle_s: float) -> Fit:
    """Return overhead and rate with the least sum of relative errors: a linear program."""
    measured = np.array([seconds for _, seconds in rows])
    megabytes = np.array([row.bus_bytes / 1e6 for row, _ in rows])
    left = measured - np.array([row.steps * cycle_s for row, _ in rows])
    asked = [np.ones(len(rows)), megabytes]
    if bus.bytes_per_s:
        left = left - megabytes * 1e6 / bus.bytes_per_s
        asked = asked[:1]
    found = least_errors(np.stack(asked, axis=1) / measured[:, np.newaxis], left / measured)
    return Fit(float(found[0]), bus.bytes_per_s or 1e6 / float(found[1]))


def least_errors(
    asked: NDArray[np.float64], wanted: NDArray[np.float64], lows: Sequence[float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Return the x [K], none below its `lows`, with the least sum of |asked [N, K] x - wanted [N]|."""
    count, unknowns = asked.shape
    each = np.eye(count)
    found = linprog(
        np.concatenate([np.zeros(unknowns), np.ones(count)]),
        A_ub=np.block([[asked, -each], [-asked, -each]]),
        b_ub=np.concatenate([wanted, -wanted]),
        bounds=[*((low, None) for low in lows[:unknowns]), *[(0, None)] * count],
    )
    return np.asarray(found.x[:unknowns])


def predict(asked: Load, fitted: Fit, cycle_s: float) -> float:
    """Return the latency that a fit gives a network that runs on the chip as a whole."""
    return fitted.overhead_s + asked.steps * cycle_s + asked.bus_bytes / fitted.bytes_per_s


def _cpu_macs_per_s(column: str) -> float:
    return median(_macs(row) / float(getattr(row, column)) for row in ROWS if getattr(row, column))


def _macs(row: Row) -> int:
    return sum(map(cpu_work, row.draw().operators))


def outcomes() -> dict[str, Outcome]:
    """Return the outcome of each bus."""
    data, asked = read_target("edgetpu").estimate, loads()
    assert data
    return {name: evaluate(asked, bus, data.cycle_s) for name, bus in BUSES.items()}


def main() -> None:
    """Print the errors and the fitted values."""
    found = outcomes()
    print(f"{'left out':24}" + "".join(f"{bus:>9}" for bus in found))
    for row in ROWS:
        print(f"{row.name:24}" + "".join(f"{_percent(outcome.errors.get(row.name)):>9}" for outcome in found.values()))
    print(
        f"{'median of the sizes':24}" + "".join(f"{100 * outcome.median_error:>7.1f} %" for outcome in found.values())
    )
    for bus, outcome in found.items():
        print(f"\n[estimate.buses.{bus}]")
        print(f"overhead_s = {outcome.fit.overhead_s:.3g}")
        print(f"bytes_per_s = {outcome.fit.bytes_per_s:.3g}")
        print(f"cpu_macs_per_s = {outcome.cpu_macs_per_s:.3g}")
        print(f"median_error = {outcome.median_error:.3f}")


def _percent(error: float | None) -> str:
    return "-" if error is None else f"{100 * error:+.0f} %"


if __name__ == "__main__":
    main()
