"""What a finished run leaves: its record, a page about it, and the float32 file with its proof."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.conversion import Request as Conversion
from converters.conversion import run as convert
from converters.evidence import tool_versions
from edgenet.artifact import Artifact
from edgenet.atomic import write_files
from edgenet.manifest import InputRecord
from edgenet.preprocessing import Preprocessing
from edgenet.training.page import PAGE_NAME, render_page
from edgenet.training.session import Session
from edgenet.training.state import BEST_NAME, EpochRecord, ProgressRecord
from edgenet.weights.cache import file_digest
from edgenet.weights.record import Weights
from edgenet.weights.run_folder import RUN_NAME, OriginRecord, RunRecord, run_weights


def finish(
    session: Session,
    began_from: Weights,
    progress: ProgressRecord,
    confusion: NDArray[np.int64],
    command: tuple[str, ...],
) -> tuple[RunRecord, Artifact]:
    """Write what the other verbs take; the record comes last but for the file, which is made from it."""
    best = progress.best
    if best is None:
        raise ValueError("a training without an epoch is not finished")
    record = _record(session, began_from, progress, best, command)
    write_files({session.out / RUN_NAME: record.model_dump_json(indent=2).encode()})
    weights = run_weights(session.out)
    page = render_page(record, progress.history, confusion)
    write_files({session.out / PAGE_NAME: page.encode()})
    conversion = Conversion(weights.variant, (("fp32", "float32"),), "", "builtin", model=weights)
    [artifact] = convert(conversion, session.out, True, command, session.report, lambda text: None)
    return record, artifact


def _record(
    session: Session, began_from: Weights, progress: ProgressRecord, best: EpochRecord, command: tuple[str, ...]
) -> RunRecord:
    weights = session.weights
    return RunRecord(
        variant=weights.variant.name,
        labels=weights.labels,
        weights=BEST_NAME,
        sha256=file_digest(session.out / BEST_NAME),
        began_from=OriginRecord(source=began_from.source, origin=began_from.origin, sha256=began_from.sha256),
        preprocessing=_input_record(weights.preprocessing),
        padding=weights.convention.padding,
        batch_norm_epsilon=weights.convention.batch_norm_epsilon,
        widths=dict(weights.widths),
        train_images=len(session.split.train),
        val_images=len(session.split.val),
        epochs=progress.epoch,
        best_epoch=best.epoch,
        val_accuracy=best.val_accuracy,
        val_loss=best.val_loss,
        seed=session.seed,
        recipe=session.recipe.toml,
        tool_versions=tool_versions(),
        command=command,
    )


def _input_record(preprocessing: Preprocessing) -> InputRecord:
    return InputRecord(**vars(preprocessing))
