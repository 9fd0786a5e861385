"""Evaluate files on a labelled set, all in one pass, on all cores of this machine; what `edgenet evaluate` does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.accuracy.figures import data_record, file_record
from benchmarks.accuracy.lineup import Field, Lineup, find_field, line_up
from benchmarks.accuracy.page import PAGE_NAME, render_page
from benchmarks.accuracy.record import (
    INTERVALS,
    RESULT_NAME,
    EvaluationRecord,
    MachineRecord,
)
from benchmarks.accuracy.run import PART_IMAGES, Pass, evaluate_all
from benchmarks.pools.open_pool import open_pool
from converters.evidence import tool_versions
from devices.on_device.board import board_facts
from edgenet.atomic import make_folder, write_files
from edgenet.errors import InputError
from edgenet.labelled.stream import LabelledImages, open_labelled
from edgenet.progress import Report

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """One evaluation as the user asked for it."""

    files: tuple[Path, ...]
    data: str  # a folder, a file, or a pattern of files
    reference: Path | None = None
    max_unreadable: float = 0.01  # a share of the images, as a training's recipe has it
    out: Path | None = None
    scheduler: str = ""  # a Dask scheduler's address; "": processes of this machine


def evaluate(request: Request, command: Sequence[str], report: Report) -> EvaluationRecord:
    """Return the figures of all files, written to the folder `out` as well if there is one.

    Raise InputError for files, data or labels that do not fit together, GateFailed for a file whose answers are no
    numbers, MissingError for a runtime that is not installed.
    """
    if not 0 <= request.max_unreadable <= 1:
        raise InputError(f"--max-unreadable cannot be {request.max_unreadable:g}", allowed="a share from 0 to 1")
    if request.out is not None:
        make_folder(request.out)
    field = find_field(request.files)
    report("looking at the data", 0, 1)
    data = open_labelled(request.data, field.classes)
    report("looking at the data", 1, 1)
    with tempfile.TemporaryDirectory() as scratch:
        lineup = line_up(field, request.reference, Path(scratch), report)
        started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with open_pool(request.scheduler, at_most=-(-data.count // PART_IMAGES)) as pool:
            workers = pool.workers
            found = evaluate_all(lineup.job, data, pool, workers, request.max_unreadable, report, pool.ship)
    result = _record(request, field, lineup, data, found, workers, started_at, command)
    if request.out is not None:
        document = (result.model_dump_json(indent=2) + "\n").encode()
        write_files({request.out / RESULT_NAME: document, request.out / PAGE_NAME: render_page(result).encode()})
    return result


def _record(
    request: Request,
    field: Field,
    lineup: Lineup,
    data: LabelledImages,
    found: Pass,
    workers: int,
    started_at: str,
    command: Sequence[str],
) -> EvaluationRecord:
    names = dict(enumerate(field.classes.names)) or data.names
    # A reference that is none of the files comes behind them.
    rows = zip(field.artifacts, field.names, found.tallies, lineup.references, strict=False)
    files = tuple(file_record(artifact, name, tally, names, reference) for artifact, name, tally, reference in rows)
    return EvaluationRecord(
        data=data_record(
            request.data,
            data,
            field.classes.count,
            found.images,
            found.data_sha256,
            found.unreadable,
            len({label for label, _ in found.tallies[0].answers}),
        ),
        files=files,
        intervals=INTERVALS,
        machine=machine_record(workers),
        scheduler=request.scheduler,
        tool_versions=tool_versions(),
        command=tuple(word.encode(errors="replace").decode() for word in command),  # names of files may be no UTF-8
        started_at=started_at,
        duration_s=found.duration_s,
        images_per_s=found.images_per_s,
    )


def machine_record(workers: int) -> MachineRecord:
    """Return what this machine is, and how many of its cores work."""
    facts = {**board_facts(Path("/")), "cores": workers}
    return MachineRecord.model_validate({key: facts[key] for key in MachineRecord.model_fields})
