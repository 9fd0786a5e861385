"""What a result says of itself, in words: pairs of a name and a value, and the device's state in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.edgetpu_text import machine_lines
from benchmarks.page_plots import milliseconds
from benchmarks.result import (
    BenchmarkRecord,
    DelegateRecord,
    DeviceRecord,
    DriftRecord,
    EnvironmentRecord,
    GoldenRecord,
    MeasurementRecord,
    OpTimeRecord,
    SnapshotRecord,
)
from benchmarks.table import MIB, plain

MOST_OPS = 20
UNTOLD = "not told"

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class OpRow:
    """One line of the table of ops; `bar` is its length in percent of the slowest op's, None for the rest."""

    name: str
    kind: str
    latency: str
    share: str
    bar: float | None


@dataclass(frozen=True)
class StateRow:
    """One thing about the device before, during and after the runs."""

    name: str
    before: str
    during: str
    after: str


def result_facts(result: BenchmarkRecord) -> Facts:
    """Return which file was measured, when and by which rules."""
    model, protocol = result.model, result.protocol
    origin = [plain(text) for text in (model.variant, model.precision) if text]
    others = [plain(name) for name in result.session.models if name != model.file]
    blocks = f"blocks of {protocol.block_s:g} s" if protocol.block_s else "processes of two or three runs"
    least = f" and {protocol.min_s:g} s" if protocol.min_s else ""
    rules = f"at least {protocol.min_runs:,} runs{least}, {blocks}"
    return [
        ("Model", f"{plain(model.file)}, {model.size_bytes / 1e6:,.2f} MB, {model.format}"),
        ("Model hash", plain(model.sha256)),
        ("Variant", f"{', '.join(origin) or UNTOLD}; weights: {plain(model.weights or UNTOLD)}"),
        ("Protocol", f"{protocol.name}: {rules}, cooldown {protocol.cooldown_s:g} s"),
        ("Measured at", f"{plain(result.session.started_at)}, by edgenet {plain(result.session.edgenet_version)}"),
        ("Took turns with", ", ".join(others) or "no other"),
        ("Command", plain(" ".join(result.session.command))),
    ]


def measurement_facts(measurement: MeasurementRecord) -> Facts:
    """Return what a measurement tells beside its summary row."""
    figures, memory, energy = measurement.statistics, measurement.memory, measurement.energy
    warmup = f"{measurement.warmup_runs:,} runs ({measurement.warmup_s:.1f} s) of warm-up"
    facts = [
        ("Runs", f"{figures.count:,}, after {warmup}"),
        ("Mean", f"{milliseconds(figures.mean_s)}, standard deviation {milliseconds(figures.std_s)}"),
        ("Range", f"{milliseconds(figures.min_s)} to {milliseconds(figures.max_s)}; p95 {milliseconds(figures.p95_s)}"),
        ("Outliers", f"{figures.outliers:,} of {figures.count:,}"),
        ("Drift", _drift(figures.drift)),
        ("Delegate", _delegate(measurement.delegate)),
        ("Golden check", _golden(measurement.golden)),
    ]
    if measurement.cold_starts:
        load_s = median(start.load_s for start in measurement.cold_starts)
        first_s = median(start.first_inference_s for start in measurement.cold_starts)
        text = f"load {milliseconds(load_s)}, first inference {milliseconds(first_s)}"
        facts.append(("Cold start", f"{text} (median of {len(measurement.cold_starts)})"))
    if memory:
        steps = (memory.before_load_bytes, memory.after_load_bytes, memory.after_first_inference_bytes)
        before, loaded, ran = (f"{size / MIB:,.0f}" for size in steps)
        peak = f"peak {memory.peak_rss_bytes / MIB:,.0f} MiB"
        facts.append(("Memory", f"{peak}; {before} before loading, {loaded} after it, {ran} after the first inference"))
    if energy:
        idle = "" if energy.idle_w is None else f", {energy.idle_w:.2f} W when idle"
        text = f"{1e3 * energy.joule_per_inference:,.3g} mJ an inference; {energy.mean_w:.2f} W{idle}"
        facts.append(("Energy", f"{text} ({plain(energy.source)})"))
    return facts


def _drift(drift: DriftRecord | None) -> str:
    if drift is None:
        return "too few blocks to tell"
    return f"{100 * drift.relative_change:+.1f} % from first to last (p = {drift.p_value:.2g})"


def _delegate(delegate: DelegateRecord) -> str:
    asked, applied = plain(delegate.asked), plain(delegate.applied)
    if asked and not applied:
        return f"{asked} was asked for and did NOT come"
    if not applied:
        return "none"
    if delegate.delegated_nodes is None or delegate.nodes is None:
        return f"{applied}; the runtime does not tell how much it took"
    took = f"{applied} took {delegate.delegated_nodes} of {delegate.nodes} nodes"
    return took if delegate.partitions is None else f"{took}, in {_counted(delegate.partitions, 'partition')}"


