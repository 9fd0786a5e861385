"""`edgenet recommend`: which file to take on a device, from a sweep, or which variant to try first, by estimate."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table
from edgenet.cli.options import Json
from edgenet.cli.question_options import MaxMb, MaxMs, MinTop1, given
from edgenet.errors import GateFailed, InputError, MissingError

if TYPE_CHECKING:
    from benchmarks.device_rates import DeviceRates
    from benchmarks.recommend import Estimate, Recommendation
    from benchmarks.sweep_report.choice import Bounds

DeviceFlag = Annotated[
    str,
    typer.Option("--device", metavar="D", help="A name of the inventory, or a profile: see edgenet devices profiles."),
]
FromFlag = Annotated[
    Path | None, typer.Option("--from", metavar="RUN", help="A sweep that measured the device; else by estimate.")
]
COLUMNS = (
    Column("\nvariant"),
    Column("\nprecision"),
    Column("published\ntop-1 %", numeric=True),
    Column("estimated\nms", numeric=True),
    Column("method's\nerror ms", numeric=True),
    Column("computed\nMB", numeric=True),
    Column("\nclose?"),
)
MOST_ROWS = 15
MEASURE = "measure instead: edgenet sweep or edgenet benchmark with --device"


def command(
    device: DeviceFlag = "", max_ms: MaxMs = "", min_top1: MinTop1 = "", max_mb: MaxMb = "", run: FromFlag = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Name the most accurate file that is fast enough on a device, and the next one.

    With --from RUN from what a sweep measured there. Without it from published accuracies and latencies that are
    estimated, from what is published of the device's processor: which variant to convert and measure first.

    \b
    edgenet recommend --device pi4 --max-ms 30 --min-top1 74 --from sweep
    edgenet recommend --device raspberry-pi-4 --max-ms 60
    """
    if not device:
        raise InputError("no device was given", allowed="--device D", mend="edgenet devices profiles shows the kinds")
    if not max_ms:
        raise InputError("no limit was given", allowed="--max-ms MS", mend="--max-ms 30")
    bounds = given(max_ms, min_top1, max_mb)
    if run:
        _from_sweep(run, device, bounds, as_json)
    else:
        _estimated(device, bounds, as_json)


def _from_sweep(run: Path, device: str, bounds: Bounds, as_json: bool) -> None:
    from benchmarks.sweep_report.answer import Question, ask
    from benchmarks.sweep_report.choice import choose
    from benchmarks.sweep_report.read import MEND, read_sweep, sweep_file
    from edgenet.cli.report_sweep import answers_document, show_answers

    file = sweep_file(run)
    if file is None:
        raise InputError(f"no sweep.json in {run}", mend=MEND)
    sweep, question = read_sweep(file), Question(device, bounds)
    answers = [answer for answer in ask(sweep, question) if answer.group.provenance == "measured"]
    if not any(answer.group.points for answer in answers):
        raise MissingError(
            f"nothing was measured on {device} in this sweep", mend="edgenet report RUN tells what failed"
        )
    if as_json:
        emit_json({"provenance": "measured", **answers_document(sweep, question, answers)})
    else:
        show_answers(sweep, answers)
    pick = choose(answers[0].group.points, bounds).pick
    if pick is None:
        raise GateFailed("none of the measured files meets the bounds", mend="a longer --max-ms, or another device")
    model = sweep.cells[pick.cell].model
    if model:
        path = file.parent / model.file
        next_command(shlex.join(["edgenet", "bundle", str(path), "--platform", "python", "--out", "app"]))


def _estimated(device: str, bounds: Bounds, as_json: bool) -> None:
    from benchmarks.device_rates import device_rates
    from benchmarks.recommend import recommend

    found = recommend(device_rates(_profile_of(device)), bounds)
    if as_json:
        emit_json(_document(device, found))
    else:
        _show(found)
    pick = found.choice.pick
    if pick is None:
        raise GateFailed("by estimate no variant meets the bounds", mend="a longer --max-ms, or measure: edgenet sweep")
    next_command(_next(pick, found.rates, device))


def _next(pick: Estimate, rates: DeviceRates, device: str) -> str:
    stem = f"{pick.variant}-{pick.precision}"
    convert = f"edgenet convert --variant {pick.variant} --precision {pick.precision}"
    if rates.bus:
        return f"{convert} --target edgetpu && edgenet compile {stem}.tflite"
    place = "ssh://USER@HOST" if device == rates.profile else device
    return f"{convert} && edgenet benchmark {stem}.tflite --device {place}"


