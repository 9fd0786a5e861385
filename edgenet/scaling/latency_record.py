"""What choosing a phi by latency found, as a document."""

from __future__ import annotations

from typing import Literal

from benchmarks.result import Provenance, Seconds
from edgenet.coefficients import Coefficients
from edgenet.manifest import Record
from edgenet.precision import Precision


class PointRecord(Record):
    """One network's latency on the device; the file had random weights, since the work is the same for any."""

    phi: float  # the largest that makes this network
    variant: str
    side_px: int
    macs: int
    parameters: int  # trainable
    median_s: Seconds
    median_low_s: Seconds  # 95 % interval of the median within the session
    median_high_s: Seconds
    p90_s: Seconds
    runs: int
    meets: bool  # the whole interval is within the limit

    @property
    def title(self) -> str:
        """Return the time for people."""
        return f"{1e3 * self.median_s:.2f} ms ({1e3 * self.median_low_s:.2f} to {1e3 * self.median_high_s:.2f})"


class LatencyRecord(Record):
    """The largest phi that meets a limit on a device, and all that was measured to find it."""

    kind: Literal["scaling-latency"] = "scaling-latency"
    provenance: Provenance
    coefficients: Coefficients
    device: str
    device_model: str
    runtime: str
    precision: Precision
    threads: int
    protocol: str
    max_s: Seconds
    phi: float | None  # None: not even phi 0 meets the limit
    variant: str | None
    points: tuple[PointRecord, ...]
    notes: tuple[str, ...]
