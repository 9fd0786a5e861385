"""The options that make a network smaller, which `convert` and `train` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgenet.compression import Compression, parse_compression
from edgenet.errors import InputError

PruneFlag = Annotated[
    str,
    typer.Option(
        "--prune",
        metavar="P",
        help="0.5 or 2:4: weights become zero; channels:0.5: channels go, half of the work with them.",
    ),
]
DataFlag = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Labelled photos: tell what pruning and clustering cost in top-1."),
]
ClusterFlag = Annotated[
    str, typer.Option("--cluster", metavar="N", help="Leave each layer N different weights at most, 3 to 128.")
]


def chosen_compression(
    prune: str, cluster: str, data: Path | None, *, verified: bool, may_be_trained: bool
) -> Compression:
    """Return what was asked for; raise InputError for what cannot be, and for photos that nothing is told of."""
    compression = parse_compression(prune, cluster)
    if data is not None and not verified:
        raise InputError("--data measures what --no-verify leaves out", mend="drop one of them")
    if data is not None and not data.is_dir():
        raise InputError(f"there are no photos in {data}", allowed="a folder of photos", mend="check the path")
    if data is not None and not (compression or may_be_trained):
        raise InputError(
            "--data tells what pruning and clustering cost",
            mend="add --prune or --cluster, or edgenet verify FILE --data",
        )
    return compression
