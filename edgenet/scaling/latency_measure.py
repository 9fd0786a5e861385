"""Measure a variant on a device by the protocol of `edgenet benchmark`, as a file with random weights."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.api import benchmark
from benchmarks.result import BenchmarkRecord
from converters import conversion
from edgenet.coefficients import Coefficients
from edgenet.errors import InputError
from edgenet.precision import Precision, default_io
from edgenet.progress import Report, silent
from edgenet.scaling.latency import Found, Network, largest, networks
from edgenet.scaling.latency_record import LatencyRecord, PointRecord

SAMPLES = 16  # calibration images of a quantized file: its ranges do not change its speed


@dataclass(frozen=True)
class LatencyRequest:
    """A limit on a device as the user asked for it."""

    coefficients: Coefficients
    device: str
    max_s: float
    precision: Precision = "fp32"
    protocol: str = "quick"
    threads: int = 1


@dataclass
class Measurer:
    """Converts and measures one network after the other; `results` keeps what the device told."""

    request: LatencyRequest
    command: tuple[str, ...]
    report: Report
    results: list[BenchmarkRecord] = field(default_factory=list)

    def __call__(self, network: Network) -> PointRecord:
        """Return a network's latency; raise what `edgenet benchmark` raises."""
        request, name = self.request, f"phi {network.phi:g}"
        with tempfile.TemporaryDirectory(prefix="edgenet-scale-") as folder:
            self.report(f"{name}: converting", 0, 1)
            path = self._convert(network, Path(folder))
            self.report(f"{name}: converting", 1, 1)
            self.report(f"{name}: measuring", 0, 1)
            [result] = benchmark(
                path, device=request.device, protocol=request.protocol, threads=(request.threads,), report=silent
            )
            self.report(f"{name}: measuring", 1, 1)
        self.results.append(result)
        return _point(network, result, request.max_s)

    def _convert(self, network: Network, folder: Path) -> Path:
        precision = self.request.precision
        wanted = conversion.Request(
            network.variant, ((precision, default_io(precision)),), "random", "builtin", samples=SAMPLES
        )
        [artifact] = conversion.run(wanted, folder, False, self.command, silent, lambda text: None)
        return artifact.path


def choose_phi(request: LatencyRequest, command: tuple[str, ...], report: Report) -> LatencyRecord:
    """Return the largest phi that meets the limit on the device, None for none, with all that was measured."""
    measurer = Measurer(request, command, report)
    found = largest(networks(request.coefficients), measurer, request.max_s)
    return _record(request, found, measurer.results)


def _point(network: Network, result: BenchmarkRecord, max_s: float) -> PointRecord:
    if len(result.measurements) != 1:
        raise InputError(f"the device gave {len(result.measurements)} measurements", allowed="one")
    statistics = result.measurements[0].statistics
    return PointRecord(
        phi=network.phi,
        variant=network.variant.name,
        side_px=network.variant.side_px,
        macs=network.counts.macs,
        parameters=network.counts.trainable,
        median_s=statistics.median_s,
        median_low_s=statistics.median_low_s,
        median_high_s=statistics.median_high_s,
        p90_s=statistics.p90_s,
        runs=statistics.count,
        meets=statistics.median_high_s <= max_s,
    )


def _record(request: LatencyRequest, found: Found, results: list[BenchmarkRecord]) -> LatencyRecord:
    last = results[-1]
    emulated = any(result.provenance == "emulated" for result in results)
    warnings = {warning.code: warning for result in results for warning in result.warnings}
    return LatencyRecord(
        provenance="emulated" if emulated else "measured",
        coefficients=request.coefficients,
        device=request.device,
        device_model=last.device.model or last.device.processor,
        runtime=f"{last.device.runtime.name} {last.device.runtime.version}",
        precision=request.precision,
        threads=request.threads,
        protocol=request.protocol,
        max_s=request.max_s,
        phi=found.chosen.phi if found.chosen else None,
        variant=found.chosen.variant if found.chosen else None,
        points=found.points,
        notes=(*found.notes, *(f"{row.message}; {row.mend}" for row in warnings.values())),
    )
