"""A latency that nobody measured: steps of the matrix unit, bytes over the bus, what is left to the CPU.

    latency = overhead + steps * cycle + (streamed parameters + input + output) / rate + CPU work / its rate

The cycle is the published clock. Overhead and rate of each bus are fitted on Coral's published table, the CPU's rate
is the median of its CPU columns; `python -m benchmarks.edgetpu_estimate` fits them and prints the error on networks
that were left out. Whatever comes from here is called estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.check.graph import Operator
from converters.check.memory import MemoryPlan
from converters.check.target import Bus, EstimateData
from converters.check.work import array_steps, cpu_work, lane_steps


@dataclass(frozen=True)
class Load:
    """What one inference asks of the chip, the bus and the CPU."""

    steps: int
    bus_bytes: int
    cpu_macs: int


@dataclass(frozen=True)
class Estimate:
    """An estimated latency on one bus, and its parts."""

    bus: str
    title: str
    latency_s: float
    overhead_s: float
    compute_s: float
    bus_s: float
    cpu_s: float
    median_error: float  # of the method on networks that the fit had not seen


def load(chip: Sequence[Operator], cpu: Sequence[Operator], memory: MemoryPlan) -> Load:
    """Return what the ops on the chip and those on the CPU ask for."""
    filled = {tensor.index for row in chip for tensor in row.outputs}
    read = {tensor.index for row in chip for tensor in row.inputs if tensor}
    sizes = {tensor.index: tensor.size_bytes for row in chip for tensor in row.activations}
    wanted = {tensor.index for row in cpu for tensor in row.inputs if tensor}
    # What comes from outside, what nothing here reads, and what the CPU reads as well.
    ends = sum(size for index, size in sizes.items() if index not in filled or index not in read or index in wanted)
    steps = sum(array_steps(row) + lane_steps(row) for row in chip)
    return Load(steps, memory.streamed_parameter_bytes + ends, sum(map(cpu_work, cpu)))


def estimate(asked: Load, data: EstimateData) -> list[Estimate]:
    """Return the estimated latency on each bus."""
    return [_on_bus(name, bus, asked, data.cycle_s) for name, bus in data.buses.items()]


def _on_bus(name: str, bus: Bus, asked: Load, cycle_s: float) -> Estimate:
    compute_s, bus_s = asked.steps * cycle_s, asked.bus_bytes / bus.bytes_per_s
    cpu_s = asked.cpu_macs / bus.cpu_macs_per_s
    total_s = bus.overhead_s + compute_s + bus_s + cpu_s
    return Estimate(name, bus.title, total_s, bus.overhead_s, compute_s, bus_s, cpu_s, bus.median_error)
