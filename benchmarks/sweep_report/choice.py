"""Which candidate to take: the Pareto front, and the best within bounds with what is next to it. Plain values only.

Accuracy is a share and larger is better; latency in seconds and size in bytes are better when smaller. What is not
known is None: a candidate is never placed by a figure that it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Reading:
    """A figure with its 95 % interval; `low` and `high` are the value where there is no interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Candidate:
    """A file in one setting on one device; `remark` is what weakens its figures, "" where nothing does."""

    name: str
    remark: str
    accuracy: Reading | None
    latency: Reading | None
    size_bytes: int | None


@dataclass(frozen=True)
class Bounds:
    """What is asked for; None: no such bound. Each bound itself is still allowed."""

    max_s: float | None = None
    min_accuracy: float | None = None
    max_bytes: int | None = None

    @property
    def any(self) -> bool:
        """Return whether anything is asked for."""
        return any(bound is not None for bound in (self.max_s, self.min_accuracy, self.max_bytes))


@dataclass(frozen=True)
class Held:
    """One bound against a candidate's figure; `miss` is by what share of the bound it is missed, 0 where it is kept."""

    kind: str  # latency, accuracy, size
    miss: float
    doubtful: bool  # the bound lies inside the figure's interval: another measurement may say otherwise


AnyCandidate = TypeVar("AnyCandidate", bound=Candidate)


@dataclass(frozen=True)
class Choice(Generic[AnyCandidate]):
    """The answer: a pick, or what is nearest to the bounds; both None where no candidate has the figures."""

    pick: AnyCandidate | None
    runner_up: AnyCandidate | None
    nearest: AnyCandidate | None


def front(candidates: Sequence[AnyCandidate]) -> list[AnyCandidate]:
    """Return the candidates that no other one beats, in their order; equal ones beat neither each other.

    The axes are those that any candidate has a figure on; one that lacks a figure there cannot be on the front.
    """
    axes = [axis for axis in AXES if any(axis(each) is not None for each in candidates)]
    placed = [(each, _place(each, axes)) for each in candidates]
    places = [place for _, place in placed if place]
    return [each for each, place in placed if place and not any(_beats(other, place) for other in places)]


def choose(candidates: Sequence[AnyCandidate], bounds: Bounds) -> Choice[AnyCandidate]:
    """Return the most accurate candidate that keeps all bounds, and the next; of equals the faster, then the smaller.

    Where none keeps them, `nearest` is the one whose worst miss, as a share of its bound, is the least.
    """
    known = [(each, held) for each in candidates if (held := hold(each, bounds)) is not None]
    kept = sorted((each for each, held in known if not any(row.miss for row in held)), key=preference)
    if kept:
        return Choice(kept[0], kept[1] if len(kept) > 1 else None, None)
    missed = sorted(known, key=lambda pair: (max(row.miss for row in pair[1]), *preference(pair[0])))
    return Choice(None, None, missed[0][0] if missed else None)


def hold(candidate: Candidate, bounds: Bounds) -> list[Held] | None:
    """Return each bound against the candidate's figures; None where it lacks one that a bound is about."""
    size = candidate.size_bytes
    figures = (
        ("latency", bounds.max_s, candidate.latency, -1),
        ("accuracy", bounds.min_accuracy, candidate.accuracy, 1),
        ("size", bounds.max_bytes, None if size is None else Reading(size, size, size), -1),
    )
    asked = [(kind, bound, figure, sense) for kind, bound, figure, sense in figures if bound is not None]
    if any(figure is None for _, _, figure, _ in asked):
        return None
    return [_held(kind, bound, figure, sense) for kind, bound, figure, sense in asked if figure]


def _held(kind: str, bound: float, figure: Reading, sense: int) -> Held:
    short = max(0.0, sense * (bound - figure.value))
    miss = short / bound if bound else float("inf") if short else 0.0
    return Held(kind, miss, doubtful=figure.low < bound < figure.high)


def preference(candidate: Candidate) -> tuple[float, float, float, str]:
    """Return what candidates are sorted by, the best first; what is not known comes last."""
    last = float("inf")
    return (
        -candidate.accuracy.value if candidate.accuracy else last,
        candidate.latency.value if candidate.latency else last,
        last if candidate.size_bytes is None else candidate.size_bytes,
        candidate.name,
    )


AXES: tuple[Callable[[Candidate], float | None], ...] = (
    lambda each: -each.accuracy.value if each.accuracy else None,
    lambda each: each.latency.value if each.latency else None,
    lambda each: each.size_bytes,
)


def _place(candidate: Candidate, axes: Sequence[Callable[[Candidate], float | None]]) -> tuple[float, ...]:
    figures = [axis(candidate) for axis in axes]
    known = tuple(figure for figure in figures if figure is not None)
    return known if len(known) == len(axes) else ()


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
