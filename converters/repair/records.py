"""A climb as the manifest keeps it."""

import math

from converters.job import Probe
from converters.repair.climb import Step
from converters.repair.ladder import Outcome
from edgenet.manifest import RepairRecord, RepairStepRecord


def repair_record(outcome: Outcome, probe: Probe) -> RepairRecord:
    """Return every trial of a climb, and how it ended."""
    return RepairRecord(
        target=outcome.gate.target,
        min_agree=outcome.gate.min_agree,
        max_latency_cost=outcome.gate.max_latency_cost,
        probe=probe.description,
        images=len(probe.images),
        passed=outcome.passed,
        interrupted=outcome.interrupted,
        steps=tuple(step_record(step) for step in outcome.steps),
    )


def step_record(step: Step) -> RepairStepRecord:
    """Return one trial."""
    trial, share = step.trial, step.trial.agreement.agreement
    decibels = trial.agreement.sqnr_db
    return RepairStepRecord(
        rung=step.rung,
        recipe=trial.made.recipe.toml,
        agreement=share.fraction,
        agreement_low=share.low,
        agreement_high=share.high,
        crossed_agreement=round(trial.crossed, 4),
        sqnr_db=decibels if math.isfinite(decibels) else None,
        size_bytes=len(trial.made.content),
        latency_ratio=round(trial.latency_ratio, 3),
        full_integer=trial.full_integer,
        high_precision_share=trial.high_precision_share,
        kept=step.kept,
        duration_s=round(step.duration_s, 1),
    )