def _golden(golden: GoldenRecord | None) -> str:
    if golden is None:
        return "the model has no golden vectors"
    word = "passed" if golden.passed else "FAILED: these are the times of wrong answers"
    error = f"largest error {golden.max_abs_error:.2g}, allowed {golden.tolerance:.2g}"
    if golden.error_ratio is not None:
        error += f"; {golden.error_ratio:.2f} × as far from the float network as the stored answers"
    return f"{word}; {_counted(golden.images, 'image')}, {error}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def op_rows(ops: Sequence[OpTimeRecord]) -> list[OpRow]:
    """Return the slowest ops, and all others in one row."""
    ranked = sorted(ops, key=lambda op: -op.mean_s)
    slowest_s = max((op.mean_s for op in ops), default=0) or 1.0
    rows = [
        _op_row(plain(op.name), plain(op.kind), [op], round(100 * op.mean_s / slowest_s, 1)) for op in ranked[:MOST_OPS]
    ]
    rest = ranked[MOST_OPS:]
    return [*rows, _op_row(_counted(len(rest), "other op"), "", rest, None)] if rest else rows


def _op_row(name: str, kind: str, ops: Sequence[OpTimeRecord], bar: float | None) -> OpRow:
    mean_s, share = sum(op.mean_s for op in ops), sum(op.share for op in ops)
    return OpRow(name, kind, f"{1e3 * mean_s:,.3f}", f"{100 * share:.1f}", bar)


def device_facts(device: DeviceRecord) -> Facts:
    """Return what a device is and what runs models there."""
    runtime = device.runtime
    versions = (("Python", runtime.python_version), ("NumPy", runtime.numpy_version))
    told = [f"{name} {plain(version)}" for name, version in versions if version]
    facts = [
        ("Address", f"{device.address} ({device.kind})"),
        ("Board", device.model),
        ("SoC", device.soc),
        ("Processor", f"{device.cores} × {device.processor or 'core'}, {device.machine}"),
        ("Memory", f"{device.memory_bytes / MIB:,.0f} MiB"),
        ("System", device.system),
        ("Kernel", device.kernel),
        ("Runtime", f"{runtime.name} {runtime.version}" + (f" on {', '.join(told)}" if told else "")),
        ("Runtime hash", runtime.sha256),
    ]
    return [(name, plain(value) or UNTOLD) for name, value in facts]


def environment_facts(environment: EnvironmentRecord) -> Facts:
    """Return what holds for the whole session."""
    usb = [f"{plain(name)} ({speed / 1e6:,.0f} Mbit/s)" for name, speed in environment.usb.items()]
    facts = [("Power meter", plain(environment.power_source))] if environment.power_source else []
    edgetpu = "; ".join(machine_lines(environment.edgetpu)) if environment.edgetpu else ""
    return [*facts, *([("USB", ", ".join(usb))] if usb else []), *([("Edge TPU", edgetpu)] if edgetpu else [])]


def state_rows(environment: EnvironmentRecord) -> list[StateRow]:
    """Return the device's state before, during (lowest to highest) and after; without what it never told."""
    zones = sorted({zone for snapshot in _every(environment) for zone in snapshot.temperatures_c})
    rows = [
        _listed("Governor", environment, lambda each: each.governors),
        _ranged("Frequency, GHz", environment, lambda each: [hertz / 1e9 for hertz in each.frequencies_hz]),
        _ranged("Highest allowed, GHz", environment, lambda each: [hertz / 1e9 for hertz in each.max_frequencies_hz]),
        *(_ranged(f"{plain(zone)}, °C", environment, _reader_of(zone), ".1f") for zone in zones),
        _listed("Throttled now", environment, lambda each: _said(each, "now")),
        _listed("Throttled since boot", environment, lambda each: _said(each, "since_boot")),
        _ranged("Memory available, MiB", environment, _memory_of, ",.0f"),
        _ranged("Load average, 1 minute", environment, lambda each: each.load_average[:1] if each.load_average else ()),
        _ranged("Power, W", environment, lambda each: () if each.power_w is None else (each.power_w,)),
    ]
    return [row for row in rows if row.before + row.during + row.after != 3 * "–"]


def _every(environment: EnvironmentRecord) -> list[SnapshotRecord]:
    return [environment.before, *environment.during, environment.after]


def _reader_of(zone: str) -> Callable[[SnapshotRecord], Sequence[float]]:
    return lambda each: [each.temperatures_c[zone]] if zone in each.temperatures_c else []


def _memory_of(snapshot: SnapshotRecord) -> Sequence[float]:
    return () if snapshot.memory_available_bytes is None else (snapshot.memory_available_bytes / MIB,)


def _said(snapshot: SnapshotRecord, name: str) -> Sequence[str]:
    """Return what a Pi said; one that says nothing is wrong says "no"."""
    return () if snapshot.throttled is None else getattr(snapshot.throttled, name) or ("no",)


def _ranged(
    name: str, environment: EnvironmentRecord, read: Callable[[SnapshotRecord], Sequence[float]], style: str = ".2f"
) -> StateRow:
    def text(snapshots: Sequence[SnapshotRecord]) -> str:
        values = [value for snapshot in snapshots for value in read(snapshot)]
        if not values:
            return "–"
        low, high = format(min(values), style), format(max(values), style)
        return low if low == high else f"{low}–{high}"

    return StateRow(name, text([environment.before]), text(environment.during), text([environment.after]))


def _listed(name: str, environment: EnvironmentRecord, read: Callable[[SnapshotRecord], Sequence[str]]) -> StateRow:
    def text(snapshots: Sequence[SnapshotRecord]) -> str:
        words = dict.fromkeys(plain(word) for snapshot in snapshots for word in read(snapshot))
        return ", ".join(words) or "–"

    return StateRow(name, text([environment.before]), text(environment.during), text([environment.after]))
