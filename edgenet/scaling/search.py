"""The search of arXiv 1905.11946, section 3.3, on the user's own images: train each candidate, then take the best.

RUN/search.json knows what was asked and what is done; RUN/candidates/ holds a training run for each candidate. Killed
at any moment, a search goes on from there: what is in search.json is never trained again, what was begun is resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.evidence import tool_versions
from edgenet.artifact import sha256
from edgenet.atomic import make_folder
from edgenet.coefficients import COEFFICIENTS_NAME, pack_coefficients
from edgenet.counts import count
from edgenet.errors import InputError
from edgenet.layers import expand
from edgenet.progress import Report
from edgenet.scaling.candidate import Candidate, drop_checkpoint, make_candidate, train_candidate
from edgenet.scaling.estimate import search_duration_s, told
from edgenet.scaling.grid import GRID_NAME, candidates
from edgenet.scaling.outcome import outcome, ranked
from edgenet.scaling.record import SEARCH_NAME, SearchRecord, TrialRecord, read_search, write_search
from edgenet.training.recipe import Recipe, recipe_of_text
from edgenet.training.scan import scan
from edgenet.training.sources import open_examples
from edgenet.training.split import SPLIT_NAME, Split, check_same, make_split, pack_rows
from edgenet.variants import VARIANTS, ScaledBase
from edgenet.weights.run_folder import is_run

Say = Callable[[str], None]
Train = Callable[[Candidate, SearchRecord, Path, tuple[str, ...], Report], TrialRecord]


@dataclass(frozen=True)
class SearchRequest:
    """One search as the user asked for it."""

    data: Path
    out: Path
    base: ScaledBase
    epochs: int
    recipe: Recipe
    grid: str  # TOML
    side_px: int = 0  # 0: the base's own
    seed: int = 0


def begin(request: SearchRequest, command: tuple[str, ...], report: Report) -> SearchRecord:
    """Look at the data and record what is to be searched; raise InputError for data or a folder that cannot be used."""
    if (request.out / SEARCH_NAME).exists():
        raise InputError(f"{request.out} holds a search", mend="go on with it: add --resume; or name another --out")
    if is_run(request.out):
        raise InputError(f"{request.out} holds a training", mend="name another folder with --out")
    candidates(request.grid, GRID_NAME, request.base)  # refused before every image is decoded
    recipe = budgeted(request.recipe, request.epochs)
    split = _open(request.data, recipe, report)
    side_px = request.side_px or VARIANTS[request.base].side_px
    record = SearchRecord(
        base=request.base,
        side_px=side_px,
        base_macs=count(expand(VARIANTS[request.base], len(split.labels), side_px)).macs,
        data=str(request.data.resolve()),
        data_sha256=sha256(pack_rows(split.rows)),
        labels=split.labels,
        train_images=len(split.train),
        val_images=len(split.val),
        seed=request.seed,
        epochs=request.epochs,
        steps=request.epochs * (len(split.train) // recipe.schedule.batch_size),
        recipe=recipe.toml,
        grid=request.grid,
        trials=(),
        tool_versions=tool_versions(),
        command=command,
    )
    make_folder(request.out)
    write_search(request.out, record, {request.out / SPLIT_NAME: pack_rows(split.rows)})
    return record


def reopen(out: Path, data: Path | None, report: Report) -> SearchRecord:
    """Return a search that was begun, with the same images; raise InputError. `data` says where they are now."""
    record = read_search(out)
    if data is not None:
        record = record.model_copy(update={"data": str(data.resolve())})
    if record.outcome is None:
        split = _open(Path(record.data), recipe_of_text(record.recipe, "the search's recipe"), report)
        check_same(split, out / SPLIT_NAME)
    return record


def budgeted(recipe: Recipe, epochs: int) -> Recipe:
    """Return a recipe of so many epochs for every candidate: no warm-up of a head alone, no early end."""
    schedule = recipe.schedule.model_copy(update={"warmup_epochs": 0, "epochs": epochs, "patience_epochs": epochs})
    return recipe.model_copy(update={"schedule": schedule})


def search(
    record: SearchRecord, out: Path, command: tuple[str, ...], report: Report, say: Say, train: Train = train_candidate
) -> SearchRecord:
    """Train what is left, and write the coefficients of the best; raise GateFailed if no candidate came to its end."""
    if record.outcome is not None:
        say(f"the search in {out} is finished")
        return record
    every = [
        make_candidate(row, record.side_px, len(record.labels))
        for row in candidates(record.grid, GRID_NAME, record.base)
    ]
    done = {row.run for row in record.trials}
    left = [row for row in every if row.run not in done]
    _announce(record, every, left, say)
    began_s = time.monotonic()
    for index, candidate in enumerate(left):
        number = len(every) - len(left) + index + 1
        named = _as_step(f"candidate {number}/{len(every)}", report)
        trial = train(candidate, record, out, command, named)
        record = record.model_copy(update={"trials": (*record.trials, trial)})
        write_search(out, record)
        drop_checkpoint(candidate, out)
        _release()
        say(_told(trial, number, len(every)) + _rest(time.monotonic() - began_s, index + 1, len(left)))
    return _finish(record, out)


def _finish(record: SearchRecord, out: Path) -> SearchRecord:
    found = outcome(record.trials)
    record = record.model_copy(update={"outcome": found})
    _, score = ranked(record.trials)[0]
    line = (
        f"edgenet scale --search: {100 * score.accuracy:.1f} % of {record.val_images} validation images, within noise "
        f"of {len(found.within_noise)} of {len(record.trials) - 1} other candidates; see {SEARCH_NAME}"
    )
    write_search(out, record, {out / COEFFICIENTS_NAME: pack_coefficients(found.coefficients, line)})
    return record


def _open(data: Path, recipe: Recipe, report: Report) -> Split:
    found = open_examples(data)
    split = make_split(found, scan(found, recipe.data.max_unreadable_share, report).usable, recipe.data.val_share)
    if len(split.train) < recipe.schedule.batch_size:
        raise InputError(
            f"{len(split.train)} training images are less than one batch of {recipe.schedule.batch_size}",
            mend="bring more images, or set schedule.batch_size in a --recipe",
        )
    return split


def _announce(record: SearchRecord, every: Sequence[Candidate], left: Sequence[Candidate], say: Say) -> None:
    rest = f", {len(left)} of them left" if len(left) < len(every) else ""
    say(
        f"{len(every)} candidates at phi 1 from {record.base} at {record.side_px} px{rest}: "
        f"each {record.epochs} epochs, {record.steps} steps, from scratch with seed {record.seed}"
    )
    say(
        f"{len(record.labels)} classes: {record.train_images} images to train, {record.val_images} to validate; "
        f"data {record.data_sha256[:12]}"
    )
    if left:
        about = told(search_duration_s(record, left))
        say(f"about {about} of training steps, by the time that one takes now; starting each candidate comes on top")


def _as_step(name: str, report: Report) -> Report:
    """Show the training steps of a candidate under its own name, and nothing else of it."""

    def show(step: str, done: int, total: int) -> None:
        if step == "training":
            report(name, done, total)

    return show


def _release() -> None:
    """Let go of a candidate's graph: ten of them in one process would fill the memory."""
    import gc

    import tf_keras

    tf_keras.backend.clear_session()
    gc.collect()


def _told(trial: TrialRecord, number: int, total: int) -> str:
    name, score = f"candidate {number}/{total}, {trial.coefficients.title}", trial.score
    if score is None:
        return f"{name}: {trial.failure}"
    low, high = 100 * score.accuracy_low, 100 * score.accuracy_high
    return f"{name}: top-1 {100 * score.accuracy:.1f} % ({low:.1f} to {high:.1f})"


def _rest(elapsed_s: float, done: int, total: int) -> str:
    return f"; about {told(elapsed_s / done * (total - done))} left" if done < total else ""
