"""What a training was begun with, recorded before its first step, so that --resume asks for nothing again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edgenet.channel_pruning import prune_channels
from edgenet.errors import InputError
from edgenet.manifest import Record
from edgenet.preprocessing import checked
from edgenet.training.recipe import Recipe, recipe_of_text
from edgenet.training.session import Say
from edgenet.variants import Variant, parse_variant
from edgenet.weights.load import load_weights
from edgenet.weights.random import random_weights
from edgenet.weights.record import Weights
from edgenet.weights.run_folder import RUN_NAME, SETUP_NAME


@dataclass(frozen=True)
class Request:
    """One training as the user asked for it."""

    variant: Variant
    data: Path
    out: Path
    recipe: Recipe
    weights: str = "auto"
    side_px: int = 0  # 0: the one of the weights
    seed: int = 0
    strategy: str = "single"
    cut_share: float = 0.0  # of the multiply-accumulates, cut out with whole channels before the first step


class SetupRecord(Record):
    """A request as a run keeps it, with the hash of the weights that it began from."""

    schema_version: Literal[1] = 1
    variant: str
    data: str
    weights: str
    weights_sha256: str
    side_px: int
    seed: int
    recipe: str
    cut_share: float = 0.0


def setup_record(request: Request, began_from: Weights) -> SetupRecord:
    """Return what a run keeps of its request; paths become absolute, for a resume from elsewhere."""
    path = Path(request.weights).expanduser()
    return SetupRecord(
        variant=request.variant.name,
        data=str(request.data.resolve()),
        weights=str(path.resolve()) if path.exists() else request.weights,
        weights_sha256=began_from.sha256,
        side_px=request.side_px,
        seed=request.seed,
        recipe=request.recipe.toml,
        cut_share=request.cut_share,
    )


def request_of_run(out: Path, data: Path | None, strategy: str) -> tuple[Request, str]:
    """Return the request that a run was begun with, and the hash of its weights; raise InputError if there is none.

    `data` says where the images are now, if they were moved.
    """
    path = out / SETUP_NAME
    if (out / RUN_NAME).is_file():
        raise InputError(f"the training in {out} is finished", mend=f"edgenet convert --from {out}")
    try:
        record = SetupRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"there is no training in {out} to resume: {path.name}: {error.strerror}", mend="begin one without --resume"
        ) from error
    except ValidationError as error:
        raise InputError(
            f"{path} is no record of a training: {error.errors()[0]['msg']}", mend="train again"
        ) from error
    request = Request(
        parse_variant(record.variant),
        data or Path(record.data),
        out,
        recipe_of_text(record.recipe, path.name),
        record.weights,
        record.side_px,
        record.seed,
        strategy,
        record.cut_share,
    )
    return request, record.weights_sha256


def refuse_used(out: Path) -> None:
    """Raise InputError for a folder that holds a training already."""
    if (out / SETUP_NAME).exists():
        raise InputError(
            f"{out} holds a training", mend="go on with it: add --resume; or name another folder with --out"
        )


def first_weights(request: Request, say: Say) -> Weights:
    """Return the weights to begin from, at the side, with the crop and without the channels that were asked for.

    The same weights lose the same channels each time, so that a resumed run has the network that it had. Raise
    InputError for what cannot be.
    """
    weights = load_weights(request.weights, request.variant, say=say, seed=request.seed)
    record, crop = weights.preprocessing, request.recipe.data.crop_fraction
    changed = replace(record, side_px=request.side_px or record.side_px, crop_fraction=crop or record.crop_fraction)
    weights = replace(weights, preprocessing=checked(changed))
    return prune_channels(weights, request.cut_share) if request.cut_share else weights


def with_head(weights: Weights, labels: tuple[str, ...], seed: int) -> Weights:
    """Return the weights with a fresh classifier for `labels`, unless theirs is for the same ones."""
    if weights.labels == labels:
        return weights
    fresh = random_weights(weights.variant, seed, len(labels), weights.widths).tensors
    head = {name: fresh[name] for name in ("classifier.weight", "classifier.bias")}
    return replace(
        weights,
        tensors={**weights.tensors, **head},
        num_classes=len(labels),
        labels=labels,
        preprocessing=replace(weights.preprocessing, label_offset=0),
    )