def _profile_of(device: str) -> str:
    """Return the profile that a name stands for; raise InputError or MissingError."""
    from devices.address import is_address
    from devices.inventory import read_inventory
    from devices.profiles import profiles

    entry = next((row for row in read_inventory() if row.name == device), None)
    if entry and entry.profile:
        return entry.profile
    if entry:
        mend = f'say profile = "..." in {entry.source} (edgenet devices profiles), or {MEASURE}'
        raise MissingError(f"{device} has no profile, so that nothing is known of it", mend=mend)
    if device in profiles():
        return device
    if is_address(device):
        raise InputError(f"nothing is published of {device!r}", allowed="a name with a profile", mend=MEASURE)
    known = [*dict.fromkeys(row.name for row in read_inventory()), *profiles()]
    close = get_close_matches(device, known, n=1)
    mend = f"did you mean {close[0]}?" if close else "edgenet devices profiles shows the kinds"
    raise InputError(f"unknown device {device!r}", allowed=", ".join(known), mend=mend)


def _show(found: Recommendation) -> None:
    from benchmarks.sweep_report.words import question_words

    rates = found.rates
    show(f"{rates.title}, {rates.place}: {question_words(found.bounds, 'top-1')}")
    show("latencies are ESTIMATED, measured by nobody; top-1 is published, on all of ImageNet's validation images")
    show(f"rests on: {rates.basis}")
    for words in rates.error_words():
        show(f"error of the method, {words}")
    show()
    if found.meets:
        show_table(COLUMNS, [_cells(row, found.bounds) for row in found.meets[:MOST_ROWS]])
        left = len(found.meets) - MOST_ROWS
        if left > 0:
            say(f"{left} more meet the bounds: --json shows all")
    _show_choice(found)
    for note in found.notes:
        say(f"note: {note}")


def _show_choice(found: Recommendation) -> None:
    choice = found.choice
    show()
    for title, row in (
        ("pick", choice.pick),
        ("runner-up", choice.runner_up),
        ("none; the nearest is", choice.nearest),
    ):
        if row:
            show(f"{title}: {_words(row, found.bounds)}")


def _words(row: Estimate, bounds: Bounds) -> str:
    from benchmarks.sweep_report.choice import hold
    from benchmarks.sweep_report.words import bound_words

    top1, mine = row.accuracy, f"estimated {_ms(row)} ms, computed {(row.size_bytes or 0) / 1e6:.1f} MB"
    text = f"{row.name}: published top-1 {100 * top1.value if top1 else 0:.1f} %{'*' if row.float_top1 else ''}, {mine}"
    for held in hold(row, bounds) or ():
        words = bound_words(held.kind, bounds, "top-1")
        missed = f"; {words} is missed by {100 * held.miss:.1f} %" if held.miss else ""
        text += missed + (f"; {words} lies within the error of the method" if held.doubtful else "")
    return text


def _ms(row: Estimate) -> str:
    return f"{1e3 * row.latency.value:.1f}" if row.latency else ""


def _cells(row: Estimate, bounds: Bounds) -> list[str]:
    from benchmarks.sweep_report.choice import hold

    top1 = f"{100 * row.accuracy.value:.1f}" if row.accuracy else ""
    error_ms = f"{1e3 * row.error * row.latency.value:.1f}" if row.latency else ""
    close = "close" if any(held.doubtful for held in hold(row, bounds) or ()) else ""
    size = f"{(row.size_bytes or 0) / 1e6:.1f}"
    return [row.variant, row.precision, f"{top1}{'*' if row.float_top1 else ' '}", _ms(row), error_ms, size, close]


def _document(device: str, found: Recommendation) -> dict[str, Any]:
    choice = found.choice
    asked = {"pick": choice.pick, "runner_up": choice.runner_up, "nearest": choice.nearest}
    return {
        "provenance": "estimated",
        "device": device,
        **_rates_document(found.rates),
        "question": asdict(found.bounds),
        "notes": found.notes,
        **{name: row and _estimate_document(row, found.bounds) for name, row in asked.items()},
        "meets": [_estimate_document(row, found.bounds) for row in found.meets],
    }


def _rates_document(rates: DeviceRates) -> dict[str, Any]:
    errors = {name: row.errors for name, row in rates.rates.items()}
    return {
        "profile": rates.profile,
        "place": rates.place,
        "basis": rates.basis,
        "published_for_this_device": rates.published,
        "errors": rates.error_words(),
        "left_out_errors": errors,
    }


def _estimate_document(row: Estimate, bounds: Bounds) -> dict[str, Any]:
    from benchmarks.sweep_report.choice import hold

    return {
        "variant": row.variant,
        "precision": row.precision,
        "published_top1": row.accuracy and row.accuracy.value,
        "published_top1_is_of_float": row.float_top1 or row.precision != "w8a8",
        "published_by": row.source,
        "estimated_latency_s": row.latency and row.latency.value,
        "median_error": row.error,
        "computed_size_bytes": row.size_bytes,
        "bounds": [
            {"of": each.kind, "missed_by": each.miss, "within_error": each.doubtful} for each in hold(row, bounds) or ()
        ],
    }
