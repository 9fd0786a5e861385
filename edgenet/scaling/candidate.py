"""One candidate of a search: its network at the proxy's side, and its training, begun, resumed or found finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgenet.agreement import proportion
from edgenet.coefficients import Coefficients
from edgenet.counts import Counts, count
from edgenet.errors import GateFailed, InputError
from edgenet.layers import expand
from edgenet.progress import Report
from edgenet.scaling.record import CANDIDATES_NAME, ScoreRecord, SearchRecord, TrialRecord
from edgenet.training import train
from edgenet.training.recipe import recipe_of_text
from edgenet.training.setup import Request
from edgenet.training.split import SPLIT_NAME
from edgenet.training.state import CHECKPOINT_NAME, EpochRecord, read_state
from edgenet.weights.run_folder import RUN_NAME, SETUP_NAME

PHI = 1.0  # arXiv 1905.11946, section 3.3: the coefficients are searched at one step
SIDE_STEP_PX = 2  # multiples of 8, as deployed sides are, would make a factor of 1.05 vanish at a proxy's small side


@dataclass(frozen=True)
class Candidate:
    """Coefficients as a network that can be trained on the search's data."""

    coefficients: Coefficients
    side_px: int
    counts: Counts

    @property
    def run(self) -> str:
        """Return its folder below the search's."""
        factors = self.coefficients
        return f"{CANDIDATES_NAME}/a{factors.alpha:g}-b{factors.beta:g}-g{factors.gamma:g}"


def make_candidate(coefficients: Coefficients, side_px: int, classes: int) -> Candidate:
    """Return a candidate whose side is gamma times that of phi 0."""
    side = SIDE_STEP_PX * round(side_px * coefficients.gamma**PHI / SIDE_STEP_PX)
    return Candidate(coefficients, side, count(expand(coefficients.variant(PHI), classes, side)))


def train_candidate(
    candidate: Candidate, search: SearchRecord, out: Path, command: tuple[str, ...], report: Report
) -> TrialRecord:
    """Train a candidate to the end of its budget and return how it did.

    A training that was begun goes on, one that is finished is only read. A loss that is no number is a result, too.
    """
    folder = out / candidate.run
    try:
        last, duration_s = _trained(candidate, search, folder, command, report)
    except GateFailed as error:
        return _trial(candidate, search, None, error.what)
    if (folder / SPLIT_NAME).read_bytes() != (out / SPLIT_NAME).read_bytes():
        raise InputError(
            f"the images of {search.data} changed while {candidate.run} was trained",
            mend=f"bring them back, delete {folder}, and go on with --resume",
        )
    return _trial(candidate, search, _score(last, duration_s, search.val_images), "")


def drop_checkpoint(candidate: Candidate, out: Path) -> None:
    """Remove what only a resumed training would need: four times the network's size, for each candidate."""
    (out / candidate.run / CHECKPOINT_NAME).unlink(missing_ok=True)


def _trained(
    candidate: Candidate, search: SearchRecord, folder: Path, command: tuple[str, ...], report: Report
) -> tuple[EpochRecord, float]:
    """Return the last epoch's record and the time that all took."""
    data = Path(search.data)
    if not (folder / RUN_NAME).is_file():
        if (folder / SETUP_NAME).is_file():
            train.resume(folder, data, "single", command, report, _silent)
        else:
            recipe, variant = recipe_of_text(search.recipe, "the search's recipe"), candidate.coefficients.variant(PHI)
            request = Request(
                variant, data, folder, recipe, weights=search.weights, side_px=candidate.side_px, seed=search.seed
            )
            train.train(request, command, report, _silent)
    progress, _ = read_state(folder / CHECKPOINT_NAME)
    return progress.history[-1], sum(row.duration_s for row in progress.history)


def _score(last: EpochRecord, duration_s: float, images: int) -> ScoreRecord:
    share = proportion(round(last.val_accuracy * images), images)
    return ScoreRecord(
        hits=share.hits,
        accuracy=share.fraction,
        accuracy_low=share.low,
        accuracy_high=share.high,
        val_loss=last.val_loss,
        duration_s=round(duration_s, 3),
    )


def _trial(candidate: Candidate, search: SearchRecord, score: ScoreRecord | None, failure: str) -> TrialRecord:
    return TrialRecord(
        coefficients=candidate.coefficients,
        run=candidate.run,
        variant=candidate.coefficients.variant(PHI).name,
        side_px=candidate.side_px,
        macs=candidate.counts.macs,
        macs_ratio=candidate.counts.macs / search.base_macs,
        parameters=candidate.counts.trainable,
        steps=search.steps,
        score=score,
        failure=failure,
    )


def _silent(text: str) -> None:
    del text
