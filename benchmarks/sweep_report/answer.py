"""A question about a sweep, refused where the sweep cannot answer it, and the answer for each device."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.sweep.record import SweepRecord
from benchmarks.sweep_report.choice import Bounds
from benchmarks.sweep_report.points import TOP1, Group, groups, yardstick
from benchmarks.sweep_report.words import Line, answer_lines
from benchmarks.table import plain
from edgenet.errors import InputError

EMULATED = "emulated: no real device takes these times"
WRONG = "whose golden answers the device got wrong"
RANDOM = "some weights are random: their accuracy says nothing about the variant"
NOT_EVALUATED = (
    "nothing was evaluated: accuracy here is how often a file answers as its float network does, on the images of its "
    "verification. It says nothing about right or wrong, and is not comparable from one variant to the next"
)


@dataclass(frozen=True)
class Question:
    """What is asked; `device` "" is every one."""

    device: str
    bounds: Bounds


@dataclass(frozen=True)
class Answer:
    """What is said of one group."""

    group: Group
    lines: list[Line]


def ask(sweep: SweepRecord, question: Question) -> list[Answer]:
    """Return the answer for each device that is asked about; raise InputError for what the sweep cannot tell."""
    _check(sweep, question)
    asked = [group for group in groups(sweep) if question.device in ("", group.device)]
    measure = yardstick(sweep)
    return [Answer(group, [*_caution(group), *answer_lines(group.points, question.bounds, measure)]) for group in asked]


def _caution(group: Group) -> list[Line]:
    emulated = [Line("emulation", EMULATED)] if group.provenance == "emulated" else []
    return emulated + ([Line("wrong", f"left out: {len(group.wrong)} {WRONG}")] if group.wrong else [])


def _check(sweep: SweepRecord, question: Question) -> None:
    devices = [plain(name) for name in sweep.grid.devices]
    if question.device and question.device not in devices:
        allowed = ", ".join(devices) or "none: the sweep has no devices"
        raise InputError(f"device {question.device!r} is not in the sweep", allowed=allowed)
    if question.bounds.min_accuracy is not None and yardstick(sweep) != TOP1:
        mend = "drop --min-top1, or run the sweep with --data PHOTOS"
        raise InputError("nothing in the sweep was evaluated, so that it has no top-1", mend=mend)
    if question.bounds.max_s is not None and not any(cell.latencies for cell in sweep.cells):
        mend = "drop --max-ms, or run the sweep with --device D"
        raise InputError("nothing in the sweep was measured, so that it has no latency", mend=mend)


def notes(sweep: SweepRecord) -> list[str]:
    """Return what has to be known beside every answer."""
    found = [] if yardstick(sweep) == TOP1 else [NOT_EVALUATED]
    if any(cell.model and cell.model.weights == "random" for cell in sweep.cells):
        found.append(RANDOM)
    return found
