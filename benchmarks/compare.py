"""Is B faster or slower than A? The ratio of their latencies with its interval, and a verdict that noise does not make.

Two looks are taken. The medians, as they are reported; and the 10th percentiles: other work on a machine only ever adds
time, so a median is lost when it hits half of the runs, a 10th percentile when it hits nine of ten. Within one session
other work hits both files alike: the medians' verdict counts where they show a difference, the 10th percentiles' where
only those do. From one session to the next it differs like anything else: the 10th percentiles count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.bootstrap import (
    Samples,
    interval,
    likeness_factor,
    quantile,
    resampled_quantiles,
    resampling,
    small_number_factor,
    turns,
    units,
)
from benchmarks.result import BenchmarkRecord, MeasurementRecord, Setting
from benchmarks.statistics import FEWEST_FOR_INTERVAL
from benchmarks.table import setting_text
from edgenet.errors import InputError

Verdict = Literal["faster", "slower", "no difference shown"]
Basis = Literal["medians", "10th percentiles"]

SEEDS = (0, 1)  # of what is drawn for A and for B
SHARES: dict[Basis, float] = {"medians": 0.5, "10th percentiles": 0.1}
FEWEST_RUNS = 100  # from which on ten runs lie below a 10th percentile; with fewer it is the luck of a few runs
# With fewer pairs the bootstrap has too little to draw from (4^4 = 256 resamples), and the turns are cut in pieces.
FEWEST_PAIRS = 4
# A verdict needs more than this besides the interval, for these differences are not in it:
# one file loaded twice is up to 2.7 % faster than itself, by where its memory happens to lie (lite0 on x86);
SAME_SESSION_FLOOR = 1.03
# from one day to the next MLPerf Mobile's audit takes a result for repeated that comes within 5 %.
OTHER_SESSION_FLOOR = 1.05


@dataclass(frozen=True)
class Comparison:
    """B against A in one setting; `ratio` is B's latency over A's by `basis`, `low` to `high` its 95 % interval.

    The verdict is said of B, and only where the whole interval is more than `floor` away from 1.
    """

    setting: Setting
    a_median_s: float
    b_median_s: float
    ratio: float
    low: float
    high: float
    basis: Basis
    floor: float
    verdict: Verdict
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """The ratio of one quantile."""

    basis: Basis
    ratio: float
    low: float
    high: float

    def verdict(self, floor: float) -> Verdict:
        """Return what the interval shows beyond the floor."""
        if self.low > floor:
            return "slower"
        return "faster" if self.high < 1 / floor else "no difference shown"


def compare(a: BenchmarkRecord, b: BenchmarkRecord) -> list[Comparison]:
    """Return a comparison for each setting that both have; raise InputError for what cannot be compared."""
    _check_comparable(a, b)
    pairs = list(_common(a, b))
    if not pairs:
        raise InputError(
            f"{a.model.file} and {b.model.file} were measured in no common setting",
            allowed="the same threads, processes, batch and affinity",
            mend="measure both in one session: edgenet benchmark A B",
        )
    same_session = a.session.id == b.session.id
    notes = tuple(_notes(a, b))
    return [_comparison(ours, theirs, same_session, notes) for ours, theirs in pairs]


def failures(comparisons: Sequence[Comparison], slower: float) -> list[str]:
    """Return why B must not pass a gate that fails it when it is more than `slower` times A.

    It fails where a difference is shown and the ratio is over the gate: noise alone shows none. It also fails where the
    interval reaches further from the ratio than the gate from 1: what such noise would hide must not pass. A gate finer
    than the floor raises InputError: no such measurement could hold it.
    """
    floor = max(row.floor for row in comparisons)
    if slower < floor:
        raise InputError(
            f"--fail-if-slower {slower:g} is finer than what one file differs from itself",
            allowed=f"{floor:g} or more for these results",
            mend="" if floor == SAME_SESSION_FLOOR else "or measure both in one session: edgenet benchmark A B",
        )
    return [reason for row in comparisons for reason in _failure(row, slower)]


def _failure(row: Comparison, slower: float) -> Iterator[str]:
    where = setting_text(row.setting)
    if row.verdict == "slower" and row.ratio > slower:
        yield f"{where}: {row.ratio:.3f} times as long, allowed {slower:g}"
    elif row.verdict != "faster" and row.high / row.ratio > slower:
        yield f"{where}: too noisy to tell {slower:g} from 1 ({row.low:.3f} to {row.high:.3f} times as long)"


def _check_comparable(a: BenchmarkRecord, b: BenchmarkRecord) -> None:
    if a.provenance != b.provenance:
        raise InputError(
            f"{a.model.file} is {a.provenance}, {b.model.file} is {b.provenance}",
            allowed="two measured results, or two emulated ones",
            mend="measure both on the device: an emulator's times mean nothing beside real ones",
        )
    machines = [_machine(row) for row in (a, b)]
    if machines[0] != machines[1]:
        first, second = (" ".join(machine) for machine in machines)
        raise InputError(
            f"the devices differ: {first} and {second}",
            allowed="two results of one device",
            mend="measure both on one device; edgenet report shows devices side by side",
        )


def _machine(result: BenchmarkRecord) -> tuple[str, ...]:
    device = result.device
    facts = (device.model, device.soc, device.processor, device.machine)
    return (*(fact for fact in facts if fact), f"{device.cores} cores")


def _common(a: BenchmarkRecord, b: BenchmarkRecord) -> Iterator[tuple[MeasurementRecord, MeasurementRecord]]:
    """Yield the measurements that share a setting; the delegate may differ where no other tells them apart."""
    theirs = {row.setting: row for row in b.measurements}
    for ours in a.measurements:
        alike = [row for row in b.measurements if _apart_from_delegate(row) == _apart_from_delegate(ours)]
        if ours.setting in theirs:
            yield ours, theirs[ours.setting]
        elif len(alike) == 1:
            yield ours, alike[0]


def _apart_from_delegate(row: MeasurementRecord) -> Setting:
    return row.setting.model_copy(update={"delegate": ""})


def _notes(a: BenchmarkRecord, b: BenchmarkRecord) -> Iterator[str]:
    if a.provenance == "emulated":
        yield "both are emulated: this says nothing about a real device"
    if a.session.id != b.session.id:
        yield f"two sessions: no interval holds what differs between them, so only over {OTHER_SESSION_FLOOR:g} counts"
    first, second = a.device, b.device
    facts = (
        (
            "runtimes",
            f"{first.runtime.name} {first.runtime.version}",
            f"{second.runtime.name} {second.runtime.version}",
        ),
        ("hosts", first.host, second.host),
        ("kernels", first.kernel, second.kernel),
        ("protocols", a.protocol.name, b.protocol.name),
    )
    yield from (f"{what} differ: {ours} and {theirs}" for what, ours, theirs in facts if ours != theirs)
    if facts[0][1] == facts[0][2] and first.runtime.sha256 != second.runtime.sha256:
        yield f"two builds of {facts[0][1]}"


def _comparison(a: MeasurementRecord, b: MeasurementRecord, same_session: bool, notes: tuple[str, ...]) -> Comparison:
    fewest = min(a.statistics.count, b.statistics.count)
    if fewest < FEWEST_FOR_INTERVAL:
        raise InputError(
            f"{fewest} runs with {setting_text(a.setting)} are too few to compare",
            allowed=f"{FEWEST_FOR_INTERVAL} or more",
            mend="measure longer, with --protocol standard",
        )
    floor = SAME_SESSION_FLOOR if same_session else OTHER_SESSION_FLOOR
    looks = _looks(a, b, same_session)
    look, verdict = _decide(looks, floor) if same_session else (looks[-1], looks[-1].verdict(floor))
    own = [f"delegates differ: {a.setting.delegate} and {b.setting.delegate}"] if a.setting != b.setting else []
    medians = looks[0]
    if look is not medians and (same_session or medians.verdict(floor) != verdict):
        spread = f"{medians.ratio:.3f} times as long, {medians.low:.3f} to {medians.high:.3f}"
        own += [f"{setting_text(a.setting)}: other work hit too many runs for the medians to tell ({spread})"]
    return Comparison(
        setting=a.setting,
        a_median_s=a.statistics.median_s,
        b_median_s=b.statistics.median_s,
        ratio=look.ratio,
        low=look.low,
        high=look.high,
        basis=look.basis,
        floor=floor,
        verdict=verdict,
        notes=(*notes, *own),
    )


def _decide(looks: list[Look], floor: float) -> tuple[Look, Verdict]:
    """Return the look that a verdict on one session rests on: the first that shows a difference, else the medians'.

    Where none shows any, medians that are too uncertain to hold the floor give way to the sharper look; so they do
    where the looks contradict each other, for a spread that differs is no speed that differs.
    """
    shown = [look for look in looks if look.verdict(floor) != "no difference shown"]
    if len({look.verdict(floor) for look in shown}) == 1:
        return shown[0], shown[0].verdict(floor)
    certain = looks[0].high / looks[0].low < floor**2
    return looks[0] if certain else min(looks, key=lambda look: look.high / look.low), "no difference shown"


def _looks(a: MeasurementRecord, b: MeasurementRecord, same_session: bool) -> list[Look]:
    """Return the looks, the medians' first; within a session turns are drawn in pairs: neighbours saw one machine.

    B's turns come after A's, so a drift counts against B by half a pair's share of it: 10 % in 20 pairs make 0.25 %,
    little beside the floor. To take the trend out costs more than that: its slope is lost in other work's noise.
    """
    ours, theirs = turns(a.blocks), turns(b.blocks)
    pairs = min(len(ours), len(theirs))
    if same_session and pairs >= FEWEST_PAIRS:
        ours, theirs = ours[:pairs], theirs[:pairs]
        drawn = (resampling(pairs, SEEDS[0]),) * 2
        factor = small_number_factor(pairs)
    else:
        ours, theirs = units(ours), units(theirs)
        drawn = resampling(len(ours), SEEDS[0]), resampling(len(theirs), SEEDS[1])
        factor = small_number_factor(min(len(ours), len(theirs))) * max(likeness_factor(ours), likeness_factor(theirs))
    enough = min(a.statistics.count, b.statistics.count) >= FEWEST_RUNS
    return [_look(basis, ours, theirs, drawn, factor) for basis in SHARES if basis == "medians" or enough]


def _look(basis: Basis, a: list[Samples], b: list[Samples], drawn: tuple[Samples, Samples], factor: float) -> Look:
    share = SHARES[basis]
    ratio = quantile(np.concatenate(b), share) / quantile(np.concatenate(a), share)
    resampled = resampled_quantiles(b, drawn[1], share) / resampled_quantiles(a, drawn[0], share)
    return Look(basis, ratio, *interval(ratio, resampled, factor))
