"""Make the model of one precision: plain, by a recipe, or by climbing the repair ladder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from converters import flatbuffer
from converters.calibrate import HEADROOM, Calibration
from converters.flatbuffer import Model
from converters.job import FloatNetwork, Job, Probe
from converters.quantize import ActivationData, quantize_model
from converters.repair.bench import Bench
from converters.repair.bench import Made as RecipeMade
from converters.repair.climb import Step
from converters.repair.ladder import climb_ladder
from converters.repair.recipe import Recipe
from converters.repair.records import repair_record
from edgenet.errors import InputError
from edgenet.manifest import RepairRecord
from edgenet.precision import Precision
from edgenet.progress import Report

CALIBRATED: tuple[Precision, ...] = ("w8a8", "w8a16")


@dataclass(frozen=True)
class Made:
    """The content of a model in one precision, its ends still those of its arithmetic, and how it came about."""

    content: bytes
    float_content: bytes
    data: ActivationData | None  # None: no activation is quantized
    ranges_by: str = ""
    recipe: str | None = None
    repair: RepairRecord | None = None

    @property
    def model(self) -> Model:
        """Return the model, a new one each time: each file format gives it ends of its own."""
        return flatbuffer.read(self.content)


def make(
    network: FloatNetwork,
    job: Job,
    calibration: Calibration | None,
    precision: Precision,
    report: Report,
    say: Callable[[str], None],
) -> Made:
    """Return the model of a precision; raise InputError for a recipe that fits no layer."""
    if precision not in CALIBRATED or calibration is None:
        return Made(
            flatbuffer.write(quantize_model(network.content, precision, keep_sums=network.keeps_sums)),
            network.content,
            None,
        )
    if precision == "w8a16":
        model = quantize_model(network.integer_content, precision, calibration.wide, keep_sums=network.keeps_sums)
        return Made(flatbuffer.write(model), network.integer_content, calibration.wide, f"minmax x {HEADROOM:g}")
    if job.repair:
        return _repaired(network, job, calibration, report, say)
    if job.recipe:
        return _by_recipe(_bench(network, job, calibration, report).make(job.recipe))
    recipe = Recipe(calibration.method, rounding=network.rounding)
    return Made(calibration.narrow_content, network.integer_content, calibration.narrow, recipe.ranges, recipe.toml)


def _repaired(
    network: FloatNetwork, job: Job, calibration: Calibration, report: Report, say: Callable[[str], None]
) -> Made:
    if job.repair is None or job.probe is None:
        raise InputError("a repair judges each file on images", mend="leave out --no-verify")
    outcome = climb_ladder(_bench(network, job, calibration, report), job.repair, lambda step: say(_told(step)))
    return replace(_by_recipe(outcome.best.made), repair=repair_record(outcome, job.probe))


def _by_recipe(made: RecipeMade) -> Made:
    return Made(made.content, made.float_content, made.data, made.recipe.ranges, made.recipe.toml)


def _bench(network: FloatNetwork, job: Job, calibration: Calibration, report: Report) -> Bench:
    if job.calibration is None:
        raise InputError("w8a8 needs calibration images", mend="give --calib DIR, or --calib builtin")
    return Bench(network, calibration, job.calibration, job.probe or Probe((), "no images"), report)


def _told(step: Step) -> str:
    trial = step.trial
    share = 100 * trial.agreement.agreement.fraction
    kept = "kept" if step.kept else "not kept"
    return (
        f"{step.rung}: {share:.1f} % same top-1, crossed {100 * trial.crossed:.1f} %, "
        f"{trial.agreement.sqnr_db:.1f} dB, {trial.latency_ratio:.2f} times the latency: {kept}"
    )
