"""`edgenet train`: train a variant on classes of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgenet.cli.compression_options import ClusterFlag, PruneFlag
from edgenet.cli.console import emit_json, next_command, show
from edgenet.cli.console import say as say_line
from edgenet.cli.options import Json, Side, whole_number
from edgenet.cli.progress import StepProgress
from edgenet.compression import Compression, parse_compression
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
Qat = Annotated[bool, typer.Option("--qat", help="Quantization-aware: learn in the 8-bit steps of convert --int8.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, exactly where it stopped.")]


def command(
    variant: VariantFlag = "", data: Data = None, out: Out = None, recipe: RecipeFlag = None, weights: WeightsFlag = "",
    side: Side = None, seed: Seed = 0, strategy: Strategy = "single", prune: PruneFlag = "", cluster: ClusterFlag = "",
    qat: Qat = False, resume: Resume = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Train a variant on your own classes, and leave a folder that convert, verify and benchmark take.

    \b
    edgenet train --variant lite0 --data flowers --out run
    edgenet train --variant v2-b0 --data flowers --recipe mine.toml --side 160 --out run
    edgenet train --variant lite0 --data flowers --weights run --prune channels:0.5 --out half
    edgenet train --variant lite0 --data flowers --weights run --qat --out run-qat
    edgenet train --variant lite0 --data flowers --weights run --prune 0.5 --cluster 16 --qat --out run-small
    edgenet train --resume --out run
    edgenet convert --from run --int8 --calib flowers --out files
    """
    from edgenet.training import train

    if out is None:
        raise InputError("no folder for the run was given", allowed="--out RUN", mend="add it")
    words = ("edgenet", *sys.argv[1:])
    with StepProgress() as report:
        if resume:
            _refuse_beside_resume(variant, recipe, weights, side, seed, prune, cluster, qat)
            trained = train.resume(out, data, strategy, words, report, say_line)
        else:
            compression = parse_compression(prune, cluster, qat)
            request = _request(variant, data, out, recipe, weights, side, seed, strategy, compression)
            trained = train.train(request, words, report, say_line)
    if trained is not None:
        _show(trained, as_json)


def _request(
    variant: str, data: Path | None, out: Path, recipe: Path | None, weights: str, side: int | None, seed: int,
    strategy: str, compression: Compression,
) -> Request:  # fmt: skip
    from edgenet.training.recipe import default_recipe, read_recipe, with_compression
    from edgenet.training.setup import Request

    if not variant:
        raise InputError("no variant was given", allowed="--variant NAME", mend="edgenet list shows them all")
    if data is None:
        raise InputError("no images were given", allowed="--data DIR", mend="one folder a class in it")
    found = named_variant(variant)
    chosen = read_recipe(recipe, found) if recipe else default_recipe(found)
    # Channels are cut before the first step; all else is learned, and so a part of the recipe.
    cut, zeros = (compression.pruning, None) if compression.cuts_channels else (None, compression.pruning)
    taught = with_compression(chosen, zeros.spelled.split()[-1] if zeros else "", compression.clusters, compression.qat)
    return Request(
        found, data, out, taught, weights or "auto", side or 0, seed, strategy, cut_share=cut.share if cut else 0.0
    )


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
        if run.compress:
            show(run.compress.summary)
        show(f"{trained.artifact.path}: the same network, {trained.artifact.manifest.network_error:.1e} apart")
        show(f"{trained.out / 'training.html'}: curves and confusion matrix")
    images = "" if run.compress and run.compress.qat else " --calib PHOTOS"  # ranges that were learned need none
    next_command(f"edgenet convert --from {trained.out} --int8{images} --out {trained.out}-int8")
