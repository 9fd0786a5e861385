"""One training as it was asked for: look at the data, train, and leave a folder that every other verb takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgenet.artifact import Artifact
from edgenet.atomic import make_folder, write_files
from edgenet.counts import count
from edgenet.errors import InputError
from edgenet.native_noise import quiet_native_stderr
from edgenet.progress import Report
from edgenet.training.scan import scan
from edgenet.training.session import Say, Session
from edgenet.training.setup import Request, first_weights, refuse_used, request_of_run, setup_record, with_head
from edgenet.training.sources import open_examples
from edgenet.training.split import SPLIT_NAME, Split, check_same, make_split, pack_rows
from edgenet.training.state import CHECKPOINT_NAME, Arrays, ProgressRecord, read_state
from edgenet.weights.record import Weights
from edgenet.weights.run_folder import SETUP_NAME, RunRecord

RECIPE_NAME = "recipe.toml"


@dataclass(frozen=True)
class Trained:
    """A finished run: its record and its float32 file. A worker that is not the chief has neither."""

    out: Path
    run: RunRecord
    artifact: Artifact


def train(request: Request, command: tuple[str, ...], report: Report, say: Say) -> Trained | None:
    """Train from the start; raise InputError for data or a folder that cannot be used, GateFailed for a loss of NaN."""
    refuse_used(request.out)
    return _train(request, "", command, report, say)


def resume(
    out: Path, data: Path | None, strategy: str, command: tuple[str, ...], report: Report, say: Say
) -> Trained | None:
    """Go on with the training in `out` as if it had never stopped; raise InputError where that cannot be."""
    request, sha256 = request_of_run(out, data, strategy)
    return _train(request, sha256, command, report, say)


def _train(request: Request, resumed: str, command: tuple[str, ...], report: Report, say: Say) -> Trained | None:
    """Train; `resumed` is the hash of the weights that a resumed run began from, "" for a new run."""
    split = _split(request, report, say)
    with quiet_native_stderr():  # TensorFlow announces itself while it is imported
        from edgenet.training.strategy import open_devices, set_precision

        devices = open_devices(request.strategy, request.recipe.schedule.batch_size)
        precision = set_precision(request.strategy)
    began_from = first_weights(request, say)
    if resumed and began_from.sha256 != resumed:
        raise InputError(f"{began_from.origin} is not what the run began from (sha256 differs)", mend="bring it back")
    weights = with_head(began_from, split.labels, request.seed)
    if request.cut_share:
        say(f"{len(began_from.widths)} layers are narrower: {_macs(began_from)} M multiply-accumulates are left")
    say(f"weights: {began_from.source}, {began_from.origin}; {weights.preprocessing.side_px} px, layers in {precision}")
    session = Session(weights, request.recipe, split, request.seed, devices, request.out, report, say)
    if resumed:
        check_same(split, request.out / SPLIT_NAME)
    elif devices.is_chief:
        _begin(request, began_from, split)
    return _run(session, began_from, _saved(request.out, say) if resumed else None, command)


def _macs(weights: Weights) -> str:
    return f"{count(weights.architecture()).macs / 1e6:.0f}"


def _split(request: Request, report: Report, say: Say) -> Split:
    found = open_examples(request.data)
    schedule, rules = request.recipe.schedule, request.recipe.data
    checked = scan(found, rules.max_unreadable_share, report)
    split = make_split(found, checked.usable, rules.val_share)
    if len(split.train) < schedule.batch_size:
        raise InputError(
            f"{len(split.train)} training images are less than one batch of {schedule.batch_size}",
            mend="bring more images, or set schedule.batch_size in the recipe",
        )
    say(
        f"{len(split.labels)} classes by {found.rule}: {len(split.train)} images to train, {len(split.val)} to validate"
    )
    for row in (*found.skipped, *checked.unreadable)[:5]:
        say(f"skipped: {row.name}: {row.reason}")
    skipped = len(found.skipped) + len(checked.unreadable)
    for note in (*split.notes, *([f"{skipped} files were skipped in all"] if skipped > 5 else [])):
        say(f"note: {note}")
    return split


def _begin(request: Request, began_from: Weights, split: Split) -> None:
    """Record what the run is, all or nothing."""
    make_folder(request.out)
    write_files({
        request.out / RECIPE_NAME: request.recipe.toml.encode(),
        request.out / SPLIT_NAME: pack_rows(split.rows),
        request.out / SETUP_NAME: setup_record(request, began_from).model_dump_json(indent=2).encode(),
    })  # fmt: skip


def _saved(out: Path, say: Say) -> tuple[ProgressRecord, Arrays] | None:
    if not (out / CHECKPOINT_NAME).is_file():
        say("no epoch was finished: beginning with the first")
        return None
    progress, arrays = read_state(out / CHECKPOINT_NAME)
    say(f"resuming after epoch {progress.epoch}" + (f" and {progress.step} steps" if progress.step else ""))
    return progress, arrays


def _run(
    session: Session, began_from: Weights, saved: tuple[ProgressRecord, Arrays] | None, command: tuple[str, ...]
) -> Trained | None:
    from edgenet.training.finish import finish
    from edgenet.training.loop import Loop

    loop = Loop(session, *(saved or (None, {})))
    loop.run()
    if not session.devices.is_chief:
        session.say(f"worker {session.devices.worker} is done; worker 0 writes the run")
        return None
    run, artifact = finish(session, began_from, loop.progress, loop.confusion, command)
    return Trained(session.out, run, artifact)
