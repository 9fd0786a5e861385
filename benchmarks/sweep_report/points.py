"""A sweep's cells as candidates, device by device: what may be compared stands in one group, and nothing else does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmarks.result import Provenance
from benchmarks.sweep.record import CellRecord, SweepRecord
from benchmarks.sweep_report.choice import Candidate, Reading, front
from benchmarks.table import plain, setting_text

TOP1, AGREEMENT = "top-1", "agreement with the float network"
PROVENANCES: tuple[Provenance, ...] = ("measured", "emulated")


@dataclass(frozen=True)
class Point(Candidate):
    """A cell in one setting; `cell` is its place in the sweep, `setting` that of its latency, None without one."""

    cell: int
    setting: int | None
    variant: str
    precision: str


@dataclass(frozen=True)
class Group:
    """All that one device measured, or that another one emulated; `device` is "" where the sweep has no devices."""

    device: str
    provenance: Provenance
    points: tuple[Point, ...]
    wrong: tuple[Point, ...]  # the device gave wrong answers: its times are those of something else

    @cached_property
    def front(self) -> list[Point]:
        """Return the points that no other one beats."""
        return front(self.points)

    @property
    def title(self) -> str:
        """Return the group's name for people."""
        name = self.device or "no device"
        return f"{name} (emulated)" if self.provenance == "emulated" else name


def yardstick(sweep: SweepRecord) -> str:
    """Return what accuracy is in this sweep: top-1 where anything was evaluated, else agreement from verification."""
    return TOP1 if any(cell.accuracy for cell in sweep.cells) else AGREEMENT


def device_name(cell: CellRecord) -> str:
    """Return the cell's device as it may be shown, "" for none."""
    return plain(cell.device or "")


def groups(sweep: SweepRecord) -> list[Group]:
    """Return a group a device and provenance that there are points of, measured ones first; an empty one for a device
    that there is no point of at all.
    """
    devices = [plain(name) for name in sweep.grid.devices] or [""]
    found = [_group(sweep, device, kind) for kind in PROVENANCES for device in devices]
    filled = {group.device for group in found if group.points or group.wrong}
    empty = [group for group in found if group.provenance == "measured" and group.device not in filled]
    return [group for group in found if group.points or group.wrong or group in empty]


def _group(sweep: SweepRecord, device: str, provenance: Provenance) -> Group:
    right: list[Point] = []
    wrong: list[Point] = []
    measure = yardstick(sweep)
    for index, cell in enumerate(sweep.cells):
        if device_name(cell) != device:
            continue
        if not device and provenance == "measured" and cell.model:
            right.append(_point(cell, index, None, measure))
        for number, row in enumerate(cell.latencies):
            if row.provenance == provenance:
                (wrong if row.golden is False else right).append(_point(cell, index, number, measure))
    return Group(device, provenance, tuple(right), tuple(wrong))


def _point(cell: CellRecord, index: int, number: int | None, measure: str) -> Point:
    row = None if number is None else cell.latencies[number]
    warned = row and row.warnings
    variant = plain(cell.variant)
    return Point(
        name=f"{variant} {cell.precision}" + (f", {setting_text(row.setting)}" if row else ""),
        remark=f"warnings of its benchmark: {', '.join(map(plain, warned))}" if warned else "",
        accuracy=accuracy_of(cell, measure),
        latency=Reading(row.median_s, row.low_s, row.high_s) if row else None,
        size_bytes=cell.model.size_bytes if cell.model else None,
        cell=index,
        setting=number,
        variant=variant,
        precision=cell.precision,
    )


def accuracy_of(cell: CellRecord, measure: str) -> Reading | None:
    """Return a cell's top-1, or its agreement where that is what is asked for; None where the cell has none."""
    if measure == TOP1:
        top1 = cell.accuracy and cell.accuracy.top1
        return Reading(top1.fraction, top1.low, top1.high) if top1 else None
    held = cell.model and cell.model.verification
    return Reading(held.agreement, held.agreement_low, held.agreement_high) if held else None
