"""The largest phi whose network is fast enough: found with few measurements, each of them kept.

Latency grows with phi, but not smoothly: channels, blocks and sides are whole numbers, so many phi give one network
and the next one jumps. Networks are therefore numbered, and the search goes over the numbers: on by the
multiply-accumulates that the limit should allow until one is too slow, then by halves between that and the last that
was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from edgenet.coefficients import Coefficients
from edgenet.counts import Counts, count
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.scaling.latency_record import PointRecord
from edgenet.variants import MOST_PHI, Variant

PHI_STEPS = 20  # to one phi: 2^(1/20) is 3.5 % of the work, about what two measurements of one file differ by


@dataclass(frozen=True)
class Network:
    """A network of the family with the largest phi that makes it."""

    phi: float
    variant: Variant
    counts: Counts


Measure = Callable[[Network], PointRecord]


@dataclass(frozen=True)
class Found:
    """All points by phi; `chosen` is None where not even phi 0 is fast enough."""

    points: tuple[PointRecord, ...]
    chosen: PointRecord | None
    next_above: PointRecord | None  # the next larger network; None: there is none, or nothing was chosen
    notes: tuple[str, ...]


def networks(coefficients: Coefficients) -> list[Network]:
    """Return every different network from phi 0 on, by phi, to the largest phi or side that a variant can have."""
    found: list[tuple[object, Network]] = []
    for step in range(round(MOST_PHI * PHI_STEPS) + 1):
        try:
            variant = coefficients.variant(step / PHI_STEPS)
        except InputError:  # the side has grown too large
            break
        architecture = expand(variant)
        network = Network(step / PHI_STEPS, variant, count(architecture))
        if found and found[-1][0] == architecture.layers:
            found.pop()
        found.append((architecture.layers, network))
    return [network for _, network in found]


def largest(family: Sequence[Network], measure: Measure, max_s: float) -> Found:
    """Return the largest network of `family` whose median stays within `max_s`, its 95 % interval included."""
    points = {0: measure(family[0])}
    if not points[0].meets:
        return Found((points[0],), None, None, ())
    low, high, last = 0, None, len(family) - 1
    step = 1
    while high is None and low < last:
        index = min(last, max(low + step, _predicted(family, low, points[low].median_s, max_s)))
        points[index] = measure(family[index])
        low, high = (index, None) if points[index].meets else (low, index)
        step *= 2
    while high is not None and high - low > 1:
        middle = (low + high) // 2
        points[middle] = measure(family[middle])
        low, high = (middle, high) if points[middle].meets else (low, middle)
    return _found(points, low, high, max_s)


def _predicted(family: Sequence[Network], index: int, median_s: float, max_s: float) -> int:
    """Return the last network that the limit should allow if time went with the multiply-accumulates."""
    allowed = family[index].counts.macs * max_s / median_s
    return max(number for number, row in enumerate(family) if number <= index or row.counts.macs <= allowed)


def _found(points: Mapping[int, PointRecord], low: int, high: int | None, max_s: float) -> Found:
    ordered = [points[index] for index in sorted(points)]
    above = None if high is None else points[high]
    notes = [*_limit_notes(points[low], above, max_s), *_order_notes(ordered)]
    return Found(tuple(ordered), points[low], above, tuple(notes))


def _limit_notes(chosen: PointRecord, above: PointRecord | None, max_s: float) -> list[str]:
    if above is None:
        return [f"phi {chosen.phi:g} is the largest that there is: the limit is not reached"]
    if above.median_low_s <= max_s:
        return [
            f"phi {above.phi:g} is too close to the limit to tell: {above.title}; --protocol standard measures longer"
        ]
    return []


def _order_notes(ordered: Sequence[PointRecord]) -> list[str]:
    """Tell where a larger network was faster than a smaller one beyond noise: halving supposes that none is."""
    turned = [(one, two) for one, two in combinations(ordered, 2) if two.median_high_s < one.median_low_s]
    if not turned:
        return []
    one, two = turned[0]
    return [
        f"latency does not grow with phi everywhere: phi {two.phi:g} took {two.title}, phi {one.phi:g} {one.title}; "
        "a phi that was not measured may meet the limit as well"
    ]
