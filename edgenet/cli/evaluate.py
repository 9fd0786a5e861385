"""`edgenet evaluate`: the accuracy of files on labelled images, all files in one pass over them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress
from edgenet.cli.verify_cells import interval
from edgenet.cli.written import decibels
from edgenet.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.accuracy.record import ClassRecord, EvaluationRecord, FileRecord, PassedOverRecord

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", show_default=False, help="A .tflite or .onnx file, a folder of them, or a run."),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Class folders, a folder with labels.csv, TFRecord files, or tar shards; or a pattern: 'shards/*.tar'.",
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option("--reference", metavar="FILE", help="The float .tflite file to compare with; else the fp32 file."),
]
MaxUnreadable = Annotated[
    float, typer.Option("--max-unreadable", metavar="F", help="Stop above this share of unreadable images, 0 to 1.")
]
Scheduler = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="Let a Dask cluster's workers do it: tcp://HOST:8786.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write evaluate.json and evaluate.html there.")]

FIGURES = (
    Column("\nfile"),
    Column("\ntop-1", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("\ntop-5", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("calibration\nerror", numeric=True),
)
AGREEMENT = (
    Column("\nfile"),
    Column("\nheld against"),
    Column("same\ntop-1", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("drop in\npoints", numeric=True),
    Column("95 %\ninterval", numeric=True),
    Column("logit\nSQNR dB", numeric=True),
)
CLASSES = (
    Column("class"),
    Column("images", numeric=True),
    Column("found", numeric=True),
    Column("95 % interval", numeric=True),
    Column("precision", numeric=True),
    Column("taken most often for"),
)
SHOWN_CLASSES, SHOWN_NAMES, LONGEST_LABEL = 10, 5, 32
MOST_COLUMNS = 4  # files beside each other in the table of classes


def command(
    files: Files,
    data: Data = "",
    reference: Reference = None,
    max_unreadable: MaxUnreadable = 0.01,
    out: Out = None,
    scheduler: Scheduler = "",
    as_json: Json = False,
) -> None:
    """Tell how often files name what labelled images show: top-1, top-5, calibration error, each class, confusion.

    Each image is decoded once for all files. The fp32 file of a network, where it is one of them, is what its others
    are held against.

    \b
    edgenet evaluate lite0-w8a8.tflite --data photos
    edgenet evaluate lite0 --data 'shards/*.tar' --out results
    """
    from benchmarks.accuracy.evaluate import Request, evaluate

    if not data:
        raise InputError("no images were given", allowed="--data DIR", mend="one folder a class, or a labels.csv in it")
    request = Request(tuple(files), data, reference, max_unreadable, out, scheduler)
    with StepProgress() as report:
        result = evaluate(request, ("edgenet", *sys.argv[1:]), report)
    if as_json:
        emit_json(result.model_dump(mode="json", exclude={"schema_version"}))
    else:
        _show(result)
    if out:
        say(f"written: {out / 'evaluate.json'}, {out / 'evaluate.html'}")
    next_command(f"edgenet benchmark {files[0]}")


def _show(result: EvaluationRecord) -> None:
    data = result.data
    speed = f"{result.duration_s:.1f} s, {result.images_per_s:.0f} images/s on {result.machine.cores} cores"
    show(f"{data.images} images of {data.place}: labels by {data.labels_by}; {speed}")
    _show_passed_over("unreadable", data.unreadable)
    _show_passed_over("passed over", data.passed_over)
    if data.classes_with_images < data.classes:
        say(f"note: {data.classes - data.classes_with_images} of {data.classes} classes have no image")
    show()
    show_table(FIGURES, [_figures(row) for row in result.files])
    held = [row for row in result.files if row.agreement]
    if held:
        show()
        show_table(AGREEMENT, [_agreement(row) for row in held])
    show()
    if len(result.files) == 1:
        _show_classes(result.files[0])
    elif len(result.files) <= MOST_COLUMNS:
        _show_recalls(result.files)


def _show_passed_over(what: str, rows: PassedOverRecord) -> None:
    for row in rows.first[:SHOWN_NAMES]:
        say(f"{what}: {row.name}: {row.reason}")
    if rows.count > SHOWN_NAMES:
        say(f"{what}: {rows.count - SHOWN_NAMES} more")


def _figures(row: FileRecord) -> list[str]:
    return [
        row.name,
        f"{100 * row.top1.fraction:.1f} %",
        interval(row.top1),
        f"{100 * row.top5.fraction:.1f} %",
        interval(row.top5),
        f"{100 * row.calibration_error.expected:.1f} %",
    ]


def _agreement(row: FileRecord) -> list[str]:
    found = row.agreement
    if found is None:
        raise ValueError("a file without a reference has no agreement")
    return [
        row.name,
        found.reference,
        f"{100 * found.same_top1.fraction:.1f} %",
        interval(found.same_top1),
        f"{found.drop_points:.1f}",
        f"{found.drop_low_points:.1f} to {found.drop_high_points:.1f}",
        decibels(found.sqnr_db),
    ]


def _show_classes(row: FileRecord) -> None:
    """Show the classes that were found least, of those that have images."""
    worst = sorted(_with_images(row), key=_recall)[:SHOWN_CLASSES]
    _say_which(len(worst), len(_with_images(row)))
    show_table(CLASSES, [_class_cells(entry, row) for entry in worst])


def _show_recalls(files: Sequence[FileRecord]) -> None:
    """Show how much each file found of the classes that were found least by all together."""
    by_class = list(zip(*map(_with_images, files), strict=True))
    worst = sorted(by_class, key=lambda entries: [sum(parts) for parts in zip(*map(_recall, entries), strict=True)])
    _say_which(len(worst[:SHOWN_CLASSES]), len(worst))
    columns = [Column("class"), Column("images", numeric=True), *(Column(row.name, numeric=True) for row in files)]
    show_table(columns, [_recall_cells(entries) for entries in worst[:SHOWN_CLASSES]])


def _recall_cells(entries: Sequence[ClassRecord]) -> list[str]:
    shares = [f"{100 * entry.recall.fraction:.1f} %" for entry in entries if entry.recall]
    return [_short(entries[0].label), str(entries[0].recall.images if entries[0].recall else 0), *shares]


def _say_which(shown: int, there: int) -> None:
    show("images found of each class" + (f", the worst {shown} of {there}" if shown < there else ""))


def _with_images(row: FileRecord) -> list[ClassRecord]:
    return [entry for entry in row.classes if entry.recall]


def _recall(entry: ClassRecord) -> tuple[float, int]:
    return (entry.recall.fraction, -entry.recall.images) if entry.recall else (0.0, 0)


def _class_cells(entry: ClassRecord, row: FileRecord) -> list[str]:
    if entry.recall is None:
        raise ValueError("a class without images has no recall")
    return [
        _short(entry.label),
        str(entry.recall.images),
        f"{100 * entry.recall.fraction:.1f} %",
        interval(entry.recall),
        "–" if entry.precision is None else f"{100 * entry.precision:.1f} %",
        _taken_for(entry, row),
    ]


def _taken_for(entry: ClassRecord, row: FileRecord) -> str:
    wrong = [
        (count, given)
        for label, given, count in row.confusion
        if label == entry.class_index and given != entry.class_index
    ]
    if not wrong:
        return ""
    count, given = max(wrong, key=lambda pair: (pair[0], -pair[1]))
    names = {other.class_index: other.label for other in row.classes}
    return f"{_short(names[given])} ({count})"


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
