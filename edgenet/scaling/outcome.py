"""Which candidate a search takes, and how much of its lead is noise."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.coefficients import paper
from edgenet.errors import GateFailed
from edgenet.scaling.record import OutcomeRecord, ScoreRecord, TrialRecord

UNEQUAL_COST = 1.25  # the dearest candidate over the cheapest: from there on the accuracies need the reminder
ONE_SEED = "one seed each: another seed moves these figures as well, by how much is not measured here"
Scored = tuple[TrialRecord, ScoreRecord]


def ranked(trials: Sequence[TrialRecord]) -> list[Scored]:
    """Return the candidates that have one with their scores, by accuracy, of equal ones the cheaper first."""
    scored = [(row, row.score) for row in trials if row.score]
    return sorted(scored, key=lambda pair: (-pair[1].accuracy, pair[0].macs))


def outcome(trials: Sequence[TrialRecord]) -> OutcomeRecord:
    """Return the best candidate, and those whose 95 % intervals overlap its own; raise GateFailed if none has one."""
    order = ranked(trials)
    if not order:
        raise GateFailed(
            f"none of {len(trials)} candidates came to its end; the first: {trials[0].failure}",
            mend="search again with a smaller schedule.peak_rate in a --recipe",
        )
    (best, score), others = order[0], order[1:]
    near = [row for row, other in others if other.accuracy_high >= score.accuracy_low]
    notes = [*_noise_notes(best, near, len(others)), *_cost_notes(order), *_failure_notes(trials), ONE_SEED]
    return OutcomeRecord(
        coefficients=best.coefficients, within_noise=tuple(row.coefficients for row in near), notes=tuple(notes)
    )


def _noise_notes(best: TrialRecord, near: Sequence[TrialRecord], others: int) -> list[str]:
    if not others:
        return []
    if not near:
        return ["its 95 % interval overlaps no other candidate's"]
    if len(near) == others:
        notes = ["all 95 % intervals overlap: this search shows no difference; more validation images would show more"]
    else:
        notes = [f"{len(near)} of the {others} others cannot be told from it: their 95 % intervals overlap"]
    published = paper(best.coefficients.base)
    if any(row.coefficients == published for row in near):
        notes.append(f"the paper's {published.title} is one of those")
    return notes


def _cost_notes(order: Sequence[Scored]) -> list[str]:
    ratios = [row.macs_ratio for row, _ in order]
    if max(ratios) < UNEQUAL_COST * min(ratios):
        return []
    return [
        f"blocks, channels and sides are whole numbers: candidates cost {min(ratios):.2f} to {max(ratios):.2f} times "
        "phi 0, not 2 each, and the dearer ones have an advantage"
    ]


def _failure_notes(trials: Sequence[TrialRecord]) -> list[str]:
    failed = [row for row in trials if row.score is None]
    return [f"{len(failed)} candidates did not come to their end; the first: {failed[0].failure}"] if failed else []
