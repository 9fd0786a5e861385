"""The options that make a network smaller, which `convert` and `train` share."""

from __future__ import annotations

from typing import Annotated

import typer

PruneFlag = Annotated[
    str,
    typer.Option(
        "--prune",
        metavar="P",
        help="0.5 or 2:4: weights become zero; channels:0.5: channels go, half of the work with them.",
    ),
]
ClusterFlag = Annotated[
    str, typer.Option("--cluster", metavar="N", help="Leave each layer N different weights at most, 2 to 128.")
]
