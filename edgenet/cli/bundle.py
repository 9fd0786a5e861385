"""`edgenet bundle`: a file as source for an app, with what proves that the app feeds it rightly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.console import Column, emit_json, next_command, show, show_table, warn
from edgenet.cli.conversion_options import Labels
from edgenet.cli.options import Json
from edgenet.errors import GateFailed, InputError

if TYPE_CHECKING:
    from edgenet.bundle.check import CheckResult
    from edgenet.bundle.make import Bundle

ArtifactPath = Annotated[
    Path | None, typer.Argument(metavar="ARTIFACT", show_default=False, help="A .tflite file with its manifest.")
]
PlatformFlag = Annotated[
    str, typer.Option("--platform", metavar="P", help="android, c, flutter, ios, python, react-native or web.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="A new folder.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Of the package, the functions or the page.")]
Author = Annotated[str, typer.Option("--author", metavar="A", help="Whose work the model is, for its metadata.")]
License = Annotated[str, typer.Option("--license", metavar="L", help="The model's licence, for its metadata.")]
AllowRandom = Annotated[
    bool, typer.Option("--allow-random", help="Take random weights, which classify nothing; the bundle says so.")
]
AllowFailed = Annotated[
    bool, typer.Option("--allow-failed", help="Take a file that failed its gate; the bundle says so.")
]
Runtime = Annotated[
    str, typer.Option("--runtime", metavar="FILE", help="web: the npm package of the runtime, where npm is not here.")
]
Package = Annotated[
    str, typer.Option("--package", metavar="P", help="android: of the sources, com.example.NAME unless said.")
]
Api = Annotated[
    str, typer.Option("--api", metavar="A", help="android: litert (unless said), mediapipe or tflite runs the model.")
]
CoreML = Annotated[
    str, typer.Option("--core-ml", metavar="PYTHON", help="ios: also a Core ML model, by a Python with coremltools.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the bundle that is there.")]
Check = Annotated[Path | None, typer.Option("--check", metavar="DIR", help="Check a bundle instead of writing one.")]

CASES = (
    Column("golden\nvector"),
    Column("best class"),
    Column("pixels off by\n(levels)", numeric=True),
    Column("logits\noff by", numeric=True),
)
FILES = (Column("file"), Column("kB", numeric=True))


def command(
    artifact: ArtifactPath = None,
    platform: PlatformFlag = "",
    out: Out = None,
    name: Name = "",
    labels: Labels = "",
    author: Author = "",
    license: License = "",
    allow_random: AllowRandom = False,
    allow_failed: AllowFailed = False,
    runtime: Runtime = "",
    package: Package = "",
    api: Api = "",
    core_ml: CoreML = "",
    force: Force = False,
    check: Check = None,
    as_json: Json = False,
) -> None:
    """Write a file as source for an app: model, labels, preprocessing, golden vectors and a test that runs them.

    \b
    edgenet bundle lite0-w8a8.tflite --platform web --out page
    edgenet bundle lite0-w8a8.tflite --platform python --out pi --name flowers --labels flowers.txt
    edgenet bundle lite0-w8a8.tflite --platform android --out flowers --package com.example.flowers
    edgenet bundle lite0-w8a8.tflite --platform ios --out Flowers --core-ml coreml/bin/python
    edgenet bundle --check page
    """
    if check is not None:
        texts = (platform, name, labels, author, license, runtime, package, api, core_ml)
        if any((artifact, out, *texts, allow_random, allow_failed, force)):
            raise InputError("--check DIR stands alone", allowed="--json beside it", mend="drop the rest")
        _check(check, as_json)
        return
    if artifact is None or out is None or not platform:
        raise InputError(
            "a bundle needs a file, a platform and a new folder",
            mend="edgenet bundle lite0-w8a8.tflite --platform web --out page",
        )
    from edgenet.bundle.content import Wishes
    from edgenet.bundle.make import make_bundle
    from edgenet.cli.one_artifact import one_artifact
    from edgenet.cli.progress import StepProgress

    wishes = Wishes(name, labels, author, license, allow_random, allow_failed, runtime, package, api, core_ml)
    with StepProgress() as report:
        made = make_bundle(one_artifact(artifact), platform, out, wishes, force, report)
    _show_made(made, as_json)


def _show_made(made: Bundle, as_json: bool) -> None:
    record = made.record
    if as_json:
        emit_json({"path": str(made.path), "bundle": record.model_dump(mode="json")})
    else:
        over = f" over {record.api}" if record.api else ""
        show(f"{made.path}: {record.name} for {record.platform}{over}, {record.num_classes} classes")
        show(f"model: {record.source.file}, input {record.input.type} {list(record.input.shape)}")
        show()
        show_table(FILES, [(row.file, f"{row.size_bytes / 1000:,.1f}") for row in record.files])
    for line in record.warnings:
        warn(line)
    next_command(made.next_step)


def _check(folder: Path, as_json: bool) -> None:
    from edgenet.bundle.check import check_bundle

    result = check_bundle(folder)
    if as_json:
        emit_json(_document(folder, result))
    else:
        _show_checked(folder, result)
    for line in result.record.warnings:
        warn(line)
    if result.failures:
        raise GateFailed("; ".join(result.failures), mend="bundle again")


def _show_checked(folder: Path, result: CheckResult) -> None:
    record = result.record
    show(f"{folder}: {record.name} for {record.platform}, {len(record.files)} files")
    if result.cases:
        show()
        show_table(
            CASES,
            [(row.photo, row.best, str(row.max_pixel_error), f"{row.max_logit_error:.2g}") for row in result.cases],
        )
    if not result.failures:
        show()
        show("every file is what was written, and every golden vector is met")


def _document(folder: Path, result: CheckResult) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "path": str(folder),
        "platform": result.record.platform,
        "name": result.record.name,
        "files": len(result.record.files),
        "golden": [asdict(row) for row in result.cases],
        "warnings": list(result.record.warnings),
        "failures": list(result.failures),
    }
