"""The closed set of warnings: what in a result's own records says that its figures may be wrong, and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from statistics import median

from benchmarks.result import BenchmarkRecord, MeasurementRecord, SnapshotRecord, WarningRecord
from benchmarks.table import setting_text
from devices.profiles import match, profiles

BUSY_SHARE = 0.25  # load average a core before the run, from which on others take part of the machine
SLOW_CLOCK = 0.9  # of the highest frequency; a boost clock is often a little lower than promised
DRIFT_CHANCE, DRIFT_CHANGE = 0.01, 0.03
OUTLIER_SHARE = 0.05
IMPRECISE = 0.05  # half of the median's interval
WARMED_C = 20.0  # first and last runs were on a chip in quite another state
NEAR_LIMIT_C = 5.0  # thermal zones differ by this much from the spot that the firmware watches
LITTLE_MEMORY = 0.1  # of the device's memory: below it the system starts to drop and to swap pages
NO_DELEGATE = "cpu"
EDGE_TPU, USB_3_BITS_PER_S = "Edge TPU", 5e9
MOST_NODES = 0.9  # XNNPACK leaves the two ops that turn uint8 into int8 and back
POWER_MEND = "use the board's own power supply (5 V and 3 A or more; 5 A for a Pi 5) and a short, thick cable"
COOLING_MEND = "add a heat sink or a fan, or a longer --cooldown"


@dataclass(frozen=True)
class Template:
    """The words of a warning; {} stands for what was found."""

    message: str
    mend: str


class Code(Enum):
    """Every warning there is; its code is its name in small letters."""

    EMULATED = Template(
        "the device is emulated ({}): its times say nothing about a real one", "measure on the device itself"
    )
    GOVERNOR = Template(
        "the CPU governor was {}: the clock rate follows the load instead of staying up",
        "add --fix-governor: it sets performance and restores what was (on a phone, only root can set it)",
    )
    UNDER_VOLTAGE = Template("the board was short of voltage during the run ({})", POWER_MEND)
    THROTTLED = Template("the board was throttled during the run ({})", COOLING_MEND)
    THROTTLED_EARLIER = Template(
        "the board was throttled since it started, though not seen during the run ({})",
        f"for certainty {POWER_MEND}, see to cooling, and restart the board",
    )
    SLOW_CLOCK = Template(
        "the cores ran at {} most of the time", "add --fix-governor; if it stays so, see to power supply and cooling"
    )
    HOT = Template("the chip came to {}", COOLING_MEND)
    WARMED = Template("the chip warmed by {} during the run", f"let it cool down before, or {COOLING_MEND}")
    OTHER_LOAD = Template(
        "the device was busy before the run (load average {})",
        "end other programs, or wait a minute where it was a run before this one",
    )
    LITTLE_MEMORY = Template(
        "only {} of memory were free: the system may have swapped", "end other programs, or take fewer --processes"
    )
    DRIFT = Template("latency drifted: {}", "let the device reach its temperature first, with --protocol standard")
    OUTLIERS = Template("many runs are outliers: {}", "end other programs; judge by the median, not by the mean")
    TOO_FEW_RUNS = Template(
        "the protocol's minimum was not reached in its longest time: {}",
        "the model is slow for this device: take the figures as rough, or a smaller --batch and fewer --processes",
    )
    IMPRECISE = Template("the median is known roughly: {}", "measure longer, with --protocol standard or mlperf")
    EDGETPU_SLOW_BUS = Template(
        "the Edge TPU is on a slow bus ({}): whatever goes to it takes ten times as long as on USB 3",
        "use a USB 3 port (a blue one) and a USB 3 cable, without a hub between",
    )
    EDGETPU_HOT = Template("the Edge TPU came to {}", COOLING_MEND)
    DELEGATE_MISSING = Template(
        "the delegate was not applied: {}; the runtime's own kernels ran",
        "edgenet devices setup installs a runtime that has it; or say --delegate cpu",
    )
    DELEGATE_PARTIAL = Template(
        "the delegate took a part only: {}", "convert with edgenet convert, whose files stay in one piece"
    )
    TOO_MANY_THREADS = Template("more threads than cores: {}", "take fewer --threads or --processes")
    UNCHECKED = Template(
        "there are no golden vectors: nobody checked that the answers are right on this device",
        "write the file with edgenet convert or quantize",
    )

    def of(self, found: str = "") -> WarningRecord:
        """Return the warning with what was found."""
        return WarningRecord(code=self.name.lower(), message=self.value.message.format(found), mend=self.value.mend)


def find_warnings(result: BenchmarkRecord) -> tuple[WarningRecord, ...]:
    """Return the warnings that a result gives cause for, in the order of the set; its own field is not read."""
    found = [warning for check in CHECKS for warning in check(result)]
    order = [code.name.lower() for code in Code]
    return tuple(sorted(found, key=lambda warning: order.index(warning.code)))


def _emulated(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    if result.provenance == "emulated":
        yield Code.EMULATED.of(f"{result.device.machine} on another processor")


def _governor(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    # --fix-governor works between `before` and `after`: only what was set during the run counts.
    names = {name for row in _running(result) for name in row.governors} - {"performance", ""}
    if names:
        yield Code.GOVERNOR.of(", ".join(sorted(names)))


def _throttled(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    records = [row.throttled for row in _snapshots(result) if row.throttled]
    now = {word for record in records for word in record.now}
    earlier = {word for record in records for word in record.since_boot} - now
    power, heat = sorted(now & {"under-voltage"}), sorted(now - {"under-voltage"})
    if power:
        yield Code.UNDER_VOLTAGE.of(", ".join(power))
    if heat:
        yield Code.THROTTLED.of(", ".join(heat))
    if earlier and not now:
        yield Code.THROTTLED_EARLIER.of(", ".join(sorted(earlier)))


def _slow_clock(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    # Idle cores clock down: at each moment the policy that is nearest to its maximum stands for those that work.
    best = [
        max(zip(row.frequencies_hz, row.max_frequencies_hz, strict=True), key=lambda pair: pair[0] / pair[1])
        for row in _running(result)
        if row.frequencies_hz and len(row.frequencies_hz) == len(row.max_frequencies_hz) and min(row.max_frequencies_hz)
    ]
    if best and median(now / most for now, most in best) < SLOW_CLOCK:
        now, most = sorted(best, key=lambda pair: pair[0] / pair[1])[len(best) // 2]
        yield Code.SLOW_CLOCK.of(f"{now / 1e6:.0f} MHz of {most / 1e6:.0f} MHz")


def _heat(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    before = result.environment.before.temperatures_c
    rows = [(c, zone) for row in _snapshots(result) for zone, c in row.temperatures_c.items()]
    hottest_c, zone = max((row for row in rows if not row[1].startswith(EDGE_TPU)), default=(-math.inf, ""))
    limit_c = _limit_c(result.device.model)
    if limit_c is not None and hottest_c > limit_c - NEAR_LIMIT_C:
        yield Code.HOT.of(f"{hottest_c:.0f} °C ({zone}); it slows itself down from {limit_c} °C on")
    rises = [(c - before[zone], zone) for c, zone in rows if zone in before]
    rise_c, zone = max(rises, default=(0.0, ""))
    if rise_c > WARMED_C:
        yield Code.WARMED.of(f"{rise_c:.0f} °C ({zone})")


def _edgetpu(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    if result.environment.edgetpu is None:
        return
    chips = result.environment.edgetpu.devices
    slow = [row for row in chips if row.bits_per_s is not None and row.bits_per_s < USB_3_BITS_PER_S]
    if slow:
        yield Code.EDGETPU_SLOW_BUS.of(f"USB {slow[0].place} at {(slow[0].bits_per_s or 0.0) / 1e6:.0f} Mbit/s")
    for chip in chips:
        key = f"{EDGE_TPU} ({chip.place})"
        hottest_c = max((row.temperatures_c.get(key, -math.inf) for row in _snapshots(result)), default=-math.inf)
        passed = [limit_c for limit_c in chip.trip_points_c if hottest_c >= limit_c]
        if passed:
            halved = "once" if len(passed) == 1 else f"{len(passed)} times"
            yield Code.EDGETPU_HOT.of(f"{hottest_c:.0f} °C ({chip.place}), and its clock was halved {halved}")


def _limit_c(model: str) -> int | None:
    """Return the temperature from which a known device slows itself down, None for an unknown one."""
    name = match(model)
    facts = profiles()[name].facts if name else {}
    values = [facts[key].value for key in ("soft_limit_c", "throttle_c") if key in facts]
    return min((value for value in values if isinstance(value, int)), default=None)


def _other_load(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    load = result.environment.before.load_average
    if load and 0 < BUSY_SHARE * result.device.cores < load[0]:  # 0 cores: it does not tell
        yield Code.OTHER_LOAD.of(f"{load[0]:.2f} on {_counted(result.device.cores, 'core')}")


def _little_memory(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    free = [row.memory_available_bytes for row in _snapshots(result) if row.memory_available_bytes is not None]
    total = result.device.memory_bytes
    if free and min(free) < LITTLE_MEMORY * total:
        yield Code.LITTLE_MEMORY.of(f"{min(free) / 2**20:.0f} MiB of {total / 2**20:.0f} MiB")


def _too_many_threads(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    def found(row: MeasurementRecord) -> str:
        threads, cores = row.setting.threads * row.setting.processes, len(row.setting.affinity) or result.device.cores
        return f"{threads} on {_counted(cores, 'core')}" if 0 < cores < threads else ""

    yield from _each(Code.TOO_MANY_THREADS, result, found)


def _drift(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    def found(row: MeasurementRecord) -> str:
        drift = row.statistics.drift
        shown = drift and drift.p_value < DRIFT_CHANCE and abs(drift.relative_change) > DRIFT_CHANGE
        return f"{100 * drift.relative_change:+.0f} % from first to last" if drift and shown else ""

    yield from _each(Code.DRIFT, result, found)


def _outliers(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    def found(row: MeasurementRecord) -> str:
        share = row.statistics.outliers / row.statistics.count
        return f"{row.statistics.outliers} of {row.statistics.count}" if share > OUTLIER_SHARE else ""

    yield from _each(Code.OUTLIERS, result, found)


def _too_few_runs(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    rules = result.protocol

    def found(row: MeasurementRecord) -> str:
        count = row.statistics.count
        spent_s = sum(sum(block.samples_s) for block in row.blocks) / row.setting.processes
        short = count < rules.min_runs or spent_s < rules.min_s
        reached = f"{_counted(count, 'run')} in {spent_s:.1f} s of {rules.min_runs} in {rules.min_s:g} s"
        return reached if short else ""

    yield from _each(Code.TOO_FEW_RUNS, result, found)


def _imprecise(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    def found(row: MeasurementRecord) -> str:
        figures = row.statistics
        half = (figures.median_high_s - figures.median_low_s) / (2 * figures.median_s)
        return f"± {100 * half:.0f} %" if half > IMPRECISE else ""

    yield from _each(Code.IMPRECISE, result, found)


def _delegate_missing(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    def found(row: MeasurementRecord) -> str:
        missing = row.delegate.asked not in ("", NO_DELEGATE) and not row.delegate.applied
        return f"{row.delegate.asked} was asked for" if missing else ""

    yield from _each(Code.DELEGATE_MISSING, result, found)


def _delegate_partial(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    def found(row: MeasurementRecord) -> str:
        record = row.delegate
        if not record.applied or not record.nodes or record.delegated_nodes is None or record.partitions is None:
            return ""
        # A file for the Edge TPU holds what that takes as one op: the share of nodes says nothing there.
        share = 1.0 if record.asked == "edgetpu" else record.delegated_nodes / record.nodes
        part = f"{record.delegated_nodes} of {record.nodes} nodes in {_counted(record.partitions, 'partition')}"
        return part if record.partitions > 1 or share < MOST_NODES else ""

    yield from _each(Code.DELEGATE_PARTIAL, result, found)


def _unchecked(result: BenchmarkRecord) -> Iterator[WarningRecord]:
    if any(row.golden is None for row in result.measurements):
        yield Code.UNCHECKED.of()


CHECKS: tuple[Callable[[BenchmarkRecord], Iterator[WarningRecord]], ...] = (
    _emulated, _governor, _throttled, _slow_clock, _heat, _edgetpu, _other_load, _little_memory, _too_many_threads,
    _drift, _outliers, _too_few_runs, _imprecise, _delegate_missing, _delegate_partial, _unchecked,
)  # fmt: skip


def _each(code: Code, result: BenchmarkRecord, find: Callable[[MeasurementRecord], str]) -> Iterator[WarningRecord]:
    """Yield one warning for all settings in which `find` finds something; it names them where there are several."""
    rows = [(row, find(row)) for row in result.measurements]
    parts = [f"{text} ({setting_text(row.setting)})" if len(rows) > 1 else text for row, text in rows if text]
    if parts:
        yield code.of("; ".join(parts))


def _snapshots(result: BenchmarkRecord) -> Iterable[SnapshotRecord]:
    environment = result.environment
    return (environment.before, *environment.during, environment.after)


def _running(result: BenchmarkRecord) -> Iterable[SnapshotRecord]:
    """Return the snapshots of the run itself; those around it where there are none."""
    return result.environment.during or _snapshots(result)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
