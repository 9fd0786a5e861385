"""Which variant to try first on a device that nobody measured: published accuracy, estimated latency, computed size."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.device_rates import DeviceRates, Latency
from benchmarks.sweep_report.choice import Bounds, Candidate, Choice, Reading, choose, hold, preference
from edgenet.counts import Counts, count
from edgenet.layers import expand
from edgenet.precision import Precision
from edgenet.published import PUBLISHED, Published
from edgenet.variants import VARIANTS

NOT_ESTIMATED = "w8, w8d and w8a16 are not estimated: nothing is published of how fast they are"
FLOAT_TOP1 = (
    "* is the float network's top-1: its authors published none in int8, and int8 costs b and v2 more than lite"
)
SWISH = (
    "b and v2 have swish and squeeze-and-excite, which none of the published networks has: their estimates count what "
    "these read and write, and are the less certain ones"
)


@dataclass(frozen=True)
class Estimate(Candidate):
    """A variant in a precision; its accuracy is published, its latency estimated, its size computed."""

    variant: str
    precision: Precision
    float_top1: bool  # the accuracy is the float network's, for lack of an int8 one
    source: str  # of the accuracy
    error: float  # median relative error of the latency


@dataclass(frozen=True)
class Recommendation:
    """Everything that meets the bounds, the best first, and the choice of it."""

    rates: DeviceRates
    bounds: Bounds
    meets: list[Estimate]
    choice: Choice[Estimate]
    notes: list[str]


def recommend(rates: DeviceRates, bounds: Bounds) -> Recommendation:
    """Return what meets the bounds on a device by estimate."""
    found = estimates(rates)
    meets = [each for each in found if not any(row.miss for row in hold(each, bounds) or ())]
    meets.sort(key=preference)
    notes = [] if rates.bus else [NOT_ESTIMATED]
    notes += [SWISH] if any(_has_swish(each) for each in meets) else []
    notes += [FLOAT_TOP1] if any(each.float_top1 for each in meets) else []
    return Recommendation(rates, bounds, meets, choose(found, bounds), notes)


def _has_swish(row: Estimate) -> bool:
    return VARIANTS[row.variant].rules.activation == "swish"


def estimates(rates: DeviceRates) -> list[Estimate]:
    """Return every variant in every precision that there is an estimate for."""
    return [
        _estimate(name, precision, latency, PUBLISHED[name], count(expand(variant)))
        for name, variant in VARIANTS.items()
        for precision, latency in rates.latencies(variant).items()
    ]


def _estimate(name: str, precision: Precision, latency: Latency, published: Published, counts: Counts) -> Estimate:
    int8 = published.int8_top1_percent if precision == "w8a8" else None
    top1 = (published.top1_percent if int8 is None else int8) / 100
    value = latency.latency_s
    return Estimate(
        name=f"{name} {precision}",
        remark="",
        accuracy=Reading(top1, top1, top1),
        latency=Reading(value, value * (1 - latency.error), value * (1 + latency.error)),
        size_bytes=_size_bytes(counts, precision),
        variant=name,
        precision=precision,
        float_top1=precision == "w8a8" and int8 is None,
        source=published.source,
        error=latency.error,
    )


def _size_bytes(counts: Counts, precision: Precision) -> int:
    """Return what the weights take: a file is a little larger."""
    if precision == "w8a8":
        return counts.int8_size_bytes
    return counts.batch_norm_folded * (4 if precision == "fp32" else 2)
