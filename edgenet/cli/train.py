"""`edgenet train`: train a variant on classes of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.compression_options import PruneFlag
from edgenet.cli.console import emit_json, next_command, show
from edgenet.cli.console import say as say_line
from edgenet.cli.options import Json, Side, whole_number
from edgenet.cli.progress import StepProgress
from edgenet.compression import parse_compression
from edgenet.errors import InputError
from edgenet.named_variant import named_variant

if TYPE_CHECKING:
    from edgenet.training.setup import Request
    from edgenet.training.train import Trained

VariantFlag = Annotated[str, typer.Option("--variant", metavar="NAME", help="b0, lite0, v2-s, ...; see edgenet list.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Class folders, a folder with labels.csv, or TFRecord files."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Folder of the run.")]
RecipeFlag = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="TOML; what it leaves out is the default.")
]
WeightsFlag = Annotated[
    str, typer.Option("--weights", metavar="W", help="To begin from: as convert's, or the folder of another run.")
]
Seed = Annotated[
    int, typer.Option("--seed", parser=whole_number("--seed", 0, 2**31 - 1), metavar="N", help="Of everything drawn.")
]
Strategy = Annotated[
    str, typer.Option("--strategy", metavar="S", help="single, mirrored (all GPUs here), multiworker (TF_CONFIG), tpu.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, exactly where it stopped.")]


def command(
    variant: VariantFlag = "", data: Data = None, out: Out = None, recipe: RecipeFlag = None, weights: WeightsFlag = "",
    side: Side = None, seed: Seed = 0, strategy: Strategy = "single", prune: PruneFlag = "",
    resume: Resume = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Train a variant on your own classes, and leave a folder that convert, verify and benchmark take.

    \b
    edgenet train --variant lite0 --data flowers --out run
    edgenet train --variant v2-b0 --data flowers --recipe mine.toml --side 160 --out run
    edgenet train --variant lite0 --data flowers --weights run --prune channels:0.5 --out half
    edgenet train --resume --out run
    edgenet convert --from run --int8 --calib flowers --out files
    """
    from edgenet.training import train

    if out is None:
        raise InputError("no folder for the run was given", allowed="--out RUN", mend="add it")
    words = ("edgenet", *sys.argv[1:])
    with StepProgress() as report:
        if resume:
            _refuse_beside_resume(variant, recipe, weights, side, seed, prune)
            trained = train.resume(out, data, strategy, words, report, say_line)
        else:
            request = _request(variant, data, out, recipe, weights, side, seed, strategy, prune)
            trained = train.train(request, words, report, say_line)
    if trained is not None:
        _show(trained, as_json)


def _request(
    variant: str, data: Path | None, out: Path, recipe: Path | None, weights: str, side: int | None, seed: int,
    strategy: str, prune: str,
) -> Request:  # fmt: skip
    from edgenet.training.recipe import default_recipe, read_recipe
    from edgenet.training.setup import Request

    if not variant:
        raise InputError("no variant was given", allowed="--variant NAME", mend="edgenet list shows them all")
    if data is None:
        raise InputError("no images were given", allowed="--data DIR", mend="one folder a class in it")
    found = named_variant(variant)
    chosen = read_recipe(recipe, found) if recipe else default_recipe(found)
    return Request(found, data, out, chosen, weights or "auto", side or 0, seed, strategy, _cut_share(prune))


def _cut_share(prune: str) -> float:
    """Return the share of the multiply-accumulates that goes with its channels; raise InputError for other pruning."""
    compression = parse_compression(prune)
    if compression.pruning and not compression.cuts_channels:
        raise InputError(
            f"--prune {prune} is not a way to train", allowed="channels:0.5", mend="edgenet convert --from RUN --prune"
        )
    return compression.pruning.share if compression.pruning else 0.0


def _refuse_beside_resume(*given: object) -> None:
    if any(given):
        raise InputError(
            "--resume goes on with the run as it was",
            allowed="--out, --data, --strategy and --json beside it",
            mend="drop the rest",
        )


def _show(trained: Trained, as_json: bool) -> None:
    run = trained.run
    if as_json:
        document = run.model_dump(mode="json", exclude={"schema_version"})
        emit_json({"path": str(trained.out), "artifact": str(trained.artifact.path), **document})
    else:
        share = f"{100 * run.val_accuracy:.1f} % of {run.val_images} validation images"
        show(
            f"{run.variant}, {len(run.labels)} classes: {share}, loss {run.val_loss:.3f}, after epoch {run.best_epoch}"
        )
        show(f"{trained.artifact.path}: the same network, {trained.artifact.manifest.network_error:.1e} apart")
        show(f"{trained.out / 'training.html'}: curves and confusion matrix")
    next_command(f"edgenet convert --from {trained.out} --int8 --calib PHOTOS --out {trained.out}-int8")
