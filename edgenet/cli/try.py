"""`edgenet try`: what a deployed file answers to photos, on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.console import Column, emit_json, next_command, say, show, show_table, warn
from edgenet.cli.conversion_options import Labels
from edgenet.cli.options import Json
from edgenet.cli.progress import StepProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from edgenet.artifact import Artifact
    from edgenet.bundle.classify import Answer

ArtifactPath = Annotated[
    Path, typer.Argument(metavar="ARTIFACT", show_default=False, help="A .tflite or .onnx file with its manifest.")
]
Photos = Annotated[
    list[Path], typer.Argument(metavar="PHOTO...", show_default=False, help="JPEG, PNG, BMP or WebP files.")
]
Picture = Annotated[
    Path | None, typer.Option("--picture", metavar="DIR", help="Save there what the network saw of each photo.")
]
COLUMNS = (Column("class"), Column("share", numeric=True), Column("logit", numeric=True))


def command(
    artifact: ArtifactPath, photo: Photos, picture: Picture = None, labels: Labels = "", as_json: Json = False
) -> None:
    """Show the five best classes of photos, through exactly the file that is deployed.

    A photo is turned upright by its camera's tag, as an app gets it, then cropped and resized as the manifest says.

    \b
    edgenet try lite0-w8a8.tflite cat.jpg dog.jpg
    edgenet try lite0-w8a8.tflite cat.jpg --picture seen
    """
    from converters.runtime import load_runner
    from converters.screen import read_screened
    from edgenet.bundle.classify import class_names, classify
    from edgenet.cli.one_artifact import one_artifact
    from edgenet.labels import known_labels, read_labels
    from edgenet.photos import open_upright
    from edgenet.preprocessing import crop_photo

    chosen = one_artifact(artifact)
    manifest = chosen.manifest
    weights, record = manifest.weights, manifest.to_preprocessing()
    names = read_labels(labels, weights.num_classes) if labels else known_labels(weights)
    images = [open_upright(path) for path in photo]
    runner = load_runner(read_screened(chosen.path))
    with StepProgress() as report:
        seen = []
        answers = []
        for number, image in enumerate(images, 1):
            seen.append(crop_photo(image, record))
            answers.append(classify(runner, seen[-1], class_names(names, weights.num_classes)))
            report("trying", number, len(images))
    saved = _save(picture, photo, seen) if picture else []
    if as_json:
        emit_json(_document(chosen, photo, images, answers, saved))
    else:
        _show(photo, images, answers, record.side_px)
    for path in saved:
        say(f"what the network saw: {path}")
    if not names:
        say(f"note: {manifest.file} does not say what its classes are called; --labels FILE names them")
    if weights.source == "random":
        warn("RANDOM WEIGHTS: these answers mean nothing")
    next_command(f"edgenet bundle {chosen.path} --platform web --out app")


def _save(folder: Path, photos: list[Path], seen: list[NDArray[np.uint8]]) -> list[Path]:
    """Write what the network saw as PNG files, named after the photos; raise InputError for a folder that cannot be."""
    from io import BytesIO

    from PIL import Image

    from edgenet.atomic import write_files

    names = [f"{path.stem}.seen.png" for path in photos]
    if len(set(names)) < len(names):  # cat.jpg and cat.png, or one photo of two folders
        names = [f"{number}-{name}" for number, name in enumerate(names, 1)]
    contents = {}
    for name, pixels in zip(names, seen, strict=True):
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        contents[folder / name] = stream.getvalue()
    write_files(contents)
    return list(contents)


def _show(photos: list[Path], images: list[Image.Image], answers: list[tuple[Answer, ...]], side_px: int) -> None:
    for number, (path, image, rows) in enumerate(zip(photos, images, answers, strict=True)):
        if number:
            show()
        show(f"{path.name}: {image.width} x {image.height}, seen at {side_px} x {side_px}")
        show()
        show_table(COLUMNS, [(row.label, f"{100 * row.probability:.1f} %", f"{row.logit:.2f}") for row in rows])


def _document(
    artifact: Artifact,
    photos: list[Path],
    images: list[Image.Image],
    answers: list[tuple[Answer, ...]],
    saved: list[Path],
) -> dict[str, object]:
    pictures: list[str | None] = [str(path) for path in saved] if saved else [None] * len(photos)
    return {
        "path": str(artifact.path),
        "sha256": artifact.manifest.sha256,
        "weights_source": artifact.manifest.weights.source,
        "photos": [
            {
                "path": str(path),
                "width_px": image.width,
                "height_px": image.height,
                "picture": picture,
                "top": [asdict(row) for row in rows],
            }
            for path, image, picture, rows in zip(photos, images, pictures, answers, strict=True)
        ],
    }
