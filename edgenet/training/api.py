"""The public functions of this package: what `edgenet train` does, for Python."""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path

from edgenet.errors import InputError
from edgenet.progress import Report, silent
from edgenet.training.recipe import Recipe, default_recipe
from edgenet.training.setup import Request
from edgenet.training.train import Trained
from edgenet.training.train import resume as resume_run
from edgenet.training.train import train as train_run
from edgenet.variants import parse_variant

AnyPath = str | PathLike[str]
_COMMAND = ("edgenet.train",)


def train(
    variant: str,
    data: AnyPath,
    out: AnyPath,
    *,
    recipe: Recipe | None = None,
    weights: str = "auto",
    side_px: int = 0,
    seed: int = 0,
    strategy: str = "single",
    report: Report = silent,
) -> Trained | None:
    """Train a variant on the images in `data` and leave a run in the folder `out`, like `edgenet train`; see its flags.

    A worker that is not the first one returns None. `side_px` 0 is the side of the weights. What the command line would
    tell goes to stderr. Raise InputError for data, weights or a folder that cannot be used, MissingError for a device
    or weights that cannot be had, GateFailed for a loss of NaN, KeyboardInterrupt after an interrupt, with all saved.
    """
    found = parse_variant(variant)
    chosen = recipe or default_recipe(found)
    request = Request(found, Path(data), Path(out), chosen, weights, side_px, seed, strategy)
    return train_run(request, _COMMAND, report, _say)


def resume_training(
    out: AnyPath, *, data: AnyPath | None = None, strategy: str = "single", report: Report = silent
) -> Trained | None:
    """Go on with the run in the folder `out` exactly where it stopped; `data` says where its images are now.

    Raise as `train`, and InputError where there is nothing to go on with or the images are others.
    """
    if not Path(out).is_dir():
        raise InputError(f"{out} is no folder of a run", mend="name the folder that training was told")
    return resume_run(Path(out), None if data is None else Path(data), strategy, _COMMAND, report, _say)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
