"""Step `evaluate`: a pass over the data for the files of a variant, each image decoded once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy.figures import data_record, file_record
from benchmarks.accuracy.lineup import Field, Lineup, find_field, line_up
from benchmarks.sweep.data import Data
from benchmarks.sweep.found import File
from benchmarks.sweep.keys import evaluate_key, key_of
from benchmarks.sweep.loop import Task
from benchmarks.sweep.shards import Total, evaluate_shard, shards
from benchmarks.sweep.store import Ran
from benchmarks.sweep.sweep import Sweep, title
from benchmarks.sweep.tasks import Timed
from edgenet.artifact import Artifact
from edgenet.errors import EdgenetError, InputError
from edgenet.labelled.unreadable import SkippedCount, refuse_too_many
from edgenet.progress import silent

LIMIT = "max_unreadable"  # what the limit is called in a sweep.toml


@dataclass
class Pass:
    """The files of a variant that go over the data together; `wanted` are those whose answers are not known yet."""

    files: tuple[File, ...]
    artifacts: tuple[Artifact, ...]
    wanted: dict[File, str]  # the key of its evaluation
    data: Data
    common: Field
    lineup: Lineup
    total: Total
    key: str
    job: object = None  # what stands for it among a task's arguments
    next_shard: int = 0
    waiting: dict[int, dict[str, Any]] = field(default_factory=dict)  # shards that ended before those in front of them
    unreadable: SkippedCount = field(default_factory=SkippedCount)
    duration_s: float = 0.0
    failed: bool = False


def begin(sweep: Sweep, artifacts: dict[File, Artifact], data: Data) -> None:
    """Take what is recorded of the files' answers, and begin a pass for the rest."""
    reference = next((row for (_, precision), row in artifacts.items() if precision == "fp32"), None)
    wanted: dict[File, str] = {}
    for file, artifact in artifacts.items():
        held = reference.manifest.sha256 if reference and artifact is not reference else ""
        key = evaluate_key(artifact.manifest.sha256, held, data.identity, sweep.grid.max_unreadable)
        entry = sweep.store.find(key)
        if entry is None:
            wanted[file] = key
        else:
            sweep.found.keep_evaluation(file, entry)
            sweep.tick()
    if wanted:
        runs = {file: row for file, row in artifacts.items() if file in wanted or row is reference}
        try:
            found = _pass(sweep, runs, wanted, data)
        except EdgenetError as error:
            give_up(sweep, list(wanted), error)
            return
        sweep.loop.add(_tasks(sweep, found))


def give_up(sweep: Sweep, files: Sequence[File], error: Exception) -> None:
    """Fail the evaluation of some files."""
    for file in files:
        sweep.fail("evaluate", file, error)
        sweep.tick()


def _pass(sweep: Sweep, runs: dict[File, Artifact], wanted: dict[File, str], data: Data) -> Pass:
    found = find_field([row.path for row in runs.values()])
    lineup = line_up(found, None, Path(), silent)
    key = key_of("pass", list(wanted.values()), [row.manifest.sha256 for row in runs.values()])
    made = Pass(tuple(runs), tuple(runs.values()), wanted, data, found, lineup, Total.of(len(lineup.job.subjects)), key)
    made.job = sweep.pool.ship(lineup.job)
    return made


def _tasks(sweep: Sweep, run: Pass) -> Iterator[Task]:
    """Yield a task for each shard that is not recorded, until the pass has failed."""
    for number, examples in enumerate(shards(run.data.images)):
        if run.failed:
            return
        recorded = sweep.store.find_shard(run.key, number)
        if recorded is None:
            name = f"evaluate {run.files[0][0]}"
            yield Task(name, evaluate_shard, (run.job, examples), partial(_then, sweep, run, number))
        else:
            _add(sweep, run, number, recorded)


def _then(sweep: Sweep, run: Pass, number: int, ended: Timed[dict[str, Any]] | Exception) -> None:
    if run.failed:
        return
    if isinstance(ended, Exception):
        _fail(sweep, run, ended)
        return
    run.duration_s += ended.duration_s
    sweep.store.keep_shard(run.key, number, ended.result)
    _add(sweep, run, number, ended.result)


def _fail(sweep: Sweep, run: Pass, error: Exception) -> None:
    run.failed = True
    give_up(sweep, list(run.wanted), error)


def _add(sweep: Sweep, run: Pass, number: int, document: dict[str, Any]) -> None:
    """Add a shard in its turn; end the pass with the last one, or with too many images that cannot be used."""
    run.waiting[number] = document
    images = run.data.images
    while run.next_shard in run.waiting:
        run.unreadable.add(run.total.add(run.waiting.pop(run.next_shard)))
        run.next_shard += 1
    seen = run.total.images + run.unreadable.count
    sweep.report(f"images of {run.files[0][0]}", seen, images.count)
    try:
        refuse_too_many(run.unreadable, images.count, sweep.grid.max_unreadable, LIMIT)
    except EdgenetError as error:
        _fail(sweep, run, error)
        return
    if seen < images.count:
        return
    if run.total.images:
        _finish(sweep, run)
    else:
        _fail(sweep, run, InputError(f"none of {seen} images can be used", mend="give photos that can be read"))


def _finish(sweep: Sweep, run: Pass) -> None:
    total, images, classes = run.total, run.data.images, run.common.classes.count
    digest = total.digest.hexdigest()
    found = data_record(sweep.grid.data, images, classes, total.images, digest, run.unreadable, len(total.labels))
    data = found.model_dump(mode="json")
    names = dict(enumerate(run.common.classes.names)) or run.data.images.names
    rows = zip(run.files, run.artifacts, run.common.names, run.total.tallies, run.lineup.references, strict=True)
    for file, artifact, name, tally, reference in rows:
        if file in run.wanted:
            record = file_record(artifact, name, tally, names, reference)
            text = record.model_dump_json(indent=1) + "\n"
            ran = Ran("evaluate", title(file), run.wanted[file], run.duration_s / len(run.files))
            entry = sweep.keep(ran, {"data": data}, {"evaluation.json": text.encode()})
            sweep.found.keep_evaluation(file, entry)
            sweep.tick()
    sweep.store.drop_shards(run.key)
