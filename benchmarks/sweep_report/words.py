"""The answer in sentences. The page's script says the same ones when its inputs change: see templates/sweep.js."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.page_plots import milliseconds
from benchmarks.sweep_report.choice import Bounds, Candidate, Held, Reading, choose, front, hold

INSIDE = "the bound lies inside the 95 % interval, so that another measurement may say otherwise"
SAME = "its interval overlaps with the pick's: the images do not tell the two apart"
FRONT = "no other beats one of these in accuracy, latency and size at once:"
NOTHING = "nothing here to choose from"
NO_FIGURES = "none has the figures that the bounds are about"
NONE = "none meets the bounds"


@dataclass(frozen=True)
class Line:
    """One sentence of an answer; kinds: emulation, wrong, lead, front, pick, why, runner-up, none, nearest."""

    kind: str
    text: str


@dataclass(frozen=True)
class Texts:
    """A candidate's figures in words, "" for one that it lacks."""

    accuracy: str
    latency: str
    size: str

    @property
    def all(self) -> str:
        """Return what there is in one line."""
        return ", ".join(filter(None, (self.accuracy, self.latency, self.size))) or "no figures"


def texts(candidate: Candidate, measure: str) -> Texts:
    """Return a candidate's figures in words, accuracy by the name of what measures it."""
    accuracy, latency, size = candidate.accuracy, candidate.latency, candidate.size_bytes
    return Texts(
        f"{measure} {_with_interval(accuracy, percent, ' %')}" if accuracy else "",
        f"median {_with_interval(latency, _number_ms, ' ms')}" if latency else "",
        "" if size is None else megabytes(size),
    )


def percent(fraction: float) -> str:
    """Return a share in percent, without the sign."""
    return f"{100 * fraction:.1f}"


def megabytes(size_bytes: int) -> str:
    """Return a size in millions of bytes."""
    return f"{size_bytes / 1e6:.2f} MB"


def _number_ms(seconds: float) -> str:
    return milliseconds(seconds).removesuffix(" ms")


def _with_interval(reading: Reading, number: Callable[[float], str], unit: str) -> str:
    value = f"{number(reading.value)}{unit}"
    return f"{value} ({number(reading.low)}–{number(reading.high)})" if reading.low < reading.high else value


def bound_words(kind: str, bounds: Bounds, measure: str) -> str:
    """Return a bound in words."""
    words = {
        "latency": f"at most {1e3 * (bounds.max_s or 0):g} ms",
        "accuracy": f"{measure} at least {100 * (bounds.min_accuracy or 0):g} %",
        "size": f"at most {(bounds.max_bytes or 0) / 1e6:g} MB",
    }
    return words[kind]


def question_words(bounds: Bounds, measure: str) -> str:
    """Return all bounds in words, "" where there are none."""
    given = (("latency", bounds.max_s), ("accuracy", bounds.min_accuracy), ("size", bounds.max_bytes))
    return ", ".join(bound_words(kind, bounds, measure) for kind, bound in given if bound is not None)


def answer_lines(candidates: Sequence[Candidate], bounds: Bounds, measure: str) -> list[Line]:
    """Return the answer about candidates that may be compared: pick and runner-up, or what is nearest, or the front."""
    if not candidates:
        return [Line("none", NOTHING)]
    if not bounds.any:
        members = sorted(front(candidates), key=lambda each: each.latency.value if each.latency else 0)
        return [Line("lead", FRONT), *(Line("front", _named(each, measure)) for each in members)]
    choice = choose(candidates, bounds)
    if choice.pick:
        lines = [Line("pick", _named(choice.pick, measure)), *_reasons(choice.pick, bounds, measure)]
        return [*lines, *([_runner_up(choice.runner_up, choice.pick, bounds, measure)] if choice.runner_up else [])]
    if choice.nearest:
        nearest = Line("nearest", f"the nearest is {_named(choice.nearest, measure)}")
        return [Line("none", NONE), nearest, *_reasons(choice.nearest, bounds, measure)]
    return [Line("none", NO_FIGURES)]


def _named(candidate: Candidate, measure: str) -> str:
    return f"{candidate.name}: {texts(candidate, measure).all}"


def _reasons(candidate: Candidate, bounds: Bounds, measure: str) -> Iterator[Line]:
    words = texts(candidate, measure)
    for row in hold(candidate, bounds) or ():
        missed = f" is missed by {100 * row.miss:.1f} %" if row.miss else ""
        text = f"{bound_words(row.kind, bounds, measure)}{missed}: {getattr(words, row.kind)}{_doubt(row)}"
        yield Line("why", text)
    if candidate.remark:
        yield Line("why", candidate.remark)


def _doubt(row: Held) -> str:
    return f"; {INSIDE}" if row.doubtful else ""


def _runner_up(candidate: Candidate, pick: Candidate, bounds: Bounds, measure: str) -> Line:
    doubts = [
        f"; {bound_words(row.kind, bounds, measure)} lies inside its 95 % interval"
        for row in hold(candidate, bounds) or ()
        if row.doubtful
    ]
    same = f"; {SAME}" if _overlap(candidate.accuracy, pick.accuracy) else ""
    remark = f"; {candidate.remark}" if candidate.remark else ""
    return Line("runner-up", f"runner-up: {_named(candidate, measure)}{same}{''.join(doubts)}{remark}")


def _overlap(one: Reading | None, other: Reading | None) -> bool:
    return bool(one and other and one.low < one.high and one.high >= other.low)
